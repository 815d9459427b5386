"""How many documents are read for so many rows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from xirecipe.enough import SHARD, next_documents, spread

known = st.none() | st.integers(1, 5_000)


def test_the_first_reading_hangs_on_the_number_of_rows_alone() -> None:
    assert next_documents(80) == 80
    assert spread(next_documents(80), {"web": None}) == {"web": 100}
    assert spread(next_documents(32_000), {"web": None}) == {"web": 32_000}


def test_the_next_reading_is_what_the_rate_says_and_a_tenth_more() -> None:
    assert next_documents(200, read=1_000, passed=100) == 2_200


def test_a_rate_that_rests_on_few_rows_grows_the_reading_fourfold_at_most() -> None:
    assert next_documents(200, read=100, passed=1) == 400
    assert next_documents(200, read=100, passed=0) == 400


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.data())
def test_every_reading_is_longer_than_the_one_before(wanted: int, read: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, min(wanted - 1, read)))
    assert next_documents(wanted, read, passed) > read


def test_sources_give_as_many_each_and_others_give_what_one_does_not_have() -> None:
    assert spread(1_000, {"web": None, "books": None}) == {"web": 500, "books": 500}
    assert spread(1_000, {"web": None, "books": 120, "songs": None}) == {"web": 500, "books": 120, "songs": 500}
    assert spread(1_000, {"web": 700, "books": 120}) == {"web": 700, "books": 120}
    assert spread(600, {"web": 550, "books": 120}) == {"web": 500, "books": 120}
    assert spread(401, {"web": None, "books": None, "songs": None, "plays": 101}) == {
        "web": 200, "books": 200, "songs": 200, "plays": 101,
    }  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.integers(1, 20_000), st.dictionaries(st.sampled_from("abcdef"), known, min_size=1))
def test_a_reading_is_of_whole_shards_and_enough_unless_there_is_no_more(
    documents: int, most: dict[str, int | None]
) -> None:
    reading = spread(documents, most)
    assert reading.keys() == most.keys()
    everything = all(count == most[name] for name, count in reading.items())
    assert everything or sum(reading.values()) >= documents
    shares = {count for name, count in reading.items() if count != most[name]}
    assert len(shares) <= 1
    assert all(count % SHARD == 0 for count in shares)
    for share in shares - {SHARD}:
        # One shard less of each would not have been enough.
        assert sum(min(most[name] or share, share - SHARD) for name in most) < documents


@given(st.integers(1, 20_000), st.dictionaries(st.sampled_from("abc"), known, min_size=1))
def test_more_documents_never_read_less_of_a_source(documents: int, most: dict[str, int | None]) -> None:
    less, more = spread(documents, most), spread(documents + 1, most)
    assert all(more[name] >= less[name] for name in most)
