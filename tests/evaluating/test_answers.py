"""Which column is the answer, and which rows of two sets belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.diagnostics import Span, UserError
from xirecipe.evaluating.answers import Answered, align, read_answers, unique
from xirecipe.evaluating.files import Table


def table(*rows: dict[str, Any]) -> Table:
    return Table(Path("a.jsonl"), list(rows), [Span("a.jsonl", n) for n in range(1, len(rows) + 1)], "0" * 64)


def code(*rows: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        read_answers(table(*rows))
    return caught.value.diagnostics[0].code


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "p", "answer": "a"},
        {"instruction": "p", "response": "a"},
        {"instruction": "p", "output": "a", "input": ""},
        {"question": "p", "output": "a"},
        {"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "a"}]},
        # A released row has both; its columns are what a person looks at.
        {"instruction": "p", "response": "a", "messages": [{"role": "user", "content": "p Answer in Swahili."}]},
    ],
)
def test_prompt_and_answer_are_found_under_their_usual_names(row: dict[str, Any]) -> None:
    assert read_answers(table(row)) == [Answered(None, "p", "a")]


def test_an_alpaca_input_is_a_part_of_the_prompt() -> None:
    (row,) = read_answers(table({"instruction": "Translate.", "input": "Habari", "output": "Hello"}))
    assert row.prompt == "Translate.\n\nHabari"


def test_of_a_conversation_the_last_turn_is_the_answer_and_the_rest_the_prompt() -> None:
    turns = [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"), ("assistant", "See you")]
    (row,) = read_answers(table({"messages": [{"role": role, "content": text} for role, text in turns]}))
    assert (row.prompt, row.answer) == ("user: Hi\n\nassistant: Hello\n\nuser: Bye", "See you")


def test_ids_and_languages_are_kept_where_they_are() -> None:
    (row,) = read_answers(table({"id": 7, "prompt": "p", "answer": "a", "language": "fin_Latn"}))
    assert row == Answered("7", "p", "a", "fin_Latn")


def test_a_mixed_row_is_in_the_language_of_its_answer() -> None:
    released = {"instruction": "p", "output": "a", "instruction_language": "eng_Latn", "response_language": "fin_Latn"}
    assert read_answers(table(released))[0].language == "fin_Latn"


def test_an_empty_answer_is_an_answer() -> None:
    assert read_answers(table({"prompt": "p", "answer": ""}))[0].answer == ""


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"prompt": "p"}, "missing-column"),
        ({"answer": "a"}, "missing-column"),
        ({"prompt": "p", "answer": None}, "bad-answer"),
        ({"prompt": "p", "answer": 3}, "bad-answer"),
        ({"prompt": "p", "answer": "\ud800"}, "bad-answer"),
        ({"id": "", "prompt": "p", "answer": "a"}, "missing-id"),
        ({"messages": "p"}, "bad-messages"),
        ({"messages": [{"role": "user", "content": "p"}]}, "bad-messages"),
        ({"messages": [{"role": "user", "content": None}, {"role": "assistant", "content": "a"}]}, "bad-messages"),
    ],
)
def test_a_row_that_is_no_answer_is_the_users_error(row: dict[str, Any], wanted: str) -> None:
    assert code(row) == wanted


def test_the_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(UserError) as caught:
        read_answers(table({"prompt": "p", "completion": "a"}))
    (found,) = caught.value.diagnostics
    assert found.message == "a.jsonl has no column `answer` or `response` or `output`"
    assert found.hint is not None
    assert found.hint.endswith("there are: prompt, completion")


def rows(*named: tuple[str | None, str]) -> list[Answered]:
    return [Answered(name, prompt, f"answer to {prompt}") for name, prompt in named]


def test_rows_are_aligned_by_id_and_what_one_side_lacks_is_named() -> None:
    found = align(rows(("1", "p"), ("2", "q"), ("3", "r")), rows(("9", "z"), ("3", "r"), ("1", "p")), "a", "b")
    assert [pair.name for pair in found.pairs] == ["1", "3"]
    assert (found.by, found.only_a, found.only_b) == ("id", ["2"], ["9"])


def test_without_ids_on_a_side_rows_are_aligned_by_prompt_with_white_space_folded() -> None:
    found = align(rows(("1", "p  q"), ("2", "r")), rows((None, " p q\n"), (None, "s")), "a", "b")
    assert [pair.a.id for pair in found.pairs] == ["1"]
    assert (found.by, found.only_a, found.only_b) == ("prompt", ["2"], ["s"])


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        (rows(("1", "p")), rows(("2", "p")), "nothing-in-common"),
        (rows((None, "p")), rows((None, "q")), "nothing-in-common"),
        (rows(("1", "p")), rows(("1", "q")), "other-prompts"),
        (rows(("1", "p"), ("1", "q")), rows(("1", "p")), "repeated-row"),
        (rows((None, "p")), rows((None, "p"), (None, "p ")), "repeated-row"),
    ],
)
def test_sets_that_do_not_answer_the_same_prompts_are_refused(
    a: list[Answered], b: list[Answered], wanted: str
) -> None:
    with pytest.raises(UserError) as caught:
        align(a, b, "a", "b")
    assert caught.value.diagnostics[0].code == wanted
    assert caught.value.diagnostics[0].hint


def test_a_set_with_one_id_twice_is_refused() -> None:
    with pytest.raises(UserError, match="has the id `1` twice"):
        unique(rows(("1", "p"), ("1", "q")), "a")


ids = st.lists(st.integers(0, 30).map(str), unique=True, min_size=1)


@given(ids, ids)
def test_every_row_of_both_sides_is_paired_or_named(a: list[str], b: list[str]) -> None:
    left, right = rows(*((i, i) for i in a)), rows(*((i, i) for i in b))
    if not set(a) & set(b):
        with pytest.raises(UserError):
            align(left, right, "a", "b")
        return
    found = align(left, right, "a", "b")
    assert len(found.pairs) + len(found.only_a) == len(a)
    assert len(found.pairs) + len(found.only_b) == len(b)
    assert all(pair.a.id == pair.b.id for pair in found.pairs)
