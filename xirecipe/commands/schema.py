"""`xirecipe schema`: JSON Schemas generated from the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from xirecipe.diagnostics import Diagnostic, Span, UserError, user_error
from xirecipe.load import shown_name
from xirecipe.recipe import Language, Recipe
from xirecipe.store import Manifest


def run_schema(directory: Path, *, write: bool, check: bool) -> int:
    """Print all schemas, write them, or check that the written ones are fresh."""
    if write and check:
        raise user_error("usage", "`--write` and `--check` exclude one another")
    texts = schemas()
    if write:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8")
        print(f"{len(texts)} schemas written to {shown_name(directory)}")
    elif check:
        stale = [name for name, text in texts.items() if not _same(directory / name, text)]
        if stale:
            raise UserError(
                Diagnostic("stale-schema", f"{name} is not what the models say", Span(shown_name(directory / name)), "run `xirecipe schema --write`")
                for name in stale
            )
        print(f"{len(texts)} schemas are fresh")
    else:
        print(json.dumps({name: json.loads(text) for name, text in texts.items()}, ensure_ascii=False, indent=2))
    return 0


def schemas() -> dict[str, str]:
    """File name -> JSON Schema text."""
    return {
        "recipe.schema.json": _dump(_recipe_file(), "A recipe file, or a base or profile of one"),
        "language.schema.json": _dump(Language.model_json_schema(), "A language file"),
        "manifest.schema.json": _dump(TypeAdapter(Manifest).json_schema(), "manifest.json of an artifact"),
    }


def _recipe_file() -> dict[str, Any]:
    """A recipe as people write it: `extends` and `profiles` are there, and anything may come from a base."""
    schema = Recipe.model_json_schema()
    overlay = {**schema["properties"]}
    partial = {"type": "object", "properties": overlay, "additionalProperties": False}
    schema["$defs"] = {name: _optional(definition) for name, definition in schema["$defs"].items()}
    schema["properties"] = {
        "extends": {"type": "string", "description": "A recipe that this one is laid over, below the recipe folder."},
        **overlay,
        "profiles": {
            "type": "object",
            "description": "Overlays by name; `sample` is taken when none is named.",
            "additionalProperties": partial,
        },
    }
    schema.pop("required", None)
    return schema


def _optional(definition: dict[str, Any]) -> dict[str, Any]:
    """A definition without required keys, and which `null` may switch off."""
    return {key: value for key, value in definition.items() if key != "required"}


def _dump(schema: dict[str, Any], title: str) -> str:
    full = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}
    return json.dumps(full, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
