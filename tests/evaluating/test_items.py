"""Which option a model chose, out of its answers."""

from __future__ import annotations

import pytest

from xirecipe.diagnostics import UserError
from xirecipe.evaluating.items import Item, Option, choice_of, item_requests
from xirecipe.models.requests import Answer, Failure

ITEM = Item("1", "eng_Latn", "How many?", (Option("A", "two"), Option("B", "twenty-two")), "B")


def scored(*log_probs: float) -> list[Answer | Failure]:
    return [Answer(log_prob=each, scored_tokens=1) for each in log_probs]


def test_every_option_is_asked_for_behind_the_same_prompt() -> None:
    requests = item_requests(ITEM, "Q: {{ question }}\nA:\n", "p.j2", "likelihood")
    assert [(r.kind, r.prompt, r.continuation) for r in requests] == [
        ("score", "Q: How many?\nA:", " two"), ("score", "Q: How many?\nA:", " twenty-two"),
    ]  # fmt: skip


def test_letters_are_asked_for_at_once_and_a_prompt_can_show_the_options() -> None:
    template = "{{ question }}{% for one in options %} {{ one.letter }}) {{ one.text }}{% endfor %}"
    (request,) = item_requests(ITEM, template, "p.j2", "letter")
    assert (request.kind, request.prompt, request.labels) == ("choose", "How many? A) two B) twenty-two", ("A", "B"))


def test_the_likeliest_option_per_byte_is_chosen_not_the_shortest() -> None:
    # 3 bytes at -1 each, and 10 bytes at -0.5 each.
    assert choice_of(ITEM, scored(-3.0, -5.0), "likelihood").chosen == "b"
    assert choice_of(ITEM, scored(-3.0, -11.0), "likelihood").chosen == "a"


def test_a_question_that_got_no_answer_or_names_no_option_is_no_choice() -> None:
    failed = [*scored(-3.0), Failure("timeout", "late")]
    assert choice_of(ITEM, failed, "likelihood").chosen is None
    assert choice_of(ITEM, [Answer("I do not know")], "letter").chosen is None
    assert choice_of(ITEM, [Answer(" B ")], "letter").chosen == "b"
    assert choice_of(ITEM, [Answer("A", label_log_probs={"A": -2.0, "B": -0.1})], "letter").correct


def test_a_prompt_that_fails_on_an_item_is_named() -> None:
    with pytest.raises(UserError, match=r"p\.j2: "):
        item_requests(ITEM, "{{ question.year }}", "p.j2", "letter")
