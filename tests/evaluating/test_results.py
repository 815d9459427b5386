"""Results on disk say what they hang on, and replace nothing but results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from xirecipe.diagnostics import UserError
from xirecipe.evaluating.results import Evaluation, Results, check_target, copy
from xirecipe.store import Store

RESULTS = Results(
    [{"id": "a", "score": 3, "forced": None}], {"id": "string", "score": "int64", "forced": "bool"}, {}, {}
)


def evaluation(folder: Path, **identity: object) -> Evaluation:
    return Evaluation("aspects", {"files": {"a": "0"}, **identity}, Store(folder))


def test_what_was_written_is_found_again_by_the_same_identity_alone(tmp_path: Path) -> None:
    written = evaluation(tmp_path).write(RESULTS, recipe="tiny")
    assert evaluation(tmp_path).finished() == written
    assert evaluation(tmp_path, temperature=1).finished() is None
    assert Evaluation("pairwise", {"files": {"a": "0"}}, Store(tmp_path)).finished() is None
    assert pq.read_table(evaluation(tmp_path).folder / "verdicts.parquet").to_pylist() == RESULTS.rows


def test_a_summary_names_its_identity_and_the_versions_that_made_it(tmp_path: Path) -> None:
    written = evaluation(tmp_path).write(RESULTS)
    assert written["identity"] == {"files": {"a": "0"}}
    assert {"numpy", "pyarrow", "distilabel"} <= set(written["versions"])


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"fingerprint": "0"}'])
def test_a_damaged_summary_is_made_again(damage: str, tmp_path: Path) -> None:
    evaluation(tmp_path).write(RESULTS)
    (evaluation(tmp_path).folder / "summary.json").write_text(damage)
    assert evaluation(tmp_path).finished() is None


def test_results_are_copied_over_results_and_over_nothing_else(tmp_path: Path) -> None:
    made = evaluation(tmp_path / "store")
    made.write(RESULTS)
    for _ in range(2):
        check_target(tmp_path / "out")
        copy(made.folder, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["fingerprint"] == made.fingerprint
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds something else than results: notes\.txt"):
        check_target(tmp_path / "out")


def test_answers_go_with_the_results_and_those_of_other_results_go_away(tmp_path: Path) -> None:
    made = evaluation(tmp_path / "store")
    made.write(replace(RESULTS, answers={"answers-A.jsonl": [{"id": "a", "answer": "ndiyo"}]}))
    copy(made.folder, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "answers-A.jsonl").read_text()) == {"id": "a", "answer": "ndiyo"}
    check_target(tmp_path / "out")
    other = evaluation(tmp_path / "store", temperature=1)
    other.write(RESULTS)
    copy(other.folder, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"verdicts.parquet", "summary.json"}
