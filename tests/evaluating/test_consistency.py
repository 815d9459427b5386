"""AC3, against tables worked out by hand and against the definition spelled out."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.diagnostics import Span, UserError
from xirecipe.evaluating.consistency import (
    Choice,
    align_items,
    choice_rows,
    consistency_of_item,
    read_choices,
    summarize,
)
from xirecipe.evaluating.files import Table
from xirecipe.recipe.evaluation import Bootstrap

LANGUAGES = ("en", "zh", "vi")


def choices(rows: dict[str, tuple[str, str]], languages: tuple[str, ...] = LANGUAGES) -> list[Choice]:
    """`{"item": ("AAB", "A")}`: the options chosen in each language (`-`: none, ` `: no row), and the right one."""
    return [
        Choice(item, language, None if chosen == "-" else chosen, right)
        for item, (all_chosen, right) in rows.items()
        for language, chosen in zip(languages, all_chosen, strict=True)
        if chosen != " "
    ]


#: Right: 3 + 2 + 0 + 2 of 12. Pairs of languages that agree, of three: 3, 1, 0, 1. All three agree: once in four.
BY_HAND = {"i1": ("AAA", "A"), "i2": ("AAB", "A"), "i3": ("BCD", "A"), "i4": ("-BB", "B")}


def test_accuracy_consistency_and_ac3_are_those_worked_out_by_hand() -> None:
    found = summarize(align_items(choices(BY_HAND), "a"), Bootstrap(samples=100))
    assert found["items"] == 4
    assert found["accuracy"]["mean"] == pytest.approx(7 / 12)
    assert found["subsets"]["2"]["consistency"]["mean"] == pytest.approx(5 / 12)
    assert found["subsets"]["2"]["ac3"]["mean"] == pytest.approx(2 * 7 * 5 / 144)
    assert found["subsets"]["3"]["consistency"]["mean"] == pytest.approx(1 / 4)
    assert found["subsets"]["3"]["ac3"]["mean"] == pytest.approx(0.35)
    means = {language: each["mean"] for language, each in found["accuracy_by_language"].items()}
    assert means == {"en": 0.5, "zh": 0.75, "vi": 0.5}


def test_no_option_is_wrong_equal_to_nothing_and_counted() -> None:
    found = summarize(align_items(choices({"i": ("---", "A")}), "a"), Bootstrap(samples=10))
    assert found["no_choice"] == 3
    assert found["accuracy"]["mean"] == found["subsets"]["2"]["consistency"]["mean"] == 0
    assert found["subsets"]["2"]["ac3"] == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_a_model_that_is_always_right_is_perfect_in_every_number() -> None:
    found = summarize(align_items(choices({str(n): ("CCC", "C") for n in range(5)}), "a"), Bootstrap(samples=10))
    assert {found["accuracy"]["low"], *(each["ac3"]["low"] for each in found["subsets"].values())} == {1.0}


@given(st.lists(st.sampled_from(["A", "B", "C", None]), min_size=2, max_size=6), st.data())
def test_counting_options_gives_what_listing_all_subsets_gives(chosen: list[str | None], data: st.DataObject) -> None:
    size = data.draw(st.integers(2, len(chosen)))
    agree = [len(set(subset)) == 1 and subset[0] is not None for subset in combinations(chosen, size)]
    assert consistency_of_item(chosen, size) == pytest.approx(fmean(agree))


def test_items_missing_in_a_language_are_left_out_everywhere_and_named() -> None:
    items = align_items(choices(BY_HAND | {"i5": ("A A", "A"), "i6": (" AA", "A")}), "a")
    assert list(items.choices) == list(BY_HAND)
    assert items.missing == {"zh": ["i5"], "en": ["i6"]}
    found = summarize(items, Bootstrap(samples=10))
    assert found["missing_items"]["zh"] == {"count": 1, "items": ["i5"]}
    assert len(choice_rows(items)) == 12


def table(*rows: dict[str, Any]) -> Table:
    return Table(Path("a.jsonl"), list(rows), [Span("a.jsonl", n) for n in range(1, len(rows) + 1)], "0" * 64)


def test_options_are_compared_without_case_and_white_space_and_may_be_numbers() -> None:
    rows = read_choices(
        table(
            {"id": 1, "language": "en", "prediction": " a ", "label": "A"},
            {"id": 1, "language": "fi", "prediction": 2, "label": "2"},
            {"id": 1, "language": "sw", "prediction": None, "label": 0},
        )
    )
    assert [row.correct for row in rows] == [True, True, False]
    assert rows[2].right == "0"


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ({"i": ("A", "A")}, "one-language"),
        ({"i": ("A ", "A"), "j": (" A", "A")}, "nothing-in-common"),
    ],
)
def test_items_that_cannot_be_compared_are_the_users_error(rows: dict[str, tuple[str, str]], code: str) -> None:
    languages = LANGUAGES[: len(next(iter(rows.values()))[0])]
    with pytest.raises(UserError) as caught:
        align_items(choices(rows, languages), "a")
    assert caught.value.diagnostics[0].code == code
    assert caught.value.diagnostics[0].hint


def test_options_in_another_order_in_another_language_are_refused() -> None:
    with pytest.raises(UserError, match="1 items have another right option in another language, such as `i`"):
        align_items([Choice("i", "en", "a", "a"), Choice("i", "fi", "a", "b")], "a")


def test_an_item_twice_in_a_language_is_refused() -> None:
    with pytest.raises(UserError, match="has the item `i` twice in en"):
        align_items([Choice("i", "en", "a", "a"), Choice("i", "en", "b", "a"), Choice("i", "fi", "a", "a")], "a")


def test_a_row_without_the_right_option_is_shown_with_its_place() -> None:
    with pytest.raises(UserError) as caught:
        read_choices(table({"id": 1, "language": "en", "chosen": "A", "right": ""}))
    assert caught.value.diagnostics[0].message == "`right` is missing"
    assert caught.value.diagnostics[0].span == Span("a.jsonl", 1)


def test_a_table_without_a_language_is_refused() -> None:
    with pytest.raises(UserError, match="has no column `language`"):
        read_choices(table({"id": 1, "chosen": "A", "right": "A"}))
