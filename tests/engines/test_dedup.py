from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xirecipe.columns import columns_after
from xirecipe.engines import readers

pytestmark = pytest.mark.engine

#: What the fixture `dedup` is.
Run = Callable[..., Any]

SYLLABLES = ("la", "le", "li", "lo", "lu", "ma", "me", "mi", "mo", "mu", "na", "ne", "ni", "no", "nu")
#: 120 words without digits: MinHash takes all numbers for the same.
WORDS = [first + middle + "ka" for first in ("ba", "cha", "da", "fu", "gi", "ha", "ji", "ki") for middle in SYLLABLES]
TEXT = " ".join(WORDS)
OTHER = " ".join(reversed(WORDS))
#: Less than MinHash's five words: no n-gram, no near-duplicate.
SHORT = "maneno machache tu"


def changed(*places: int) -> str:
    """The text with some words replaced."""
    return " ".join(f"{word}badala" if place in places else word for place, word in enumerate(WORDS))


def kept(done: Any) -> str:
    return "".join(row["document_id"] for row in done.kept)


def dropped(done: Any) -> list[tuple[str, str, str]]:
    return [(row["document_id"], row["reason"], row["detail"]) for row in done.dropped]


def test_equal_texts_go_and_name_the_one_kept(dedup: Run) -> None:
    done = dedup([SHORT, "kingine", f"  {SHORT.upper()}\n", SHORT.replace(" ", "\n")], minhash=None)
    assert kept(done) == "ab"
    assert dropped(done) == [("c", "dedup.exact", "a"), ("d", "dedup.exact", "a")]
    assert done.balances


def test_near_equal_texts_go_and_name_the_one_kept(dedup: Run) -> None:
    done = dedup([OTHER, TEXT, changed(60), changed(5)])
    assert kept(done) == "ab"
    assert dropped(done) == [("c", "dedup.minhash", "b"), ("d", "dedup.minhash", "b")]
    assert done.outcome.dropped == {"dedup.minhash": 2}


def test_an_equal_text_is_called_equal_and_names_the_first_of_its_whole_group(dedup: Run) -> None:
    done = dedup([TEXT, changed(60), changed(60)])
    assert dropped(done) == [("b", "dedup.minhash", "a"), ("c", "dedup.exact", "a")]


def test_without_the_exact_step_minhash_finds_equal_texts_too(dedup: Run) -> None:
    assert dropped(dedup([TEXT, TEXT], exact=False)) == [("b", "dedup.minhash", "a")]


def test_short_texts_are_never_near_equal(dedup: Run) -> None:
    assert kept(dedup([SHORT, SHORT + "!"])) == "ab"


@pytest.mark.parametrize("seed", range(4))
def test_the_first_read_of_a_group_stays_whatever_the_order(dedup: Run, seed: int) -> None:
    texts = [changed(*range(n)) for n in range(8)] + [OTHER, SHORT]
    random.Random(seed).shuffle(texts)
    first = next(index for index, text in enumerate(texts) if text not in (OTHER, SHORT))
    expected = {chr(ord("a") + index) for index in (first, texts.index(OTHER), texts.index(SHORT))}
    assert set(kept(dedup(texts))) == expected


@pytest.mark.parametrize("texts", [[], [TEXT], [SHORT, "kingine"]], ids=["no row", "one row", "no n-grams"])
def test_there_need_be_no_duplicates_and_no_rows(dedup: Run, texts: Sequence[str]) -> None:
    done = dedup(texts)
    assert (done.outcome.asked, done.outcome.kept, done.dropped) == (len(texts), len(texts), [])


def test_rows_keep_their_columns_and_order(dedup: Run) -> None:
    done = dedup([TEXT, SHORT, OTHER])
    assert [row["text"] for row in done.kept] == [TEXT, SHORT, OTHER]
    assert list(done.kept[0]) == [column.name for column in columns_after("dedup")]


def test_groups_reach_over_tasks(dedup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [TEXT, OTHER, SHORT, changed(60), TEXT, OTHER + " tena"]
    whole = dedup(texts)
    monkeypatch.setattr(readers, "TASK_ROWS", 1)
    monkeypatch.setattr("xirecipe.tables.BATCH_ROWS", 2)
    cut = dedup(texts)
    assert len(list((cut.artifact.folder).glob("data/*"))) == 1
    assert (cut.kept, cut.dropped) == (whole.kept, whole.dropped)
    assert dropped(cut) == [("d", "dedup.minhash", "a"), ("e", "dedup.exact", "a"), ("f", "dedup.minhash", "b")]


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.sampled_from([TEXT, OTHER, SHORT]), st.text(min_size=1)), max_size=12))
def test_whatever_the_texts_are_each_has_one_outcome(dedup: Run, texts: list[str]) -> None:
    done = dedup(texts)
    assert done.balances
    assert done.outcome.asked == len(texts)
