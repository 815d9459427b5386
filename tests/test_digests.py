"""A dictionary of digests that fits into memory behaves like a dictionary."""

from __future__ import annotations

import tracemalloc
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from xirecipe import digests
from xirecipe.digests import Digests


def digest(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


def test_what_is_in_stays_in_with_its_first_number() -> None:
    known = Digests()
    assert known.add(digest(1), 5)
    assert not known.add(digest(1), 6)
    assert (known.get(digest(1)), known.get(digest(2)), len(known)) == (5, None, 1)
    assert digest(1).encode() in known


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2**63 - 1)), max_size=600), st.integers(1, 50))
def test_it_answers_as_a_dictionary_does_however_often_it_sorts(entries: list[tuple[int, int]], waiting: int) -> None:
    before, digests._FEWEST_WAITING = digests._FEWEST_WAITING, waiting
    try:
        known, expected = Digests(), dict[int, int]()
        for number, value in entries:
            assert known.add(digest(number), value) == (number not in expected)
            expected.setdefault(number, value)
        assert len(known) == len(expected)
        assert [known.get(digest(number)) for number in range(402)] == [expected.get(number) for number in range(402)]
    finally:
        digests._FEWEST_WAITING = before


def test_digests_that_begin_alike_are_told_apart() -> None:
    known = Digests()
    alike = [f"{7:016x}{number:048x}" for number in range(0, 2**66, 2**60)]
    halves = {entry[:32] for entry in alike}
    for _ in range(2):
        for entry in alike:
            known.add(entry, int(entry[16:32], 16))
        known._sort_in()
    assert len(known) == len(halves)
    assert all(known.get(entry) == int(entry[16:32], 16) for entry in alike)


def test_a_hundred_thousand_take_less_than_eighty_bytes_each() -> None:
    known = Digests()
    known.add(digest(0))
    known._sort_in()
    tracemalloc.start()
    for number in range(1, 100_001):
        known.add(digest(number), number)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 80 * 100_000
