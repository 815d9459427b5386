"""Evaluator and rounds, as a card tells of them."""

from __future__ import annotations

from typing import Any

from xirecipe.artifact import Manifest
from xirecipe.columns import StageKind
from xirecipe.hub.rounds import EvaluatorFacts, RoundFacts, evaluators, rounds

MEASURED = {"learned_from": 60, "held_out": 40, "accuracy": 0.5, "auc": 0.9, "calibration_error": 0.1}


def manifest(stage: StageKind, **facts: Any) -> Manifest:
    return Manifest(stage, "0" * 64, {}, 1, 1, 1, facts=facts)


def test_the_evaluator_of_the_last_pass_that_rated_is_the_one_shown() -> None:
    passes = [
        manifest("judge", evaluators={"rubric": {**MEASURED, "accuracy": 0.4}}),
        manifest("refine", evaluators={"rubric": MEASURED}, round={"round": 1, "stopped": True}),
        manifest("refine", round={"round": 2, "stopped": True}),
        manifest("embed"),
    ]
    assert evaluators(passes) == (EvaluatorFacts("rubric", 60, 40, 0.5, 0.9, 0.1),)


def test_a_plan_without_a_rating_set_has_no_evaluator_facts() -> None:
    assert evaluators([manifest("judge", ratings={"text": 3})]) == ()


def test_a_round_that_was_not_run_says_only_that() -> None:
    told = {
        "round": 1, "stopped": False, "flawed": 4, "redrafted": 8, "changed_ratio": 0.25, "agreement": 1.0,
        "mean_score_after": 2.5, "yield_after": 0.75, "documents": 16, "kept_ratings": 3,
    }  # fmt: skip
    found = rounds(
        [manifest("judge"), manifest("refine", round=told), manifest("refine", round={"round": 2, "stopped": True})]
    )
    assert found == (RoundFacts(1, False, 4, 8, 0.25, 1.0, 2.5, 0.75, 3), RoundFacts(2, True))
