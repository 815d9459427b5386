"""Histograms: every number is in one bin, and a threshold is an edge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.report.bins import bins

NUMBERS = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=1, max_size=60)


@given(NUMBERS, NUMBERS, st.floats(-1e6, 1e6) | st.none())
def test_no_number_is_lost(first: list[float], second: list[float], threshold: float | None) -> None:
    found = bins({"a": first, "b": second}, threshold)
    assert found is not None
    assert sum(found.counts["a"]) == len(first)
    assert sum(found.counts["b"]) == len(second)
    assert list(found.edges) == sorted(found.edges)


@given(NUMBERS, st.floats(0.1, 0.9))
def test_no_bin_lies_on_both_sides_of_the_threshold(numbers: list[float], at: float) -> None:
    threshold = min(numbers) + at * (max(numbers) - min(numbers))
    found = bins({"a": numbers}, threshold)
    assert found is not None
    below = sum(n for n, high in zip(found.counts["a"], found.edges[1:], strict=True) if high <= threshold)
    if min(numbers) < max(numbers):
        assert below == sum(number < threshold for number in numbers)


@pytest.mark.parametrize("value", [0.0, 3.0, -2.5])
def test_equal_numbers_are_one_bar_around_them(value: float) -> None:
    found = bins({"a": [value] * 4})
    assert found is not None
    assert found.counts["a"] == (4,)
    assert found.edges[0] < value < found.edges[1]


def test_nothing_has_no_histogram() -> None:
    assert bins({"a": []}) is None
