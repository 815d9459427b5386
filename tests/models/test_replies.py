"""Replies of servers become answers."""

from __future__ import annotations

import json

from xirecipe.models.replies import answer_of, error_message, score_of


def test_half_a_surrogate_pair_in_a_reply_becomes_text_that_can_be_written_down() -> None:
    reply = json.loads('{"choices": [{"message": {"content": "Write about \\ud83d"}, "finish_reason": "length"}]}')
    assert answer_of(reply).text == "Write about ?"


def test_half_a_surrogate_pair_in_the_words_of_an_error_can_be_written_down_too() -> None:
    assert error_message('{"error": {"message": "too long: \\ud83d"}}') == "too long: ?"


def test_a_text_without_a_bos_is_scored_though_vllm_leaves_its_first_token_out() -> None:
    given = [None, *({"7": {"logprob": -0.5, "decoded_token": token}} for token in ("b", "c", "d"))]
    assert score_of({"choices": [{"text": "e", "prompt_logprobs": given}]}, "ab", "cd") == (-1.0, 2)


def test_the_log_probabilities_of_another_text_are_none_of_this_one() -> None:
    given = [None, {"7": {"logprob": -0.5, "decoded_token": "x"}}]
    assert score_of({"choices": [{"text": "e", "prompt_logprobs": given}]}, "ab", "cd") is None
