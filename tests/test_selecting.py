"""What `select` keeps, and that every candidate is accounted for."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.recipe.selection import Select
from xirecipe.selecting import fold, select_rows
from xirecipe.tables import Row


def row(
    document: str, score: float | None = 1.0, draw: int = 0, instruction: str | None = None, cluster: int = 0
) -> Row:
    return {
        "document_id": document,
        "draw": draw,
        "instruction": instruction or f"Describe {document}.",
        "rubric_score": score,
        "likelihood_gain": None,
        "cluster": cluster,
    }


def ids(rows: list[Row]) -> list[str]:
    return [r["document_id"] for r in rows]


def outcome(dropped: list[Row]) -> list[tuple[str, int, str, Any, Any]]:
    return [(r["document_id"], r["draw"], r["reason"], r["value"], r["threshold"]) for r in dropped]


def test_the_best_draw_of_each_document_stays() -> None:
    kept, dropped = select_rows([row("a", 1, 0), row("a", 3, 1), row("a", 2, 2)], Select())
    assert [(r["document_id"], r["draw"], r["score"]) for r in kept] == [("a", 1, 3.0)]
    assert outcome(dropped) == [("a", 0, "select.best_draw", 1.0, 3.0), ("a", 2, "select.best_draw", 2.0, 3.0)]
    assert dropped[0]["detail"] == "draw 1 of this document is better"


def test_of_equal_draws_the_first_stays() -> None:
    kept, _ = select_rows([row("a", 2, 1), row("a", 2, 0)], Select())
    assert kept[0]["draw"] == 0


def test_the_threshold_is_inclusive_and_a_dropped_row_carries_it() -> None:
    kept, dropped = select_rows([row("a", 2.5), row("b", 2.4999)], Select(min_score=2.5))
    assert ids(kept) == ["a"]
    assert outcome(dropped) == [("b", 0, "select.min_score", 2.4999, 2.5)]


@pytest.mark.parametrize("score", [None, float("nan")])
def test_a_row_without_a_score_is_dropped_for_that(score: float | None) -> None:
    kept, dropped = select_rows([row("a", score), row("b")], Select())
    assert ids(kept) == ["b"]
    assert outcome(dropped) == [("a", 0, "select.no_score", None, None)]
    assert dropped[0]["detail"] == "the judge gave no rubric_score"


def test_the_score_that_ranks_is_the_one_the_recipe_names() -> None:
    rows = [{**row("a", 1), "likelihood_gain": 0.1}, {**row("a", 3, 1), "likelihood_gain": 0.0}]
    assert select_rows(rows, Select(score="likelihood"))[0][0]["draw"] == 0
    assert select_rows(rows, Select(score="rubric"))[0][0]["draw"] == 1


def test_an_instruction_that_was_kept_before_is_a_repeat_whatever_its_case_and_marks() -> None:
    rows = [row("a", 3, instruction="What is rain?"), row("b", 2, instruction="what is  RAIN"), row("c", 1)]
    kept, dropped = select_rows(rows, Select())
    assert ids(kept) == ["a", "c"]
    assert outcome(dropped) == [("b", 0, "select.max_instruction_repeats", 2.0, 1.0)]
    assert dropped[0]["detail"] == "also asked for a"


def test_repeats_may_be_allowed() -> None:
    rows = [row(name, instruction="What is rain?") for name in "abc"]
    assert ids(select_rows(rows, Select(max_instruction_repeats=2))[0]) == ["a", "b"]
    assert ids(select_rows(rows, Select(max_instruction_repeats=None))[0]) == ["a", "b", "c"]


def test_clusters_take_turns_so_that_small_ones_keep_their_rows() -> None:
    rows = [row(f"big{i}", 9 - i, cluster=0) for i in range(5)] + [
        row("small", 1, cluster=1),
        row("tiny", 0, cluster=2),
    ]
    kept, dropped = select_rows(rows, Select(rows=4))
    assert ids(kept) == ["big0", "big1", "small", "tiny"]
    assert outcome(dropped) == [(f"big{i}", 0, "select.rows", None, 4.0) for i in (2, 3, 4)]
    assert dropped[0]["detail"] == "cluster 0 had better rows"


@pytest.mark.parametrize(
    ("text", "folded"), [("What's   Rain?!", "what s rain"), ("STRASSE", "strasse"), ("e\u0301", "é"), ("...", "")]
)
def test_folding_takes_away_what_makes_no_other_instruction(text: str, folded: str) -> None:
    assert fold(text) == folded


candidates = st.lists(
    st.builds(
        row,
        st.sampled_from("abcdefgh"),
        st.none() | st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]),
        st.integers(0, 3),
        st.sampled_from(["What is rain?", "what is rain", "Describe food.", "Tell a story."]),
        st.integers(0, 2),
    ),
    unique_by=lambda r: (r["document_id"], r["draw"]),
    max_size=24,
)
configs = st.builds(
    Select,
    min_score=st.none() | st.sampled_from([0.5, 2.0]),
    rows=st.none() | st.integers(1, 6),
    max_instruction_repeats=st.none() | st.integers(1, 2),
)


@given(candidates, configs)
def test_every_candidate_is_kept_or_dropped_once_with_a_reason(rows: list[Row], config: Select) -> None:
    kept, dropped = select_rows(rows, config)
    names = Counter((r["document_id"], r["draw"]) for r in [*kept, *dropped])
    assert names == Counter((r["document_id"], r["draw"]) for r in rows)
    assert all(r["reason"].startswith("select.") for r in dropped)


@given(candidates, configs)
def test_what_is_kept_keeps_every_promise(rows: list[Row], config: Select) -> None:
    kept, _ = select_rows(rows, config)
    assert len(set(ids(kept))) == len(kept)
    assert all(config.min_score is None or r["score"] >= config.min_score for r in kept)
    assert config.rows is None or len(kept) <= config.rows
    if config.max_instruction_repeats is not None:
        assert max(Counter(fold(r["instruction"]) for r in kept).values(), default=0) <= config.max_instruction_repeats


@given(candidates, configs)
def test_rows_are_exact_where_there_are_enough(rows: list[Row], config: Select) -> None:
    without = config.model_copy(update={"rows": None})
    enough = len(select_rows(rows, without)[0])
    assert len(select_rows(rows, config)[0]) == (enough if config.rows is None else min(enough, config.rows))


@given(candidates, configs, st.integers(0, 99))
def test_the_order_of_the_input_decides_nothing(rows: list[Row], config: Select, seed: int) -> None:
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert select_rows(shuffled, config) == select_rows(rows, config)


@given(candidates, configs)
def test_the_input_is_left_as_it_was(rows: list[Row], config: Select) -> None:
    before = [dict(r) for r in rows]
    select_rows(rows, config)
    assert rows == before


def test_the_uncovered_pick_weighs_quality_six_to_one_and_spreads_what_is_nearly_as_good() -> None:
    rows = [row(f"big-{i}", 3 - i / 100, cluster=0) for i in range(8)] + [row("small", 2.0, cluster=1)]
    by_quality, _ = select_rows(rows, Select(rows=3, pick="uncovered", quality_weight=1000))
    by_novelty, _ = select_rows(rows, Select(rows=3, pick="uncovered", quality_weight=0.01))
    assert ids(by_quality) == ["big-0", "big-1", "big-2"]
    assert ids(by_novelty) == ["big-0", "big-1", "small"]
    assert Select().quality_weight == 6


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(1, 3)), min_size=1, max_size=30),
    st.integers(1, 30),
    st.sampled_from(["quota", "uncovered"]),
)
def test_rows_are_exactly_as_many_as_asked_for_or_all_there_are(
    candidates: list[tuple[int, float]], wanted: int, pick: Any
) -> None:
    rows = [row(f"d{i:02}", score, cluster=cluster) for i, (cluster, score) in enumerate(candidates)]
    kept, dropped = select_rows(rows, Select(rows=wanted, pick=pick))
    assert len(kept) == min(wanted, len(rows))
    assert len(kept) + len(dropped) == len(rows)


def test_a_near_duplicate_instruction_goes_and_names_the_better_one() -> None:
    rows = [
        {**row("a", 3, instruction="Explain how rain forms."), "embedding": [1.0, 0.0]},
        {**row("b", 2, instruction="Explain how rain is formed."), "embedding": [0.995, 0.0998]},
        {**row("c", 1, instruction="Describe bread."), "embedding": [0.0, 1.0]},
    ]
    kept, dropped = select_rows(rows, Select(max_instruction_similarity=0.97))
    assert ids(kept) == ["a", "c"]
    assert dropped[0]["reason"] == "select.max_instruction_similarity"
    assert dropped[0]["value"] == pytest.approx(0.995)
    assert dropped[0]["detail"] == "near-duplicate of a: Explain how rain forms."


def test_near_duplicates_in_different_clusters_are_not_compared() -> None:
    rows = [{**row(name, cluster=i), "embedding": [1.0, 0.0]} for i, name in enumerate("ab")]
    kept, _ = select_rows(rows, Select(max_instruction_similarity=0.97))
    assert ids(kept) == ["a", "b"]
