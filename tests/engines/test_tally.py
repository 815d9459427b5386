"""Rows that do not stay are written as they come, and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.conftest import SWAHILI
from xirecipe import tables
from xirecipe.columns import columns_after
from xirecipe.engines.refine import _rated_twice
from xirecipe.engines.tally import Tally
from xirecipe.recipe.generation import Refine
from xirecipe.recipe.selection import Select
from xirecipe.settings import Settings
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.work import Work


def test_dropped_and_failed_rows_lie_on_disk_before_the_stage_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 2)
    store = Store(tmp_path)
    artifact = store.artifact("select", "f" * 64)
    store.start(artifact)
    tally = Tally(Work(Stage("select", Select(), SWAHILI), {}, artifact, store, Settings(), lambda progress: None))
    for number in range(5):
        tally.drop({"document_id": str(number), "text": "x"}, "guards.short", number, 3.0, None)
    tally.fail({"document_id": "5", "text": "x"}, "generate.timeout", "no answer")
    assert (artifact.dropped / "part-00000.parquet").exists()
    tally.close()

    dropped = list(tables.read(artifact.dropped, ["document_id", "reason", "value", "threshold", "detail"]))
    assert [tuple(row.values()) for row in dropped] == [
        (str(number), "guards.short", number, 3.0, None) for number in range(5)
    ]
    failed = list(tables.read(artifact.failed, ["document_id", "reason", "detail"]))
    assert failed == [{"document_id": "5", "reason": "generate.timeout", "detail": "no answer"}]
    outcome = tally.outcome(6, 6, {})
    assert (outcome.dropped, outcome.failed) == ({"guards.short": 5}, {"generate.timeout": 1})


def test_scores_are_compared_of_candidates_that_have_one_before_and_after(tmp_path: Path) -> None:
    def candidate(document: str, draw: int, score: float | None) -> tables.Row:
        return {"document_id": document, "draw": draw, "rubric_score": score}

    before = [candidate("b", 0, 1.0), candidate("b", 1, None), candidate("a", 0, 2.0), candidate("c", 0, 3.0)]
    # b's second draw got a score, a's failed, and a new draft stands behind.
    after = [candidate("b", 0, 1.5), candidate("b", 1, 2.0), candidate("c", 0, 2.5), candidate("a", 4, 3.0)]
    for name, rows in (("before", before), ("after", after)):
        tables.write(tmp_path / name, rows, columns_after("judge"))
    config = Refine.model_validate({"score": "rubric", "min_score": 2.0})
    both = tmp_path / "before", tmp_path / "after"
    assert list(_rated_twice(*both, config, ())) == [(1.0, 1.5), (3.0, 2.5)]
    assert list(_rated_twice(*both, config, {("c", 0)})) == [(1.0, 1.5)]
