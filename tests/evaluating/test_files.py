"""Rows out of files that people wrote by hand or exported from somewhere."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xirecipe.diagnostics import UserError
from xirecipe.evaluating.files import read_table


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read_table(path)
    return caught.value


def test_json_lines_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    rows = [{"prompt": "Habari?", "answer": 'Nzuri, "sana"\nasante'}, {"prompt": "Jina?", "answer": ""}]
    lines = '{"prompt": "Habari?", "answer": "Nzuri, \\"sana\\"\\nasante"}\n\n{"prompt": "Jina?", "answer": ""}\n'
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    csv = 'prompt,answer\nHabari?,"Nzuri, ""sana""\nasante"\nJina?,\n'
    for path in (write(tmp_path, "a.jsonl", lines), write(tmp_path, "a.csv", csv), tmp_path / "a.parquet"):
        assert read_table(path).rows == rows, path.name


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"answer": "one\u2028two"}\n')
    assert read_table(path).rows == [{"answer": "one\u2028two"}]


def test_every_broken_line_is_shown_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"prompt": "a"}\n{"prompt": \n\n[1]\n')
    found = refusal(path).diagnostics
    assert [(d.code, d.span.line if d.span else None) for d in found] == [("broken-json", 2), ("broken-json", 4)]
    assert found[0].message == "not JSON: Expecting value at column 12"
    assert found[1].message == "not a JSON object"


def test_of_many_broken_lines_the_rest_is_counted(tmp_path: Path) -> None:
    found = refusal(write(tmp_path, "a.jsonl", "oops\n" * 1_000)).diagnostics
    assert len(found) == 21
    assert found[-1].message.endswith("980 more lines like these")


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.jsonl", "", "empty-file"),
        ("a.jsonl", "\n \n", "empty-file"),
        ("a.csv", "prompt,answer\n", "empty-file"),
        ("a.csv", "prompt,answer\na,b,c\n", "broken-csv"),
        ("a.csv", "prompt,answer\na\n", "broken-csv"),
        ("a.csv", 'prompt,answer\na,"b\n', "broken-csv"),
        ("a.jsonl", b'{"prompt": "\xff"}', "not-utf-8"),
        ("a.parquet", "no parquet", "broken-parquet"),
        ("a.txt", "text", "unknown-format"),
    ],
)
def test_a_file_that_cannot_be_read_is_the_users_error(
    name: str, content: str | bytes, code: str, tmp_path: Path
) -> None:
    assert refusal(write(tmp_path, name, content)).diagnostics[0].code == code


def test_a_missing_file_is_met_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "answers.jsonl", "{}\n")
    assert refusal(tmp_path / "anwsers.jsonl").diagnostics[0].hint == "did you mean `answers.jsonl`?"


def test_a_release_folder_is_read_from_all_its_parquet_files(tmp_path: Path) -> None:
    for split, text in (("train", "a"), ("test", "b")):
        (tmp_path / "release" / "data" / f"split={split}").mkdir(parents=True)
        table = pa.table({"instruction": [text], "response": [text]})
        pq.write_table(table, tmp_path / "release" / "data" / f"split={split}" / "part.parquet")
    rows = read_table(tmp_path / "release").rows
    assert sorted(row["instruction"] for row in rows) == ["a", "b"]
    assert all(set(row) == {"instruction", "response"} for row in rows)


def test_a_folder_without_tables_is_the_users_error(tmp_path: Path) -> None:
    assert refusal(tmp_path).diagnostics[0].code == "empty-folder"


def test_the_hash_of_a_folder_hangs_on_content_and_not_on_its_place(tmp_path: Path) -> None:
    for name, text in (("one", "a"), ("two", "a"), ("three", "b")):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"answer": [text]}), tmp_path / name / "p.parquet")
    one, two, three = (read_table(tmp_path / name).sha256 for name in ("one", "two", "three"))
    assert one == two != three


def test_a_pattern_is_all_that_it_finds_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        folder = tmp_path / f"rows-{name}" / "data"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([{"prompt": name, "answer": name}]), folder / "train.parquet")
    write(tmp_path, "other.jsonl", '{"prompt": "c", "answer": "c"}\n')
    found = read_table(tmp_path / "rows-*")
    assert [row["prompt"] for row in found.rows] == ["a", "b"]
    assert len(found.places) == 2
    assert found.sha256 == read_table(tmp_path / "rows-[ab]").sha256 != read_table(tmp_path / "rows-a*").sha256
    assert refusal(tmp_path / "none-*").diagnostics[0].code == "missing-file"
