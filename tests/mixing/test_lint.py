"""What `xirecipe check` says of mixing recipes, word for word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.builders import Ran, xirecipe
from tests.mixing.mixes import mix, mix_folder


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mix_folder(tmp_path)


def check(tmp_path: Path, changes: dict[str, Any]) -> Ran:
    from tests.builders import Folder

    mix(Folder(tmp_path), changes)
    return xirecipe("check", "tiny.yaml")


def test_a_recipe_in_which_nothing_is_wrong(tmp_path: Path) -> None:
    assert check(tmp_path, {}).out == "1 file checked, no errors\n"


def test_shares_that_do_not_add_to_one(tmp_path: Path) -> None:
    parts = {
        "a": {"dataset": "parallel", "shape": "monolingual", "share": 0.5},
        "b": {"dataset": "parallel", "shape": "monolingual", "share": 0.4},
    }
    ran = check(tmp_path, {"mix.parts": parts, "mix.total": 10})
    assert ran.code == 1
    assert ran.err == (
        "tiny.yaml:38:14: error[wrong-shares]: the shares add up to 0.9, not to 1: a 0.5 + b 0.4\n"
        "   |\n"
        "38 |       share: 0.4\n"
        "   |              ^^^\n"
        "\n"
        "1 error\n"
    )


def test_an_unknown_direction(tmp_path: Path) -> None:
    ran = check(tmp_path, {"mix.parts.cross.directions": ["en->x", "x->eng"]})
    assert ran.err == (
        "tiny.yaml:36:9: error[bad-value]: `x->eng` is not a value of `mix.parts.cross.directions[1]`\n"
        "   |\n"
        "36 |       - x->eng\n"
        "   |         ^^^^^^ did you mean `x->en`?\n"
        "\n"
        "1 error\n"
    )


def test_a_language_without_a_name_in_the_prompts_language(tmp_path: Path) -> None:
    ran = check(tmp_path, {"answer_in.swh_Latn.names": {"fin_Latn": "Kifini"}})
    assert ran.err == (
        "tiny.yaml:30:5: error[missing-language-name]: "
        "`mix.parts.cross` has prompts in Swahili that cannot name English\n"
        "   |\n"
        "30 |     cross:\n"
        "   |     ^^^^^ add `answer_in.swh_Latn.names.eng_Latn`, or `name_answer_in: english`\n"
        "\n"
        "1 error\n"
    )


def test_a_misspelt_key_of_a_part(tmp_path: Path) -> None:
    ran = check(tmp_path, {"mix.parts.cross.replacment": True})
    assert ran.err == (
        "tiny.yaml:37:7: error[unknown-key]: `replacment` is not a key of `mix.parts.cross`\n"
        "   |\n"
        "37 |       replacment: true\n"
        "   |       ^^^^^^^^^^ did you mean `replacement`?\n"
        "\n"
        "1 error\n"
    )


def test_fewer_rows_than_asked_stops_the_run_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    mix(mix_folder(tmp_path), {"mix.parts.cross.rows": 11})
    ran = xirecipe("run", "tiny.yaml", "--to", "mix")
    assert ran.code == 1
    assert ran.err.endswith(
        "error[too-few-rows]: `mix.parts.cross` asks for 11 rows, and dataset `parallel` has 10 that it can take\n"
        "  = hint: `at_most: true` takes what is there; `replacement: true` draws a row more than once\n"
        "\n"
        "1 error\n"
    )


PART = {"dataset": "parallel", "shape": "monolingual"}


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"mix.parts.cross.dataset": "paralel"}, "unknown-dataset", "did you mean `parallel`?"),
        ({"mix.parts.cross.languages": ["eng_Latn", "tur_Latn"]}, "unknown-language", "has no tur_Latn"),
        ({"mix.parts.cross.languages": ["swh_Latn", "fin_Latn"]}, "missing-language", "`en->x` needs eng_Latn"),
        ({"mix.parts.cross.languages": ["eng_Latn"]}, "missing-language", "needs 1 other language than English"),
        ({"mix.parts.cross.directions": ...}, "bad-value", "needs directions or other_answer_probability"),
        ({"mix.parts.cross.share": 0.5, "mix.parts.cross.rows": 5}, "bad-value", "rows and share exclude one another"),
        ({"mix.parts.cross.share": 1.0}, "missing-key", "`share` is a share of `mix.total`, and there is none"),
        ({"mix.parts.cross.same_draws_as": "crss"}, "unknown-part", "is no part of this mix"),
        ({"mix.parts.cross.prompts": ["{{ instruction }} {{ anser_in }}"]}, "unknown-column", "mean `answer_in`?"),
        ({"mix.parts.cross.prompts": ["{{ answer_in }}"]}, "bad-value", "does not show the `instruction`"),
        ({"mix.parts.pairs": {**PART, "shape": "contrastive"}}, "mixed-config", "need a config each"),
        ({"mix.parts.cross.config": "default"}, "bad-value", "config `default` is for the rows of all configs"),
        ({"mix.choices": {"a": ["cross"]}}, "unknown-choice", "`mix.choice` names none of them"),
        ({"mix.choices": {"a": ["cross"]}, "mix.choice": "b"}, "unknown-choice", "which is not under `mix.choices`"),
        ({"mix.choices": {"a": ["crosss"]}, "mix.choice": "a"}, "unknown-part", "did you mean `cross`?"),
        ({"datasets.parallel.align_on": None}, "not-aligned", "needs versions of the same rows"),
        ({"datasets.parallel.columns": {"response": None}}, "no-responses", "needs responses"),
        ({"datasets.parallel.versions.fin_Latn.path": "gone.jsonl"}, "missing-dataset", "gone.jsonl does not exist"),
        ({"datasets.parallel.versions.tur_Latn": {"format": "jsonl", "path": "eng_Latn.jsonl"}}, "unknown-language",
         "there is no language file for `tur_Latn`"),
        ({"datasets.parallel.input_template": "{{ inputt }}"}, "unknown-column", "did you mean `input`?"),
        ({"translate.parallel": {"into": ["fin_Latn"], "model": "big", "prompt": "p.j2"}}, "unknown-model",
         "`translate.parallel.model` names `big`"),
        ({"corpus": {}}, "unknown-key", "`corpus` is not a key of a mixing recipe"),
        ({"datasets.parallel.license": "cc-by-nc-4.0"}, "licence-conflict", "no commercial use"),
        ({"mix.parts.cross.replaces": "cross"}, "unknown-part", "takes its rows from another part itself"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_found_where_it_is_written(
    changes: dict[str, Any], code: str, words: str, tmp_path: Path
) -> None:
    ran = check(tmp_path, changes)
    assert ran.code == 1, ran.out
    assert f"error[{code}]" in ran.err, ran.err
    assert words in ran.err, ran.err
    assert "tiny.yaml:" in ran.err


def test_a_dataset_at_a_revision_that_can_move_is_a_warning_once_for_all_languages(tmp_path: Path) -> None:
    hub = {"format": "hub", "repository": "a/b", "revision": "main", "files": "*.parquet"}
    versions = {f"datasets.parallel.versions.{code}": hub for code in ("eng_Latn", "swh_Latn", "fin_Latn")}
    ran = check(tmp_path, versions)
    assert ran.code == 0
    assert ran.err.count("warning[unpinned]") == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("conversations[first]", "after `conversations` comes `[first]`"),
        ("conversations[0", "after `conversations` comes `[0`"),
        (".text", "it begins with no column's name"),
        ("prompt..text", "after `prompt` comes `..text`"),
        ("turns[-1]", "after `turns` comes `[-1]`"),
    ],
)
def test_a_path_that_cannot_be_read_is_shown_where_it_stands(tmp_path: Path, path: str, message: str) -> None:
    ran = check(tmp_path, {"datasets.parallel.columns": {"response": path}})
    assert ran.code == 1
    first = ran.err.splitlines()[0]
    place, _, said = first.partition(": error[bad-path]: ")
    assert said == f"`{path}` leads to no column: {message}"
    line = int(place.split(":")[1])
    assert path in (tmp_path / "tiny.yaml").read_text().splitlines()[line - 1]


def test_a_path_into_csv_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "fin_Latn.csv").write_text("id,turns\n")
    version = {"format": "csv", "path": "fin_Latn.csv", "columns": {"instruction": "turns[0]"}}
    ran = check(tmp_path, {"datasets.parallel.versions.fin_Latn": version})
    assert "error[bad-path]: `turns[0]` leads into a column, and CSV has only text in its columns" in ran.err
