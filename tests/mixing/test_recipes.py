"""Mixing recipes on their sample profile: what the papers say of their mixes, counted in the rows."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from tests.mixing.mixes import RECIPES, Ran, run
from xirecipe.compile import compile_recipe
from xirecipe.mixing import Pool, draw
from xirecipe.plan import MixPlan
from xirecipe.tables import Row

pytestmark = pytest.mark.engine
OTHERS = {"swh_Latn", "fin_Latn", "ind_Latn", "tur_Latn", "vie_Latn", "hin_Deva"}


def made(name: str, store: Path, *overrides: str) -> Ran:
    return run(RECIPES / f"{name}.yaml", store, "sample", overrides)


def parts(rows: list[Row]) -> Counter[str]:
    return Counter(row["part"] for row in rows)


@pytest.mark.parametrize("draws", [60, 600])
def test_crossin_makes_three_rows_of_each_draw_beside_all_english_ones(draws: int, tmp_path: Path) -> None:
    rows = made("crossin", tmp_path, f"mix.parts.cross.rows={draws}").rows()

    assert parts(rows) == {"complex": 12, "cross": 2 * draws, "translation": draws}
    mixed = [row for row in rows if row["part"] != "complex"]
    assert all(row["turn"].strip() and row["content"].strip() and row["response"].strip() for row in rows)
    per_draw: dict[int, list[Row]] = {}
    for row in mixed:
        per_draw.setdefault(row["draw"], []).append(row)
    for three in per_draw.values():
        one, other, translation = three
        assert [(r["shape"], r["direction"]) for r in three] == [
            ("cross_lingual", "en->x"), ("cross_lingual", "x->en"), ("translation", "x->en"),
        ]  # fmt: skip
        assert len({row["document_id"] for row in three}) == 1
        assert one["response_language"] == other["instruction_language"] == translation["instruction_language"]
        assert translation["response"].startswith(one["instruction"])
    counts = Counter(row["response_language"] for row in mixed if row["direction"] == "en->x")
    assert set(counts) == OTHERS
    spread = 4 * math.sqrt(draws * 1 / 6 * 5 / 6)
    assert all(abs(n - draws / 6) <= spread for n in counts.values())


def test_crossin_takes_all_rows_when_no_number_is_given(tmp_path: Path) -> None:
    ran = made("crossin", tmp_path, "mix.parts.cross.rows=null")
    pool = ran.manifests["mix"].facts["parts"]["cross"]["pool"]
    assert pool == 43
    assert parts(ran.rows())["translation"] == pool


@pytest.mark.parametrize("choice", ["pinch", "monolingual", "uniform", "two", "three", "four"])
def test_every_mix_of_pinch_has_the_same_size(choice: str, tmp_path: Path) -> None:
    rows = made("pinch", tmp_path, f"mix.choice={choice}").rows()
    assert len(rows) == len({row["document_id"] for row in rows}) == 36
    languages = Counter(row["response_language"] for row in rows)
    other = {code: n for code, n in languages.items() if code != "eng_Latn"}
    expected = {
        "pinch": (28, 6, 1), "monolingual": (36, 0, 0), "uniform": (None, 6, 1), "two": (18, 1, 0),
        "three": (12, 2, 0), "four": (9, 3, 0),
    }[choice]  # fmt: skip
    english, count, difference = expected
    assert english in (None, languages["eng_Latn"])
    assert len(other) == count
    assert max(other.values(), default=0) - min(other.values(), default=0) <= difference


def test_pinch_at_its_own_size_has_40_rows_over_11_languages_in_4640() -> None:
    plan = compile_recipe(RECIPES / "pinch.yaml", "full")
    assert isinstance(plan, MixPlan)
    mix = plan.recipe.mix
    sizes = {"lima": 1_030, "oasst": 4_000, "parallel": 67_017}
    pools = {name: Pool(sorted(f"{p.dataset}/{i}" for i in range(sizes[p.dataset]))) for name, p in mix.chosen.items()}
    found = draw(mix, pools, {name: part.languages or ("eng_Latn",) for name, part in mix.chosen.items()})
    assert {name: len(draws) for name, draws in found.items()} == {"lima": 1_000, "oasst": 3_600, "others": 40}
    languages = Counter(one.languages[0][0] for draws in found.values() for one in draws)
    assert languages.total() == 4_640
    assert languages.pop("eng_Latn") == 4_600
    assert sorted(languages.values()) == [3] * 4 + [4] * 7
    assert len({one.document for draws in found.values() for one in draws}) == 4_640


@pytest.mark.parametrize("choice", ["pinch", "monolingual", "uniform", "two", "three", "four"])
def test_every_mix_of_pinch_has_4640_rows_of_the_real_data(choice: str) -> None:
    plan = compile_recipe(RECIPES / "pinch.yaml", "full", [f"mix.choice={choice}"])
    assert isinstance(plan, MixPlan)
    mix = plan.recipe.mix
    pools = {name: Pool(sorted(f"{p.dataset}/{i}" for i in range(5_000))) for name, p in mix.chosen.items()}
    found = draw(mix, pools, {name: part.languages or ("eng_Latn",) for name, part in mix.chosen.items()})
    assert sum(map(len, found.values())) == 4_640


def test_afp_pairs_versions_and_answers_half_of_the_time_in_another_language(tmp_path: Path) -> None:
    ran = made("afp", tmp_path, "mix.parts.follow.repeat=30")
    rows = ran.rows()
    assert {row["config"] for row in rows} == {"contrastive", "instruct"}

    follow = [row for row in rows if row["part"] == "follow"]
    assert len(follow) == 30 * 43
    other = sum(row["direction"] != "same" for row in follow)
    assert abs(other - len(follow) / 2) <= 4 * math.sqrt(len(follow) / 4)
    pairs = [row for row in rows if row["part"] == "pairs"]
    dropped = ran.manifests["mix"].dropped
    assert len(pairs) + dropped.get("contrastive.identical", 0) + dropped.get("contrastive.empty", 0) == 44
    assert dropped["contrastive.identical"] == 1
    assert all(row["instruction"] and row["response"] and row["instruction"] != row["response"] for row in pairs)


def test_afp_adds_translation_rows_in_two_templates_and_both_directions_when_asked(tmp_path: Path) -> None:
    rows = made("afp", tmp_path, "mix.choice=with_translation").rows()
    translation = [row for row in rows if row["part"] == "translation"]
    assert {row["direction"] for row in translation} == {"en->x", "x->en"}
    assert {row["turn"].startswith("Translate this text") for row in translation} == {True, False}


def test_the_zero_shot_study_is_english_alone_and_its_control_the_same_rows_in_every_language(tmp_path: Path) -> None:
    english = made("zero_shot", tmp_path).rows()
    control = made("zero_shot", tmp_path, "mix.choice=multilingual").rows()
    assert {row["response_language"] for row in english} == {"eng_Latn"}
    documents = {row["document_id"] for row in control}
    assert documents == {row["document_id"] for row in english} - {"parallel/no-vietnamese"}
    assert Counter(row["response_language"] for row in control) == dict.fromkeys({"eng_Latn", *OTHERS}, len(documents))


def test_the_sample_has_at_least_40_rows_in_english_and_six_languages(tmp_path: Path) -> None:
    read = made("zero_shot", tmp_path).manifests["read parallel"]
    assert read.kept / 7 >= 40
    assert read.facts["misaligned"] == {
        "fin_Latn": {"count": 1, "ids": ["parallel/only-some"]},
        "hin_Deva": {"count": 1, "ids": ["parallel/only-some"]},
    }


def test_the_baseline_of_does_it_help_is_every_answer_translated_and_every_instruction_english(tmp_path: Path) -> None:
    rows = made("does_it_help", tmp_path).rows()

    assert {row["instruction_language"] for row in rows} == {"eng_Latn"}
    counts = Counter(row["response_language"] for row in rows)
    assert set(counts) == OTHERS
    assert set(counts.values()) == {43}
    # The student's prompt names the language; the instruction does not.
    assert all(row["turn"] == row["instruction"] for row in rows if not row["input"])
