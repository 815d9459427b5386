"""Which files a folder source reads."""

from __future__ import annotations

from pathlib import Path

from xirecipe.recipe.corpus import FileSource
from xirecipe.source_files import source_files


def test_a_folder_gives_its_files_of_the_format_in_order_and_nothing_hidden(tmp_path: Path) -> None:
    wanted = ["a.jsonl", "b/c.jsonl.gz", "d.jsonl.zst"]
    for name in [*wanted, "README.md", "x.csv", ".hidden.jsonl", ".git/e.jsonl"]:
        file = tmp_path / "texts" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}\n")
    source = FileSource(format="jsonl", path="texts", license="cc0-1.0")
    assert [file.relative_to(tmp_path / "texts").as_posix() for file in source_files(tmp_path, source)] == wanted


def test_a_file_is_itself_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("{}\n")
    source = FileSource(format="jsonl", path="texts.txt", license="cc0-1.0")
    assert source_files(tmp_path, source) == [tmp_path / "texts.txt"]
