"""What a part draws: exact counts, fair languages, and the same everywhere."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import REPOSITORY
from xirecipe.diagnostics import UserError
from xirecipe.mixing import Chance, Draw, Pool, draw, named_languages, sides, sizes
from xirecipe.recipe.mixing import Mix, Part

LANGUAGES = ("eng_Latn", "swh_Latn", "fin_Latn", "hin_Deva", "tur_Latn")
OTHERS = LANGUAGES[1:]


def part(**keys: Any) -> dict[str, Any]:
    return {"dataset": "parallel", "shape": "monolingual", **keys}


def drawn(parts: dict[str, dict[str, Any]], rows: int = 200, **keys: Any) -> dict[str, list[Draw]]:
    mix = Mix.model_validate({"parts": parts, **keys})
    pool = Pool(sorted(f"parallel/{i}" for i in range(rows)))
    languages = {name: one.languages or LANGUAGES for name, one in mix.chosen.items()}
    return draw(mix, dict.fromkeys(mix.chosen, pool), languages)


def within(count: int, n: int, p: float) -> bool:
    """Within four standard deviations of a binomial: missed once in 16,000."""
    return abs(count - n * p) <= 4 * math.sqrt(n * p * (1 - p))


def test_draws_without_replacement_take_each_row_once_at_most_and_as_many_as_asked() -> None:
    draws = drawn({"a": part(rows=150)})["a"]
    assert len(draws) == len({one.document for one in draws}) == 150


def test_draws_with_replacement_take_rows_again() -> None:
    draws = drawn({"a": part(rows=3_000, replacement=True)})["a"]
    assert len(draws) == 3_000
    counts = Counter(one.document for one in draws)
    assert len(counts) == 200
    assert all(within(n, 3_000, 1 / 200) for n in counts.values())


def test_each_language_is_drawn_equally_often_within_sampling_error() -> None:
    cross = part(shape="cross_lingual", directions=["en->x", "x->en"], rows=6_000, replacement=True)
    draws = drawn({"a": cross})["a"]
    counts = Counter(one.languages[0][0] for one in draws)
    assert set(counts) == set(OTHERS)
    assert all(within(n, 6_000, 1 / 4) for n in counts.values())


def test_even_spread_is_exact() -> None:
    counts = Counter(one.languages[0][0] for one in drawn({"a": part(rows=42, spread="even")})["a"])
    assert sorted(counts.values()) == [8, 8, 8, 9, 9]


def test_every_spread_takes_each_row_in_all_languages() -> None:
    draws = drawn({"a": part(rows=10, spread="every")})["a"]
    one = Part.model_validate(part(spread="every"))
    assert [side.instruction for side in sides("a", one, draws[0])] == list(LANGUAGES)


def test_rows_that_replace_others_keep_the_total() -> None:
    found = drawn({"english": part(languages=["eng_Latn"], rows=100), "pinch": part(rows=10, replaces="english")})
    english, pinch = ({one.document for one in found[name]} for name in ("english", "pinch"))
    assert (len(english), len(pinch)) == (90, 10)
    assert not english & pinch


def test_the_same_draws_are_the_same_rows_and_languages() -> None:
    found = drawn({
        "a": part(shape="cross_lingual", directions=["en->x"], rows=50),
        "b": part(shape="translation", directions=["x->en"], same_draws_as="a"),
    })  # fmt: skip
    assert [(one.document, one.languages) for one in found["a"]] == [
        (one.document, one.languages) for one in found["b"]
    ]


def test_the_answer_is_in_another_language_with_the_probability_that_the_part_names() -> None:
    follow = part(shape="cross_lingual", other_answer_probability=0.5, repeat=3)
    draws = drawn({"a": follow}, rows=1_000)["a"]
    assert len(draws) == 3_000
    other = sum(first != second for one in draws for first, second in one.languages)
    assert within(other, 3_000, 0.5)


def test_a_repeated_row_has_languages_of_its_own_each_time() -> None:
    draws = drawn({"a": part(shape="contrastive", repeat=8)}, rows=20)["a"]
    assert len({one.languages for one in draws if one.document == "parallel/7"}) > 3


def test_both_sides_of_x_to_x_are_different_languages_other_than_english() -> None:
    one = part(shape="cross_lingual", directions=["x->x"], rows=100)
    made = [s for d in drawn({"a": one})["a"] for s in sides("a", Part.model_validate(one), d)]
    assert all(s.instruction != s.response and "eng_Latn" not in (s.instruction, s.response) for s in made)
    assert {s.direction for s in made} == {"x->x"}


def test_a_flipped_direction_says_so() -> None:
    one = part(shape="translation", directions=["en->x"], flip_probability=0.5)
    made = [s for d in drawn({"a": one}, rows=1_000)["a"] for s in sides("a", Part.model_validate(one), d)]
    assert within(sum(s.direction == "x->en" for s in made), 1_000, 0.5)
    assert all((s.instruction == "eng_Latn") == (s.direction == "en->x") for s in made)


def test_rows_of_another_dataset_take_the_place_of_as_many_rows() -> None:
    other = part(dataset="other", rows=10, replaces="english")
    alone = drawn({"english": part(rows=100)})["english"]
    found = drawn({"english": part(rows=100), "pinch": other})
    assert (len(found["english"]), len(found["pinch"])) == (90, 10)
    assert found["english"] == alone[:90]

    with pytest.raises(UserError, match="replaces 10 rows of part `english`, which has 9"):
        drawn({"english": part(rows=9), "pinch": other})
    few = drawn({"english": part(rows=9), "pinch": other | {"at_most": True}})
    assert (len(few["english"]), len(few["pinch"])) == (0, 9)


def test_more_rows_to_draw_from_move_few_of_those_that_were_drawn() -> None:
    before = {one.document for one in drawn({"a": part(rows=100)}, rows=1_000)["a"]}
    after = {one.document for one in drawn({"a": part(rows=100)}, rows=1_100)["a"]}
    assert len(before & after) >= 75


def test_another_seed_draws_other_rows() -> None:
    one, other = (drawn({"a": part(rows=100, seed=seed)})["a"] for seed in (0, 1))
    assert {d.document for d in one} != {d.document for d in other}


def test_too_few_rows_are_an_error_with_both_numbers() -> None:
    with pytest.raises(UserError) as raised:
        drawn({"a": part(rows=201)})
    (problem,) = raised.value.diagnostics
    assert problem.message == "`mix.parts.a` asks for 201 rows, and dataset `parallel` has 200 that it can take"
    assert problem.hint == "`at_most: true` takes what is there; `replacement: true` draws a row more than once"


def test_at_most_takes_what_is_there() -> None:
    assert len(drawn({"a": part(rows=201, at_most=True)})["a"]) == 200


def test_too_few_rows_to_replace_are_an_error_that_names_the_part() -> None:
    parts = {"english": part(languages=["eng_Latn"], rows=5), "pinch": part(rows=6, replaces="english")}
    with pytest.raises(UserError, match="asks for 6 rows, and part `english` has 5"):
        drawn(parts)


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=6), st.integers(1, 100_000))
def test_shares_add_up_to_the_total_exactly(weights: list[int], total: int) -> None:
    parts = {f"p{i}": part(share=weight / sum(weights)) for i, weight in enumerate(weights)}
    found = sizes(Mix.model_validate({"parts": parts, "total": total}))
    assert sum(found[name] or 0 for name in parts) == total
    for name, one in parts.items():
        assert abs((found[name] or 0) - one["share"] * total) < 1


def test_a_draw_is_the_same_under_every_hash_seed() -> None:
    script = (
        "from tests.mixing.test_drawing import drawn, part;"
        "print(drawn({'a': part(shape='cross_lingual', directions=['en->x'], rows=20)}))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=REPOSITORY, check=True, capture_output=True, text=True,
            env={"PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1


def test_choices_are_pinned() -> None:
    # Known numbers: another machine or version of Python that chose otherwise would make another dataset.
    assert Chance(("a", 0)).number("row", 3) % 1_000_003 == 273605
    assert [one.document for one in drawn({"a": part(rows=4)})["a"]] == [
        "parallel/53",
        "parallel/153",
        "parallel/40",
        "parallel/141",
    ]


def test_names_that_prompts_need_follow_from_the_directions() -> None:
    def needed(**keys: Any) -> set[tuple[str, str]]:
        return named_languages(Part.model_validate(part(shape="cross_lingual", **keys)), ("eng_Latn", "swh_Latn"))

    assert needed(directions=["en->x"]) == {("eng_Latn", "swh_Latn")}
    assert needed(directions=["x->en"]) == {("swh_Latn", "eng_Latn")}
    assert needed(directions=["x->en"], name_answer_in="english") == {("eng_Latn", "eng_Latn")}
    assert needed(directions=["x->en"], prompts=["{{ instruction }}"]) == set()
    assert len(needed(other_answer_probability=0.5)) == 4
