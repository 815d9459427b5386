"""Filters in a measured order: what is chosen, what stays the same, what the manifest says."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datatrove.data import Document
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.conftest import Run
from tests.engines.test_corpus import WEB, Write
from xirecipe.engines.filter_order import Measured, decided
from xirecipe.engines.filters import Length, quality_filters
from xirecipe.load import load_language
from xirecipe.recipe.corpus import LengthFilter

RECIPES = Path(__file__).parents[2] / "recipes"
NAMES = ("length", "language", "gopher_quality", "gopher_repetition", "fineweb_quality")
#: Kept by all, dropped by each of the filters, and dropped by several.
SAMPLE = [json.loads(line) for line in (RECIPES / "sample" / "swh_Latn.jsonl").read_text(encoding="utf-8").splitlines()]
TEXTS = {row["id"]: row["text"] for row in SAMPLE if (row.get("text") or "").strip()}
SOME = {name: text for number, (name, text) in enumerate(TEXTS.items()) if "drop-" in name or number % 10 == 0}


def swahili_filters(**more: Any) -> dict[str, Any]:
    language, _, _ = load_language(RECIPES / "languages" / "swh_Latn.yaml")
    assert language is not None
    return language.filters.model_dump(mode="json") | {"length": {"min_chars": 300}} | more


def measured(drops: list[list[int]], seconds: list[float], after: list[float] | None = None) -> Measured:
    """Of the first filters of NAMES; each costs the same on every document."""
    shape = np.array(drops, dtype=bool).shape
    return Measured(
        NAMES[: len(drops)],
        np.array(drops, dtype=bool),
        np.broadcast_to(np.array(seconds)[:, None], shape),
        np.broadcast_to(np.array(after or seconds)[:, None], shape),
    )


def test_a_filter_that_drops_more_for_its_cost_comes_first() -> None:
    assert measured([[0, 0, 0, 1], [1, 1, 1, 0]], [1.0, 2.0]).cheapest() == (1, 0)


def test_a_filter_that_drops_nothing_that_others_leave_comes_last_however_much_it_drops() -> None:
    # Alone the second ranks before the third; behind the first it drops nothing more.
    found = measured([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]], [1.0, 2.0, 3.0])
    assert found.cheapest() == (0, 2, 1)


def test_the_declared_order_stays_where_no_other_is_cheaper() -> None:
    assert measured([[0, 0], [0, 0], [0, 0]], [3.0, 1.0, 2.0]).cheapest() == (0, 1, 2)


def test_words_are_paid_for_by_the_filter_that_splits_them_first() -> None:
    # language, then the two filters of words: 4 + 1, not 4 + 4.
    found = measured([[0], [0], [0], [0]], [0.0, 2.0, 4.0, 4.0], [0.0, 2.0, 1.0, 1.0])
    assert found.price((0, 1, 2, 3)) == 7.0


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6), st.permutations(range(5)))
def test_no_order_is_cheaper_than_the_chosen_one(drops: list[list[int]], other: list[int]) -> None:
    found = measured([list(column) for column in zip(*drops, strict=True)], [1.0, 5.0, 4.0, 3.0, 2.0])
    assert found.price(found.cheapest()) <= found.price(other)


@pytest.mark.engine
def test_the_same_documents_stay_whatever_the_order() -> None:
    language, _, _ = load_language(RECIPES / "languages" / "swh_Latn.yaml")
    assert language is not None
    config = language.filters.model_copy(update={"length": LengthFilter(min_chars=300)})
    filters = quality_filters(config, language, lambda name: None)
    assert tuple(each.name for each in filters) == NAMES
    found = set()
    for order in permutations(filters):
        stay = [name for name, text in SOME.items() if all(each.verdict(Document(text, "x")) is None for each in order)]
        found.add(tuple(stay))
    assert len(found) == 1
    assert 0 < len(found.pop()) < len(SOME)


@pytest.mark.engine
def test_a_measured_order_keeps_the_same_rows_and_accounts_for_all_others(corpus: Run, jsonl: Write) -> None:
    jsonl("web.jsonl", SAMPLE)
    declared = corpus(WEB, filters=swahili_filters())
    done = corpus(WEB, filters=swahili_filters(), filter_order="measured", workers=2)
    assert done.kept == declared.kept
    assert done.balances
    assert sum(done.outcome.dropped.values()) == sum(declared.outcome.dropped.values())
    assert "filter_order" not in declared.outcome.facts


@pytest.mark.engine
def test_the_manifest_says_in_which_order_filters_ran_and_by_which_measurement(corpus: Run, jsonl: Write) -> None:
    # Nothing is short or repetitive and all are English: nothing before `language` can pay for itself.
    english = "The children went to the market with their mother to buy fruit and vegetables, number {}, for the week."
    jsonl("web.jsonl", [{"text": english.format(number)} for number in range(20)])
    filters = {
        "length": {"min_chars": 1},
        "language": {"min_score": 0.5},
        "gopher_quality": {"min_words": 5, "min_stop_words": None},
    }
    facts = corpus(WEB, filters=filters, filter_order="measured").outcome.facts
    order = facts["filter_order"]
    assert order["documents"] == 20
    assert order["order"][0]["filter"] == "language"
    assert [each["filter"] for each in facts["filters"]] == [each["filter"] for each in order["order"]]
    assert {each["filter"]: each["dropped_ratio"] for each in order["order"]} == {
        "length": 0.0, "language": 1.0, "gopher_quality": 0.0,
    }  # fmt: skip
    assert 0 < order["seconds_per_document"] <= order["declared_seconds_per_document"]


@pytest.mark.engine
def test_the_declared_order_stays_where_no_row_can_be_read(corpus: Run, jsonl: Write) -> None:
    jsonl("web.jsonl", [{"text": " "}])
    facts = corpus(WEB, filters={"length": {"min_chars": 5}}, filter_order="measured").outcome.facts
    assert facts["filter_order"]["documents"] == 0
    assert [each["filter"] for each in facts["filters"]] == ["length", "language"]


def test_an_order_that_an_interrupted_run_decided_is_not_measured_again(tmp_path: Path) -> None:
    record = tmp_path / "slurm" / "filter-order.json"
    filters = [Length(LengthFilter(min_chars=5))]
    _, first = decided(filters, [Document("abc", "x")], record)
    _, second = decided(filters, [], record)
    assert first["documents"] == 1
    assert second == first
