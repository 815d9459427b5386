"""Files of evaluation prompts, checked before a run: what is missing, empty or broken, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.builders import Folder, recipe_folder, xirecipe
from xirecipe.evaluation_prompts import MOST_PROBLEMS, broken_prompts, prompts_in
from xirecipe.recipe.corpus import FileSource

FILE = {"format": "jsonl", "path": "bench.jsonl", "license": "mit", "text_column": "prompt"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return recipe_folder(tmp_path)


def checked(folder: Folder, **source: Any) -> list[str]:
    """The first lines of what `check` says of a recipe with this evaluation."""
    folder.recipe({"decontaminate": {"evaluations": {"bench": {**FILE, **source}}}})
    ran = xirecipe("check", "tiny.yaml")
    return [line for line in ran.err.splitlines() if ": error[" in line or ": warning[" in line]


@pytest.mark.parametrize(
    ("value", "prompts"),
    [("Why?", ["Why?"]), (["Why?", "And how?"], ["Why?", "And how?"]), (" ", []), ([], []), (None, []), (["a", 1], [])],
)
def test_a_prompt_is_a_text_or_the_turns_of_a_conversation(value: Any, prompts: list[str]) -> None:
    assert prompts_in(value) == prompts


def test_whole_files_are_fine(folder: Folder) -> None:
    folder.json_lines("bench.jsonl", ({"prompt": "Why?"}, {"prompt": ["Why?", "And how?"]}))
    assert checked(folder) == []
    folder.write("bench.csv", 'n,prompt\n1,"Why,\nand how?"\n')
    assert checked(folder, format="csv", path="bench.csv") == []


def test_a_missing_or_empty_file_is_met_at_its_place_in_the_recipe(folder: Folder) -> None:
    lines = folder.root / "tiny.yaml"
    assert checked(folder)[0].endswith("error[missing-evaluation]: bench.jsonl does not exist")
    number = next(n for n, line in enumerate(lines.read_text().splitlines(), 1) if "path: bench.jsonl" in line)
    assert checked(folder)[0].startswith(f"tiny.yaml:{number}:13: ")
    folder.write("bench.jsonl", "")
    assert checked(folder) == [f"tiny.yaml:{number}:13: error[empty-evaluation]: bench.jsonl is empty"]
    folder.write("bench.jsonl", "\n \n")
    assert checked(folder) == ["bench.jsonl:1:1: error[empty-evaluation]: bench.jsonl has no prompts"]


def test_every_broken_line_is_shown_with_line_and_column(folder: Folder) -> None:
    folder.write("bench.jsonl", '{"prompt": "Why?"}\n\n{"prompt": }\n["Why?"]\n{"promt": "Why?"}\n{"prompt": ""}\n')
    assert checked(folder) == [
        "bench.jsonl:3:12: error[broken-evaluation]: not JSON: Expecting value",
        "bench.jsonl:4:1: error[broken-evaluation]: not a JSON object",
        "bench.jsonl:5:1: error[broken-evaluation]: a row without a prompt in `prompt`",
        "bench.jsonl:6:1: error[broken-evaluation]: a row without a prompt in `prompt`",
    ]
    assert "did you mean `promt`?" in xirecipe("check", "tiny.yaml").err


def test_a_csv_without_the_column_or_with_empty_cells_is_refused(folder: Folder) -> None:
    folder.write("bench.csv", "n,question\n1,Why?\n")
    assert checked(folder, format="csv", path="bench.csv") == [
        "bench.csv:1:1: error[broken-evaluation]: a row without a prompt in `prompt`"
    ]
    folder.write("bench.csv", 'prompt,n\n"Why,\nso?",1\n,2\n')
    assert checked(folder, format="csv", path="bench.csv") == [
        "bench.csv:4:1: error[broken-evaluation]: a row without a prompt in `prompt`"
    ]
    folder.write("bench.csv", "prompt,n\n")
    assert checked(folder, format="csv", path="bench.csv") == [
        "bench.csv:1:1: error[empty-evaluation]: bench.csv has no prompts"
    ]


def test_a_file_that_is_not_utf_8_shows_the_line(folder: Folder) -> None:
    folder.write("bench.jsonl", b'{"prompt": "Why?"}\n{"prompt": "\xff"}\n')
    assert checked(folder) == ["bench.jsonl:2:1: error[not-utf-8]: byte 31 is not UTF-8"]


def test_of_many_broken_lines_the_first_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "bench.jsonl"
    path.write_text("x\n" * (MOST_PROBLEMS + 5), encoding="utf-8")
    source = FileSource(format="jsonl", path="bench.jsonl", license="mit")
    assert [d.span.line for d in broken_prompts(path, source, "b") if d.span] == list(range(1, MOST_PROBLEMS + 1))


def test_a_hub_evaluation_that_is_not_pinned_is_warned_about(folder: Folder) -> None:
    hub = {"format": "hub", "repository": "someone/bench", "revision": "main", "files": "*.parquet", "license": "mit"}
    folder.recipe({"decontaminate": {"evaluations": {"bench": hub}}})
    assert "warning[unpinned]: `main` is not a commit hash" in xirecipe("check", "tiny.yaml").err


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"evaluations": {}}, "bad-value"),
        ({"evaluations": {"a/b": FILE}}, "bad-value"),
        ({"evaluations": {"bench": FILE}, "columns": ["text"]}, "bad-value"),
        ({"evaluations": {"bench": FILE}, "ngram_words": 0}, "out-of-range"),
        ({}, "missing-key"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused(folder: Folder, changes: dict[str, Any], code: str) -> None:
    folder.json_lines("bench.jsonl", ({"prompt": "Why?"},))
    folder.recipe({"decontaminate": changes})
    ran = xirecipe("check", "tiny.yaml")
    assert (ran.code, f"error[{code}]" in ran.err) == (1, True)


def test_an_evaluation_outside_the_recipe_folder_is_refused_unread(folder: Folder) -> None:
    (folder.root.parent / "secret.jsonl").write_text("not json, and nobody else's to read\n", encoding="utf-8")
    outside = {"format": "jsonl", "path": "../secret.jsonl", "license": "mit", "text_column": "prompt"}
    folder.recipe({"decontaminate": {"evaluations": {"bench": outside}}})
    said = xirecipe("check", "tiny.yaml").err
    assert "error[escaping-path]: `path: ../secret.jsonl` leaves the recipe folder" in said
    assert "nobody else's" not in said
