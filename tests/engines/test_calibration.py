"""The evaluator measured on rated pairs that it did not learn from."""

from __future__ import annotations

import random

import pytest

from xirecipe.engines.calibration import measured
from xirecipe.rating import LEVELS
from xirecipe.tables import Row

ROWS: list[Row] = [
    {"level": level, "part": part} for part in ("learn", "held_out") for _ in range(20) for level in LEVELS
]
FIT = {"top": 3.0, "middle": 2.0, "bottom": 1.0}


def test_a_score_that_knows_the_level_is_right_everywhere() -> None:
    facts = measured(ROWS, [FIT[row["level"]] for row in ROWS])
    assert (facts["accuracy"], facts["auc"], facts["learned_from"], facts["held_out"]) == (1.0, 1.0, 60, 60)
    assert facts["confusion"]["middle"] == {"top": 0, "middle": 20, "bottom": 0}


def test_a_score_that_knows_nothing_is_at_chance() -> None:
    drawn = random.Random("scores")
    facts = measured(ROWS, [drawn.random() for _ in ROWS])
    assert facts["accuracy"] == pytest.approx(1 / 3, abs=0.15)
    assert facts["auc"] == pytest.approx(1 / 2, abs=0.2)


def test_a_score_upside_down_orders_everything_wrongly_but_tells_levels_apart() -> None:
    facts = measured(ROWS, [-FIT[row["level"]] for row in ROWS])
    assert (facts["accuracy"], facts["auc"]) == (1.0, 0.0)


def test_the_scale_of_a_score_does_not_matter() -> None:
    plain = measured(ROWS, [FIT[row["level"]] for row in ROWS])
    assert measured(ROWS, [FIT[row["level"]] / 1000 - 7 for row in ROWS])["accuracy"] == plain["accuracy"]


def test_confident_mistakes_are_a_calibration_error() -> None:
    held_out_wrong = [FIT[row["level"]] if row["part"] == "learn" else 4 - FIT[row["level"]] for row in ROWS]
    assert measured(ROWS, held_out_wrong)["calibration_error"] > 0.5
    assert measured(ROWS, [FIT[row["level"]] for row in ROWS])["calibration_error"] < 0.1


def test_a_trained_score_is_read_by_pairs_held_out_because_it_has_seen_the_others() -> None:
    rows: list[Row] = [row | {"pair_id": str(number // len(LEVELS))} for number, row in enumerate(ROWS)]
    # What was learnt by heart scores far above anything that is new.
    scores = [FIT[row["level"]] + 10 * (row["part"] == "learn") for row in rows]
    assert measured(rows, scores)["accuracy"] == pytest.approx(1 / 3, abs=1e-3)
    facts = measured(rows, scores, trained=True)
    assert (facts["accuracy"], facts["auc"], facts["held_out"]) == (1.0, 1.0, 60)
    assert sum(sum(said.values()) for said in facts["confusion"].values()) == 60


def test_a_trained_score_is_not_read_by_its_own_pair() -> None:
    rows: list[Row] = [{"level": level, "part": "held_out", "pair_id": "the only one"} for level in LEVELS]
    assert measured(rows, [3.0, 2.0, 1.0], trained=True)["accuracy"] is None


def test_rows_without_a_score_are_counted_and_left_out() -> None:
    scores: list[float | None] = [FIT[row["level"]] for row in ROWS]
    scores[0] = scores[-1] = None
    facts = measured(ROWS, scores)
    assert (facts["unscored"], facts["learned_from"], facts["held_out"]) == (2, 59, 59)


def test_too_few_rows_give_no_number_rather_than_a_wrong_one() -> None:
    facts = measured(ROWS[:2], [3.0, 2.0])
    assert (facts["accuracy"], facts["auc"], facts["calibration_error"]) == (None, None, None)


def test_a_score_that_is_no_number_counts_as_none() -> None:
    facts = measured(ROWS, [float("nan") if i < 2 else FIT[row["level"]] for i, row in enumerate(ROWS)])
    assert (facts["unscored"], facts["learned_from"], facts["accuracy"]) == (2, 58, 1.0)
