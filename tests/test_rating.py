"""The rating set that is made from the seed, and what an evaluator's prompt sees of it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from xirecipe.pairs import Exemplar, Pair, Rated
from xirecipe.rating import examples, rating_rows
from xirecipe.recipe.generation import RatingSet, Rubric
from xirecipe.recipe.language import Language

PAIRS = [
    Pair(f"p{i}", f"Write about topic {i}.", f"Mada {i} ni ndefu. Sentensi ya pili. Sentensi ya tatu. Mwisho {i}.")
    for i in range(10)
]
NEIGHBOURS = [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]
SWAHILI = Language(
    code="swh_Latn", name="Swahili", native_name="Kiswahili", hub_code="sw", lid_labels=("sw",), sources=("tests",)
)
RUBRIC = Rubric(prompt="p", levels={"3": 3, "2": 2, "1": 1}, examples_per_level=1)


def test_every_pair_gives_one_row_of_each_level() -> None:
    rows = rating_rows(PAIRS, NEIGHBOURS, RatingSet(), SWAHILI)
    assert Counter((row["pair_id"], row["level"]) for row in rows) == Counter(
        (pair.id, level) for pair in PAIRS for level in ("top", "middle", "bottom")
    )


def test_the_levels_are_the_pair_a_partly_fitting_text_and_another_pairs_text() -> None:
    rows = {(row["pair_id"], row["level"]): row for row in rating_rows(PAIRS, NEIGHBOURS, RatingSet(), SWAHILI)}
    assert (rows["p0", "top"]["made"], rows["p0", "top"]["text"]) == ("pair", PAIRS[0].response)
    assert (rows["p0", "middle"]["made"], rows["p0", "middle"]["text"]) == ("truncated", "Mada 0 ni ndefu.")
    assert (rows["p1", "middle"]["made"], rows["p1", "middle"]["text_id"]) == ("neighbour", "p0")
    assert all(
        rows[pair.id, "bottom"]["text_id"] not in (pair.id, PAIRS[n].id)
        for pair, n in zip(PAIRS, NEIGHBOURS, strict=True)
    )


def test_the_three_rows_of_a_pair_stand_on_one_side() -> None:
    rows = rating_rows(PAIRS, NEIGHBOURS, RatingSet(held_out_ratio=0.4), SWAHILI)
    sides = {(row["pair_id"], row["part"]) for row in rows}
    assert len(sides) == len(PAIRS)
    assert Counter(part for _, part in sides) == {"learn": 6, "held_out": 4}


def test_an_instruction_that_another_seed_is_measured_on_is_held_out_here_too() -> None:
    rows = rating_rows(PAIRS, NEIGHBOURS, RatingSet(held_out_ratio=0.1), SWAHILI, {"Write about topic 3."})
    held_out = {row["pair_id"] for row in rows if row["part"] == "held_out"}
    assert "p3" in held_out
    assert len(held_out) <= 2


def test_another_random_seed_holds_out_other_pairs() -> None:
    def held_out(seed: int) -> set[str]:
        rows = rating_rows(PAIRS, NEIGHBOURS, RatingSet(random_seed=seed), SWAHILI)
        return {row["pair_id"] for row in rows if row["part"] == "held_out"}

    assert held_out(0) == held_out(0)
    assert len({frozenset(held_out(seed)) for seed in range(5)}) > 1


def test_one_pair_alone_makes_no_set() -> None:
    assert rating_rows(PAIRS[:1], [], RatingSet(), SWAHILI) == []


def test_two_pairs_make_a_set_though_the_neighbour_is_the_only_other() -> None:
    rows = rating_rows(PAIRS[:2], [1, 0], RatingSet(middle=("truncated",)), SWAHILI)
    assert [row["text_id"] for row in rows if row["level"] == "bottom"] == ["p1", "p0"]


@given(st.integers(2, 12), st.integers(0, 3), st.floats(0.1, 0.9))
def test_whatever_the_seed_the_set_is_whole_and_no_bottom_text_is_the_right_one(
    size: int, seed: int, held_out: float
) -> None:
    pairs = PAIRS[:2] * (size // 2) if size > 10 else PAIRS[:size]
    pairs = [Pair(str(i), p.instruction, p.response) for i, p in enumerate(pairs)]
    near = [(i + 1) % len(pairs) for i in range(len(pairs))]
    rows = rating_rows(pairs, near, RatingSet(random_seed=seed, held_out_ratio=held_out), SWAHILI)
    assert len(rows) == 3 * len(pairs)
    assert all(row["text_id"] != row["pair_id"] for row in rows if row["level"] == "bottom")


def test_the_evaluators_examples_come_from_the_part_to_learn_from_one_of_each_level() -> None:
    rows = rating_rows(PAIRS, NEIGHBOURS, RatingSet(), SWAHILI)
    shown = examples(rows, RUBRIC)
    assert [rated.label for rated in shown] == ["3", "2", "1"]
    held_out = {row["instruction"] for row in rows if row["part"] == "held_out"}
    assert not held_out & {rated.instruction for rated in shown}
    assert len({rated.instruction for rated in shown}) == 3


def test_a_rounds_best_candidates_join_the_top_level() -> None:
    rows = rating_rows(PAIRS, NEIGHBOURS, RatingSet(), SWAHILI)
    best = [Exemplar("Explain rain.", "Mvua ni maji.")]
    assert examples(rows, RUBRIC, best)[0] == Rated("Explain rain.", "Mvua ni maji.", "3")
    assert len(examples(rows, RUBRIC, best)) == 4


def test_an_evaluator_that_is_to_see_no_examples_sees_none() -> None:
    silent = Rubric(prompt="p", levels={"3": 3, "1": 1})
    rows = rating_rows(PAIRS, NEIGHBOURS, RatingSet(), SWAHILI)
    assert examples(rows, silent, [Exemplar("Explain rain.", "Mvua.")]) == []


def test_a_rubric_of_two_levels_has_no_middle_of_its_own() -> None:
    two = Rubric(prompt="p", levels={"good": 1, "bad": 0}, examples_per_level=1)
    rows = rating_rows(PAIRS, NEIGHBOURS, RatingSet(), SWAHILI)
    assert {rated.label for rated in examples(rows, two)} == {"good", "bad"}
