"""What nearness of meaning makes of the seed: exemplars for a document, neighbours for the rating set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import LANGUAGE, recipe_folder
from tests.test_lessons import WEIGHTS
from xirecipe import tables
from xirecipe.compile import compile_recipe
from xirecipe.engines.seeding import nearest_others
from xirecipe.plan import Plan
from xirecipe.recipe.models import Embedder
from xirecipe.run import run_plan
from xirecipe.settings import Settings
from xirecipe.store import Store

pytestmark = pytest.mark.engine

PAIRS = (
    {"id": "rain", "instruction": "Describe rain.", "response": "Mvua hunyesha kutoka mawinguni na kulowesha ardhi."},
    {"id": "bread", "instruction": "Describe bread.", "response": "Mkate huokwa kwa unga wa ngano, chachu na maji."},
    {"id": "lion", "instruction": "Describe lions.", "response": "Simba ni mnyama mkubwa wa porini anayewinda swala."},
)
TEXTS = {
    "1": "Mawingu meusi yalileta mvua kubwa mjini leo.",
    "2": "Mwokaji huokwa mikate kwa unga na chachu kila siku.",
}


def matched(tmp_path: Path, **changes: object) -> dict[str, list[str]]:
    folder = recipe_folder(tmp_path)
    folder.json_lines("seed.jsonl", PAIRS)
    folder.json_lines("texts.jsonl", ({"id": name, "text": text} for name, text in TEXTS.items()))
    exemplars = {"choice": "nearest", "count": 2, **changes}
    recipe = folder.recipe({"generate.exemplars": exemplars, "corpus.filters": {"language": None}})
    plan, store = compile_recipe(recipe), Store(tmp_path / "store")
    done = run_plan(plan, store, Settings(workers=1), to="match")[-1]
    rows = tables.read(store.artifact("match", done.stage.fingerprint).data)
    return {row["document_id"]: row["exemplars"] for row in rows}


def test_each_document_gets_the_pairs_nearest_to_it(tmp_path: Path) -> None:
    found = matched(tmp_path)
    assert {name: pairs[0] for name, pairs in found.items()} == {"1": "rain", "2": "bread"}
    assert {len(pairs) for pairs in found.values()} == {2}


def test_a_token_budget_keeps_the_nearest_and_always_one(tmp_path: Path) -> None:
    assert matched(tmp_path, max_tokens=1) == {"1": ["rain"], "2": ["bread"]}


def test_the_neighbour_of_an_instruction_is_the_other_one_most_like_it() -> None:
    texts = ["How do I bake bread?", "Explain how bread is baked.", "Who rules Kenya?", "Who is Kenya's president?"]
    assert nearest_others(texts, Embedder()) == [1, 0, 3, 2]


@pytest.mark.parametrize("texts", [[], ["alone"]])
def test_one_text_has_no_neighbour(texts: list[str]) -> None:
    assert nearest_others(texts, Embedder()) == []


def test_rated_pairs_are_made_within_each_seed_and_say_their_language(tmp_path: Path) -> None:
    folder = recipe_folder(tmp_path)
    pairs = (*PAIRS, {"id": "sun", "instruction": "Describe the sun.", "response": "Jua ni nyota kubwa yenye joto."})
    folder.json_lines("seed.jsonl", pairs)
    finnish = [{**pair, "response": f"suomeksi {pair['id']}"} for pair in pairs]
    folder.json_lines("fin.jsonl", finnish)
    folder.write("languages/fin_Latn.yaml", LANGUAGE | {"code": "fin_Latn", "name": "Finnish", "hub_code": "fi"})
    seeds = {"fi": {"path": "fin.jsonl", "license": "cc0-1.0", "language": "fin_Latn"}}
    judge = {
        "model": "writer", "learn": {"method": "fine_tune"},
        "rubric": {"prompt": "prompts/rate.j2", "levels": {"3": 3, "2": 2, "1": 1}},
    }  # fmt: skip
    recipe = folder.recipe(
        {"rating_set": {"held_out_ratio": 0.34, "seeds": seeds}, "judge": judge, "models": {"writer": WEIGHTS}}
    )
    plan, store = compile_recipe(recipe), Store(tmp_path / "store")
    assert isinstance(plan, Plan)
    run_plan(plan, store, Settings(workers=1), to="rating_set")
    rows = list(tables.read(store.artifact("rating_set", plan.stage("rating_set").fingerprint).data))
    assert [row["language"] for row in rows] == 12 * ["swh_Latn"] + 12 * ["fin_Latn"]
    assert all(row["text"].startswith("suom") for row in rows if row["language"] == "fin_Latn")
    measured_on = {row["instruction"] for row in rows[:12] if row["part"] == "held_out"}
    assert measured_on
    assert not measured_on & {row["instruction"] for row in rows if row["part"] == "learn"}
