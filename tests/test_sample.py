"""The sample material is what its README says, and every document drops for the reason in its id."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xirecipe import tables
from xirecipe.compile import compile_recipe
from xirecipe.recipe.corpus import Filters, GopherQualityFilter, GopherRepetitionFilter
from xirecipe.run import run_plan
from xirecipe.settings import Settings
from xirecipe.store import Store

RECIPES = Path(__file__).parent.parent / "recipes"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECIPES / "sample" / name).read_text(encoding="utf-8").splitlines()]


def test_at_least_120_texts_stay_and_30_go() -> None:
    ids = [row["id"] for row in rows("swh_Latn.jsonl")]
    assert len(ids) == len(set(ids))
    dropped = [name for name in ids if name.startswith("drop-")]
    assert len(dropped) >= 30
    assert len(ids) - len(dropped) >= 120


def test_texts_that_stay_are_300_to_1500_characters_in_nfc_and_of_many_kinds() -> None:
    kept = [row for row in rows("swh_Latn.jsonl") if not row["id"].startswith("drop-")]
    for row in kept:
        assert 300 <= len(row["text"]) <= 2500, row["id"]
        assert unicodedata.is_normalized("NFC", row["text"]), row["id"]
    assert {"how-to", "history", "letter", "news", "recipe", "law", "health", "story", "science"} <= {
        row["genre"] for row in kept
    }


def test_there_are_24_seed_pairs_with_both_sides() -> None:
    pairs = rows("swh_Latn.seed.jsonl")
    assert len(pairs) >= 24
    assert all(pair["instruction"].strip() and pair["response"].strip() for pair in pairs)
    assert len({pair["instruction"] for pair in pairs}) == len(pairs)


@pytest.mark.engine
def test_every_drop_reason_has_a_document_and_every_document_its_reason(tmp_path: Path) -> None:
    plan = compile_recipe(RECIPES / "swahili.yaml")
    store = Store(tmp_path)
    run_plan(plan, store, Settings(store=tmp_path, workers=1), to="dedup")
    found = {
        row["document_id"]: row["reason"]
        for stage in plan.stages[:2]
        for row in tables.read(store.artifact(stage.kind, stage.fingerprint).dropped)
    }

    assert found == {name: name.removeprefix("drop-").rpartition("-")[0] for name in found}
    assert set(found) == {row["id"] for row in rows("swh_Latn.jsonl") if row["id"].startswith("drop-")}
    assert set(found.values()) == set(document_reasons(plan.recipe.corpus.filters))


def document_reasons(filters: Filters) -> Iterator[str]:
    """Every reason for which the recipe can drop a document: its own thresholds, and those without a number."""
    yield from ("read.no_text", "read.empty", "language.expected", "dedup.exact", "dedup.minhash")
    for name in Filters.model_fields:
        for key, value in getattr(filters, name):
            if isinstance(getattr(filters, name), GopherQualityFilter | GopherRepetitionFilter) and not value:
                continue
            if key != "stop_words" and value is not None:
                yield f"{name}.{key}"


def test_questions_are_there_in_seven_languages_with_their_options_in_one_order() -> None:
    items = rows("items.jsonl")
    languages = {row["language"] for row in items}
    assert len(items) == 12 * len(languages) == 84
    for name in {row["item_id"] for row in items}:
        versions = [row for row in items if row["item_id"] == name]
        assert {row["language"] for row in versions} == languages
        assert len({row["right"] for row in versions}) == 1
        assert all(len(set(row["options"])) == 4 for row in versions)
        assert len({row["question"] for row in versions}) == 7
    right = [row["right"] for row in items if row["language"] == "eng_Latn"]
    assert {letter: right.count(letter) for letter in "ABCD"} == dict.fromkeys("ABCD", 3)
