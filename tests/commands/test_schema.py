"""JSON Schemas: fresh, and they accept what loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.builders import RECIPE, REPOSITORY, changed, recipe_folder, xirecipe
from xirecipe import yaml
from xirecipe.commands.schema import schemas


def complaints(schema: str, data: Any) -> list[str]:
    validator = Draft202012Validator(json.loads(schemas()[schema]))
    return [f"{'.'.join(map(str, e.path))}: {e.message}" for e in validator.iter_errors(data)]


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_committed_schema_is_what_the_models_say(name: str) -> None:
    assert (REPOSITORY / "schemas" / name).read_text(encoding="utf-8") == schemas()[name]


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(schemas()[name]))


@pytest.mark.parametrize(
    "path", sorted([*REPOSITORY.glob("recipes/*.yaml"), *REPOSITORY.glob("recipes/bases/*.yaml")]), ids=lambda p: p.name
)
def test_every_recipe_and_base_of_this_repository_satisfies_the_schema(path: Path) -> None:
    assert complaints("recipe.schema.json", yaml.read(path, path.name).data) == []


@pytest.mark.parametrize("path", sorted(REPOSITORY.glob("recipes/languages/*.yaml")), ids=lambda p: p.name)
def test_every_language_of_this_repository_satisfies_the_schema(path: Path) -> None:
    assert complaints("language.schema.json", yaml.read(path, path.name).data) == []


@pytest.mark.parametrize(
    "piece",
    [
        {"corpus": {"sources": {"web": {"documents": 1000}}}},
        {"corpus": {"sources": {"web": {"license": "mit"}, "old": None}}},
        {"corpus": {"filters": {"language": None, "length": {"max_chars": None}}}},
        {"models": {"judge": None, "writer": {"prompt_format": "completion"}}},
        {"rates": {"writer": None}},
        {"judge": {"rubric": None, "likelihood": {"max_chars": 3}}},
        {"judge": {"rubric": {"levels": {"3": 4}}}},
        {"generate": {"exemplars": {"count": 2}, "guards": {"min_english_score": None}}},
        {"dedup": {"minhash": None}},
        {"card": {"not_for": "x"}},
        {"models": {}},
        {},
    ],
    ids=json.dumps,
)
def test_a_piece_satisfies_the_schema_in_a_base_and_in_a_profile(piece: dict[str, Any]) -> None:
    assert complaints("recipe.schema.json", piece) == []
    assert complaints("recipe.schema.json", {"extends": "b.yaml", "profiles": {"p": piece}}) == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"select": {"min_scor": 2}},
        {"profiles": {"p": {"select": {"min_scor": 2}}}},
        {"profiles": {"p": {"extends": "b.yaml"}}},
        {"models": {"writer": {"engine": "sever"}}},
        {"models": {"writer": {"engine": "server", "sha256": "0" * 64}}},
        {"corpus": {"sources": {"web": {"format": "jsonl", "repository": "a/b"}}}},
        {"corpus": {"filters": {"length": {"min_chars": 0}}}},
        {"version": "1.0"},
        {"language": "sw"},
        {"select": {"rows": "many"}},
    ],
    ids=json.dumps,
)
def test_a_mistake_that_an_editor_can_see_does_not_satisfy_the_schema(mistake: dict[str, Any]) -> None:
    assert complaints("recipe.schema.json", mistake) != []


def test_the_recipe_of_these_tests_satisfies_the_schema() -> None:
    assert complaints("recipe.schema.json", RECIPE) == []
    assert complaints("recipe.schema.json", changed(RECIPE, {"select.rows": 0})) != []


def test_keys_carry_their_description_for_editors() -> None:
    definitions = json.loads(schemas()["recipe.schema.json"])["$defs"]
    assert "cut at a sentence end" in definitions["Likelihood"]["properties"]["max_chars"]["description"]


def test_written_schemas_are_fresh_and_edited_ones_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipe_folder(tmp_path).root)
    assert xirecipe("schema", "--write").out == "3 schemas written to schemas\n"
    assert xirecipe("schema", "--check").out == "3 schemas are fresh\n"
    (tmp_path / "schemas/recipe.schema.json").write_text("{}")
    (tmp_path / "schemas/manifest.schema.json").unlink()
    ran = xirecipe("schema", "--check")
    assert ran.code == 1
    assert (
        "schemas/recipe.schema.json:1:1: error[stale-schema]: recipe.schema.json is not what the models say" in ran.err
    )
    assert "schemas/manifest.schema.json:1:1: error[stale-schema]" in ran.err
    assert "run `xirecipe schema --write`" in ran.err


def test_schemas_without_a_flag_are_printed() -> None:
    assert sorted(json.loads(xirecipe("schema").out)) == sorted(schemas())
