"""What nearness of meaning makes of the seed: exemplars for a document, neighbours for the rating set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import recipe_folder
from xirecipe import tables
from xirecipe.compile import compile_recipe
from xirecipe.engines.seeding import nearest_others
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
