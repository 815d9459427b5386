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


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 60), max_size=30), max_size=8))
def test_many_at_once_are_the_same_as_one_by_one(batches: list[list[int]]) -> None:
    before, digests._MANY = digests._MANY, 10
    try:
        together, single = Digests(), Digests()
        for start, batch in enumerate(batches):
            keys = [digest(number).encode() for number in batch]
            numbers = [100 * start + place for place in range(len(batch))]
            together.add_all(keys, numbers)
            for key, number in zip(keys, numbers, strict=True):
                single.add(key, number)
        assert len(together) == len(single)
        assert [together.get(digest(n)) for n in range(62)] == [single.get(digest(n)) for n in range(62)]
    finally:
        digests._MANY = before


def test_digests_that_begin_alike_are_told_apart() -> None:
    known = Digests()
    alike = [f"{7:016x}{number:016x}{0:032x}" for number in range(64)]
    for digest_, number in zip(alike[:8], range(8), strict=True):
        known.add(digest_, number)
    known.add_all([entry.encode() for entry in alike] * 20, [*range(64)] * 20)
    assert len(known) == 64
    assert [known.get(entry) for entry in alike] == [*range(64)]
    assert f"{7:016x}{64:016x}{0:032x}" not in known


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
