"""Replies of servers become answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from xirecipe.models.replies import answer_of, error_message, first_token_log_probs, score_of


def test_half_a_surrogate_pair_in_a_reply_becomes_text_that_can_be_written_down() -> None:
    reply = json.loads('{"choices": [{"message": {"content": "Write about \\ud83d"}, "finish_reason": "length"}]}')
    assert answer_of(reply).text == "Write about ?"


@pytest.mark.parametrize("form", [
    {"content": [{"top_logprobs": [{"token": "3", "logprob": -0.5}, {"token": "1", "logprob": None}]}]},
    {"top_logprobs": [{"3": -0.5, "1": None}]},
])  # fmt: skip
def test_a_token_without_a_log_probability_is_taken_as_not_listed(form: dict[str, Any]) -> None:
    assert first_token_log_probs({"choices": [{"text": "3", "logprobs": form}]}) == [("3", -0.5)]


def test_half_a_surrogate_pair_in_the_words_of_an_error_can_be_written_down_too() -> None:
    assert error_message('{"error": {"message": "too long: \\ud83d"}}') == "too long: ?"


def test_a_text_without_a_bos_is_scored_though_vllm_leaves_its_first_token_out() -> None:
    given = [None, *({"7": {"logprob": -0.5, "decoded_token": token}} for token in ("b", "c", "d"))]
    assert score_of({"choices": [{"text": "e", "prompt_logprobs": given}]}, "ab", "cd") == (-1.0, 2)


def test_a_token_that_is_listed_without_a_log_probability_is_not_counted() -> None:
    listed = (("b", -1.0), ("c", None), ("d", -0.5))
    given = [None, *({"7": {"logprob": value, "decoded_token": token}} for token, value in listed)]
    assert score_of({"choices": [{"text": "e", "prompt_logprobs": given}]}, "ab", "cd") == (-0.5, 1)


def test_the_log_probabilities_of_another_text_are_none_of_this_one() -> None:
    given = [None, {"7": {"logprob": -0.5, "decoded_token": "x"}}]
    assert score_of({"choices": [{"text": "e", "prompt_logprobs": given}]}, "ab", "cd") is None
