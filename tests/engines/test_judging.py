"""Ratings out of a judge's answer."""

from __future__ import annotations

import math

import pytest

from xirecipe.engines.judging import rubric_score
from xirecipe.models.requests import Answer

LEVELS = {"3": 3.0, "2": 2.0, "1": 1.0}


def test_label_probabilities_give_the_mean_level() -> None:
    answer = Answer("3", label_log_probs={"3": math.log(0.6), "2": math.log(0.2)})
    score, how = rubric_score(answer, LEVELS)
    assert how == "log_probabilities"
    assert score == pytest.approx((3 * 0.6 + 2 * 0.2) / 0.8)


@pytest.mark.parametrize(("text", "level"), [("3", 3.0), (" 2.\n", 2.0), ("Level: 1", 1.0), ("**3**", 3.0)])
def test_without_probabilities_the_one_label_in_the_text_counts(text: str, level: float) -> None:
    assert rubric_score(Answer(text), LEVELS) == (level, "text")


@pytest.mark.parametrize(
    "text",
    ["", "good", "From 1 to 3, this is a 3.", "10/10", "Rating: 2.5", "I cannot rate; 2023 text", "1/3"],
)
def test_a_text_that_names_no_level_or_several_is_unparsable(text: str) -> None:
    assert rubric_score(Answer(text), LEVELS) == (None, "unparsable")
