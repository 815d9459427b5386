"""`xirecipe evaluate --metric learning` before anything is trained: mistakes, with their places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.builders import LANGUAGE, SEED, Folder, recipe_folder, xirecipe
from tests.evaluating.test_learning import BOOTSTRAP, examined
from tests.test_lessons import WEIGHTS
from xirecipe.commands.evaluated import print_summary
from xirecipe.evaluating.learning import summarize
from xirecipe.terminal import console

STUDENTS: dict[str, Any] = {
    "model": "student", "prompt": "prompts/answer.j2", "held_out": {"swh_Latn": "people.jsonl"},
    "learn": {"method": "fine_tune", "max_steps": 2},
}  # fmt: skip
ROWS = [{"instruction": f"Write {n}.", "response": f"Jibu {n}.", "language": "swh_Latn"} for n in range(4)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XIRECIPE_STORE", raising=False)
    made = recipe_folder(tmp_path)
    made.write("prompts/answer.j2", "{{ instruction }}\nIn {{ language.name }}:\n")
    made.json_lines("people.jsonl", SEED)
    made.json_lines("a.jsonl", ROWS)
    with_students(made)
    return made


def with_students(folder: Folder, weights: dict[str, Any] = WEIGHTS, **changes: Any) -> None:
    folder.recipe({"models.student": weights, "evaluate": {"students": STUDENTS | changes}})


def checked() -> str:
    ran = xirecipe("check", "tiny.yaml")
    assert ran.code == 1
    return ran.err


def evaluate(*arguments: str) -> str:
    ran = xirecipe("evaluate", "tiny.yaml", *arguments, "--metric", "learning")
    assert (ran.code, ran.out) == (1, "")
    return ran.err


def test_a_recipe_with_students_checks_clean(folder: Folder) -> None:
    assert xirecipe("check", "tiny.yaml").code == 0


def test_answers_held_out_that_are_not_there_are_named_with_their_place(folder: Folder) -> None:
    with_students(folder, held_out={"swh_Latn": "poeple.jsonl"})
    assert "tiny.yaml:59:17: error[missing-held-out]: there is no file poeple.jsonl" in checked()
    assert "error[missing-held-out]" in evaluate("a.jsonl")
    with_students(folder, held_out={"swh_Latn": "../people.jsonl"})
    assert "error[escaping-path]" in checked()


def test_a_broken_answer_held_out_is_named_by_its_line(folder: Folder) -> None:
    folder.json_lines("people.jsonl", [SEED[0], {"instruction": "Describe rain."}])
    assert "people.jsonl:2:1: error[broken-seed]" in checked()


def test_a_language_without_facts_is_named_where_the_recipe_has_it(folder: Folder) -> None:
    with_students(folder, held_out={"swh_Latn": "people.jsonl", "fin_Latn": "people.jsonl"})
    assert "tiny.yaml:60:7: error[unknown-language]: there is no language file for `fin_Latn`" in checked()
    folder.write("languages/fin_Latn.yaml", LANGUAGE | {"code": "fin_Latn", "name": "Finnish"})
    assert xirecipe("check", "tiny.yaml").code == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "stduent"}, "`evaluate.students.model` names `stduent`, which is not under `models`"),
        ({"model": "writer"}, "`evaluate.students.learn` trains weights, and those of `writer` are behind a server"),
        ({"prompt": "prompts/no.j2"}, "there is no prompt prompts/no.j2"),
        ({"prompt": "prompts/write.j2"}, "reads `text`, which `evaluate.students` does not show"),
        ({"held_out": {}}, "`evaluate.students.held_out`"),
        ({"learn": {"method": "in_context"}}, "`evaluate.students.learn.method`"),
        ({"learn": {"method": "fine_tune", "exemplars": True}}, "exemplars"),
    ],
)
def test_check_finds_mistakes_in_the_section(changes: dict[str, Any], said: str, folder: Folder) -> None:
    with_students(folder, **changes)
    assert said in checked()


def test_a_model_that_wears_an_adapter_is_told_to_take_it_off(folder: Folder) -> None:
    with_students(folder, WEIGHTS | {"adapter": {"path": "a.jsonl", "sha256": "0" * 64, "license": "mit"}})
    assert "take `models.student.adapter` away, or name another one under `models`" in checked()


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("a.jsonl", "a.jsonl", "a.jsonl"), "`learning` takes 1 or 2 sets of rows, not 3"),
        (("b.jsonl",), "error[missing-file]: there is no file b.jsonl"),
        (
            ("other.jsonl",),
            "error[nothing-to-learn]: no language has rows in every set and answers held out (swh_Latn)",
        ),
        (("people.jsonl",), "error[nothing-to-learn]"),
        (("a.jsonl", "--set", "evaluate.students=null"), "error[no-students]: the recipe has no `evaluate.students`"),
    ],
)
def test_a_mistake_is_said_with_a_hint_before_anything_is_trained(
    sets: tuple[str, ...], said: str, folder: Folder
) -> None:
    folder.json_lines("other.jsonl", [row | {"language": "fin_Latn"} for row in ROWS])
    err = evaluate(*sets)
    assert said in err
    assert "hint:" in err
    assert not (folder.root / "store" / "students").exists()


def test_without_the_extra_the_command_says_which_one_it_needs(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    from xirecipe.engines import trainer

    monkeypatch.setattr(trainer, "_NEEDED", ("torch_that_is_not_there", "json"))
    err = evaluate("a.jsonl")
    assert "error[no-train-extra]" in err
    assert 'pip install "xirecipe[train]"' in err


def test_what_students_come_to_is_a_table_of_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        examined(code, n, -40.0 - n, -38.0 - n, -39.2 - n)
        for n in range(8)
        for code in ("swh_Latn", "fin_Latn")
    ]  # fmt: skip
    learnt = {"steps": 24, "answer_tokens": 15_321, "first_loss": 4.1, "last_loss": 3.7, "too_long": 0}
    summary = {
        "metric": "learning", "model_name": "student", "rule": "lower is better", "failed_requests": {}, "too_long": [],
        "files": {"a": {"path": "a.jsonl", "rows": 412}, "b": {"path": "b.jsonl", "rows": 258}},
        "rows": {
            "each": 64, "by_language": {"swh_Latn": 32, "fin_Latn": 32}, "left_out": {"a": {"held_out": 3}, "b": {}},
        },
        "not_measured": ["ben_Beng"], "students": {"a": learnt, "b": learnt | {"too_long": 2}},
        **summarize(rows, BOOTSTRAP),
    }  # fmt: skip
    print_summary(summary, console())
    out = capsys.readouterr().out
    assert "A: 24 steps, 15,321 tokens of answers, loss 4.100 -> 3.700; rows left out: held_out 3\n" in out
    assert "rows left out: too_long 2\n" in out
    assert re.search(r"A minus B +-0\.120 +-0\.120 to -0\.120 +\+0\.000", out)
    assert re.search(r"fin_Latn +8 +4\.350 +-0\.200 +-0\.080 +-0\.120", out)
    assert "not measured, without rows in every set: 1 (ben_Beng)" in out
    assert max(len(line) for line in out.splitlines() if not line.startswith(("A:", "B:", "student"))) <= 80
