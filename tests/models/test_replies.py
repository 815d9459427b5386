"""Replies of servers become answers."""

from __future__ import annotations

import json

from xirecipe.models.replies import answer_of, error_message


def test_half_a_surrogate_pair_in_a_reply_becomes_text_that_can_be_written_down() -> None:
    reply = json.loads('{"choices": [{"message": {"content": "Write about \\ud83d"}, "finish_reason": "length"}]}')
    assert answer_of(reply).text == "Write about ?"


def test_half_a_surrogate_pair_in_the_words_of_an_error_can_be_written_down_too() -> None:
    assert error_message('{"error": {"message": "too long: \\ud83d"}}') == "too long: ?"
