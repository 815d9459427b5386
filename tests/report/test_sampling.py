"""Samples that are the same every time and fair, and beginnings that never cut a letter in two."""

from __future__ import annotations

from collections import Counter

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.report.sampling import Reservoir, beginning


def drawn(size: int, stream: range, seed: str) -> list[int]:
    reservoir: Reservoir[int] = Reservoir(size, seed)
    for item in stream:
        reservoir.add(item)
    return reservoir.items


def test_a_short_stream_is_kept_whole_and_in_order() -> None:
    assert drawn(10, range(7), "a") == list(range(7))


def test_the_same_seed_draws_the_same_and_another_seed_others() -> None:
    assert drawn(10, range(1000), "a") == drawn(10, range(1000), "a")
    assert drawn(10, range(1000), "a") != drawn(10, range(1000), "b")


def test_late_items_are_drawn_as_often_as_early_ones() -> None:
    halves = Counter(item >= 50 for seed in range(400) for item in drawn(5, range(100), str(seed)))
    assert 0.9 < halves[True] / halves[False] < 1.1


@given(st.text(), st.integers(1, 30))
def test_a_beginning_ends_between_graphemes(text: str, graphemes: int) -> None:
    shown = beginning(text, graphemes)
    whole = regex.findall(r"\X", text)
    if shown != text:
        shown = shown.removesuffix(" …")
        assert any("".join(whole[:n]).rstrip() == shown for n in range(graphemes + 1))


@pytest.mark.parametrize("text", ["क्षि" * 9, "กำ" * 9, "\u0b95\u0bcd\u0bb7\u0bbf" * 9, "👩‍👩‍👧" * 9])
def test_signs_stay_with_their_letters(text: str) -> None:
    first = regex.findall(r"\X", text)[0]
    assert beginning(text, 1) == f"{first} …"


def test_words_stay_whole_where_white_space_is_near() -> None:
    assert beginning("maji ni uhai wetu", 14) == "maji ni uhai …"
