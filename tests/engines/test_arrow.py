"""select over files decides and orders as select in memory does, whatever fits into memory."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.conftest import SWAHILI
from xirecipe import tables
from xirecipe.artifact import Artifact
from xirecipe.columns import columns_after
from xirecipe.engines import arranging
from xirecipe.engines.arrow import run_select
from xirecipe.recipe.selection import Select
from xirecipe.selecting import select_rows
from xirecipe.settings import Settings
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.work import Outcome, Work


def candidates(count: int) -> list[tables.Row]:
    choice = random.Random(7)
    rows = []
    for number in range(count):
        vector = np.array([choice.gauss(0, 1) for _ in range(4)], np.float32)
        rows.append(
            {
                "document_id": choice.choice("aéไ𐍈～") + str(number // 3), "draw": number % 3, "text": "maandishi " * 5,
                "instruction": f"Describe {choice.randrange(count // 2)}.", "cluster": choice.randrange(4),
                "rubric_score": choice.choice([None, 1.0, 2.0, choice.random() * 3]),
                "embedding": (vector / np.linalg.norm(vector)).tolist(),
            }
        )  # fmt: skip
    choice.shuffle(rows)
    return rows


def select(rows: list[tables.Row], config: Select, folder: Path) -> tuple[Outcome, Artifact]:
    given = Artifact(folder / "given")
    tables.write(given.data, rows, columns_after("cluster"))
    store = Store(folder / "store")
    stage = Stage("select", config, SWAHILI)
    artifact = store.artifact("select", "f" * 64)
    store.start(artifact)
    work = Work(stage, {"cluster": given}, artifact, store, Settings(), lambda progress: None)
    return run_select(work), artifact


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"min_score": 1.5, "rows": 20},
        {"rows": 15, "pick": "uncovered", "max_instruction_repeats": 1},
        {"max_instruction_similarity": 0.8, "max_instruction_repeats": None},
    ],
    ids=str,
)
def test_what_is_on_disk_is_what_the_decisions_in_memory_give(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arranging, "ROWS", 7)
    monkeypatch.setattr(arranging, "FILES", 5)
    monkeypatch.setattr(tables, "BATCH_ROWS", 11)
    rows, settings = candidates(200), Select(**config)
    outcome, artifact = select(rows, settings, tmp_path)

    as_read = list(tables.read(tmp_path / "given" / "data"))
    kept, dropped = select_rows(as_read, settings)
    assert list(tables.read(artifact.data)) == kept
    assert list(tables.read(artifact.dropped)) == dropped
    assert (outcome.asked, outcome.kept, sum(outcome.dropped.values())) == (200, len(kept), len(dropped))
    assert {row["reason"] for row in dropped} == set(outcome.dropped)
    assert sorted(path.name for path in artifact.folder.iterdir()) == ["data", "dropped", "failed"]


def test_no_candidates_give_no_rows(tmp_path: Path) -> None:
    outcome, artifact = select([], Select(max_instruction_similarity=0.9), tmp_path)
    assert (outcome.asked, outcome.kept, outcome.dropped) == (0, 0, {})
    assert list(tables.read(artifact.data)) == []


def test_rows_in_another_order_come_whole_and_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arranging, "ROWS", 3)
    tables.write(tmp_path / "data", ({"document_id": str(n)} for n in range(20)), columns_after("corpus"))
    order = np.array([19, 0, 7, 8, 6, 1, 2])
    parts = list(arranging.in_order(tmp_path / "data", order, tmp_path / "scratch"))
    assert [numbers.tolist() for numbers, _ in parts] == [[19, 0, 7], [8, 6, 1], [2]]
    assert [table["document_id"].to_pylist() for _, table in parts] == [["19", "0", "7"], ["8", "6", "1"], ["2"]]
    assert list((tmp_path / "scratch").iterdir()) == []
