"""Rows on disk in the columns of a stage."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from xirecipe import tables
from xirecipe.columns import COLUMNS, OPTIONAL, OUTCOME_COLUMNS, STAGES, columns_after, columns_before


def test_rows_come_back_as_they_went_in_with_absent_columns_null(tmp_path: Path) -> None:
    columns = columns_after("corpus")
    rows = [{"document_id": "a", "text": "ที่นี่", "masked": 1}, {"document_id": "b", "text": "x"}]
    assert tables.write(tmp_path / "data", rows, columns) == 2
    back = list(tables.read(tmp_path / "data"))
    assert [(r["document_id"], r["text"], r["masked"], r["url"]) for r in back] == [
        ("a", "ที่นี่", 1, None),
        ("b", "x", None, None),
    ]
    assert list(back[0]) == [c.name for c in columns]
    assert tables.count(tmp_path / "data") == 2


def test_dropped_rows_carry_their_outcome(tmp_path: Path) -> None:
    row = {"document_id": "a", "reason": "length.min_chars", "value": 3.0, "threshold": 5.0, "detail": None}
    tables.write(tmp_path, [row], columns_after("corpus"), outcome=True)
    (back,) = tables.read(tmp_path, ["document_id", "reason", "value", "threshold", "detail"])
    assert back == row


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    assert tables.write(tmp_path / "data", [], columns_after("corpus")) == 0
    assert list(tables.read(tmp_path / "data")) == []
    assert tables.count(tmp_path / "data") == 0


def test_more_rows_than_a_batch_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 7)
    assert tables.write(tmp_path, ({"document_id": f"{i:03}"} for i in range(50)), columns_after("corpus")) == 50
    assert [r["document_id"] for r in tables.read(tmp_path)] == [f"{i:03}" for i in range(50)]


def test_a_value_of_another_type_is_not_written_as_something_else(tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError)):
        tables.write(tmp_path, [{"document_id": "a", "masked": "one"}], columns_after("corpus"))


def test_every_stage_sees_what_those_before_it_wrote() -> None:
    for stage, following in itertools.pairwise(STAGES):
        assert columns_after(stage, OPTIONAL) == columns_before(following, OPTIONAL)
    assert columns_before("corpus") == []
    assert columns_after("split", OPTIONAL) == list(COLUMNS)


def test_a_stage_that_a_plan_does_not_have_writes_no_column() -> None:
    every = {c.name for c in columns_after("split", OPTIONAL)}
    assert every - {c.name for c in columns_after("split")} == {"exemplars", "removed_head", "removed_tail"}


def test_no_two_columns_share_a_name() -> None:
    assert len({c.name for c in COLUMNS} | {n for n, _ in OUTCOME_COLUMNS}) == len(COLUMNS) + len(OUTCOME_COLUMNS)
