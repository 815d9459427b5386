"""Rows of two sides: what came, went and changed, and which numbers moved."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from xirecipe.reviewing.rowsets import Rows, RowsDiff, compare_rows, ks_distance
from xirecipe.tables import Row

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40)


def source(rows: list[Row]) -> Rows:
    def read() -> Iterator[Row]:
        return iter(rows)

    return read


def compared(old: list[Row], new: list[Row], examples: int = 3) -> RowsDiff:
    return compare_rows(source(old), source(new), examples)


def row(document: str, **values: Any) -> Row:
    return {"document_id": document, "instruction": f"about {document}", "score": 1.0, "embedding": [0.5], **values}


@given(NUMBERS, NUMBERS)
def test_the_distance_is_kolmogorov_smirnovs(one: list[float], other: list[float]) -> None:
    assert ks_distance(one, other) == pytest.approx(ks_2samp(one, other, method="asymp").statistic)


def test_documents_are_told_apart_by_what_happened_to_them() -> None:
    old = [row("same"), row("changed"), row("went")]
    new = [row("same"), row("changed", instruction="other"), row("came")]
    found = compared(old, new)
    assert found.counts == {"changed": 1, "came": 1, "went": 1}
    assert [(e.kind, e.document_id) for e in found.examples] == [
        ("changed", "changed"), ("came", "came"), ("went", "went"),
    ]  # fmt: skip
    assert (found.examples[0].before, found.examples[0].after) == (
        {"instruction": "about changed"},
        {"instruction": "other"},
    )
    assert found.examples[1].before is None
    assert found.examples[2].after is None


def test_order_embeddings_and_numbers_of_clusters_make_no_difference() -> None:
    old = [row("a", cluster=1), row("b", cluster=2)]
    assert compared(old, [row("b", embedding=[0.1], cluster=1), row("a", embedding=[0.2], cluster=2)]).is_equal


def test_a_document_with_several_rows_is_a_bag_of_them() -> None:
    old = [row("a", draw=0), row("a", draw=1), row("a", draw=1)]
    new = [row("a", draw=1), row("a", draw=2)]
    assert compared(old, new).counts == {"changed": 1, "came": 0, "went": 1}


def test_columns_of_one_side_alone_are_named_and_not_held_against_rows() -> None:
    found = compared([row("a", old=1)], [row("a", new=2)])
    assert (found.columns_came, found.columns_went) == (("new",), ("old",))
    assert found.counts["changed"] == 0
    assert not found.is_equal
    assert compared([], [row("a")]).columns_came == ()


def test_moved_numbers_are_measured_and_missing_ones_left_out() -> None:
    old = [row(str(n), score=float(n), similarity=None) for n in range(100)]
    new = [row(str(n), score=float(n) + 50, similarity=float("nan")) for n in range(100)]
    (score, length) = compared(old, new).moved
    assert (score.name, score.before.mean, score.after.mean, score.distance) == ("score", 49.5, 99.5, 0.5)
    assert (score.before.p5, score.before.p50, score.before.p95) == (4, 49, 94)
    assert (length.name, length.distance) == ("instruction length", 0)


def test_examples_are_as_many_of_each_kind_as_asked_for() -> None:
    new = [row(f"n{n:02}") for n in range(9)]
    assert [e.document_id for e in compared([], new, 2).examples] == ["n00", "n01"]
    assert compared([], new, 0).examples == ()


def test_a_large_comparison_keeps_no_row_in_memory() -> None:
    text = "x" * 10_000

    def many() -> Iterator[Row]:
        return (row(str(n), text=text + str(n)) for n in range(2_000))

    tracemalloc.start()
    found = compare_rows(many, many, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.is_equal
    assert found.before == 2_000
    assert peak < 2_000 * 10_000 / 4
