"""Bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest

from xirecipe.evaluating.statistics import Estimate, Resampled
from xirecipe.recipe.evaluation import Bootstrap


def test_rows_that_are_all_the_same_leave_no_doubt() -> None:
    assert Resampled({"x": [3.0] * 5}, Bootstrap(samples=50)).mean("x") == Estimate(3.0, 3.0, 3.0)


def test_one_row_is_its_own_interval() -> None:
    assert Resampled({"x": [0.5]}, Bootstrap()).mean("x") == Estimate(0.5, 0.5, 0.5)


def test_the_interval_of_a_share_is_near_the_normal_approximation() -> None:
    found = Resampled({"x": [0.0, 1.0] * 200}, Bootstrap()).mean("x")
    half_width = 1.96 * 0.5 / np.sqrt(400)
    assert found.mean == 0.5
    assert (found.low, found.high) == pytest.approx((0.5 - half_width, 0.5 + half_width), abs=0.005)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    columns = {"x": [float(n % 7) for n in range(50)]}
    first, again, other = (Resampled(columns, Bootstrap(samples=200, seed=seed)).mean("x") for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first.mean == other.mean


def test_columns_see_the_same_rows_so_that_their_difference_has_no_noise_of_its_own() -> None:
    values = [float(n) for n in range(40)]
    found = Resampled({"x": values, "y": [value + 1 for value in values]}, Bootstrap(samples=100))
    difference = found.statistic(lambda x, y: y - x, "x", "y")
    assert (difference.mean, difference.low, difference.high) == pytest.approx((1.0, 1.0, 1.0))


def test_many_rows_are_drawn_in_pieces_without_a_change() -> None:
    found = Resampled({"x": [0.0, 1.0] * 1_500_000}, Bootstrap(samples=5)).mean("x")
    assert found.low <= 0.5 <= found.high
    assert found.high - found.low < 0.01


@pytest.mark.parametrize("columns", [{"x": []}, {"x": [1.0], "y": [1.0, 2.0]}, {}])
def test_columns_without_rows_or_of_different_lengths_are_refused(columns: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="columns need one length"):
        Resampled(columns, Bootstrap())
