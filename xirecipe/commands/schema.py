"""`xirecipe schema`: JSON Schemas generated from the models."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import textwrap
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import ModelSchema

from xirecipe.artifact import Manifest
from xirecipe.diagnostics import Diagnostic, Span, UserError, user_error
from xirecipe.loaded import shown_name
from xirecipe.overlay import SLOTS
from xirecipe.recipe import Language, MixRecipe, Recipe
from xirecipe.yaml import Path_


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
        stale = [directory / name for name, text in texts.items() if not _same(directory / name, text)]
        hint = "run `xirecipe schema --write`"
        if stale:
            raise UserError(
                Diagnostic("stale-schema", f"{path.name} is not what the models say", Span(shown_name(path)), hint)
                for path in stale
            )
        print(f"{len(texts)} schemas are fresh")
    else:
        print(json.dumps({name: json.loads(text) for name, text in texts.items()}, ensure_ascii=False, indent=2))
    return 0


def schemas() -> dict[str, str]:
    """File name -> JSON Schema text."""
    return {
        "recipe.schema.json": _dump(_recipe_file(), "A recipe file, or a base or profile of one"),
        "language.schema.json": _dump(Language.model_json_schema(schema_generator=_Described), "A language file"),
        "manifest.schema.json": _dump(TypeAdapter(Manifest).json_schema(), "manifest.json of an artifact"),
    }


def _recipe_file() -> dict[str, Any]:
    """A recipe as people write it: `extends` and `profiles` are there, and anything may come from a base.

    Of either kind: whether a key belongs beside the others, `xirecipe check` says.
    """
    schema: dict[str, Any] = _partial(_both_kinds())
    for place in SLOTS:
        slots = _at(schema, place)
        # Names that must look a certain way have their slots under a pattern.
        kinds = slots.get("patternProperties", slots)
        for name in ["additionalProperties"] if kinds is slots else list(kinds):
            kinds[name] = {"anyOf": [kinds[name], {"type": "null"}]}
    overlay = schema["properties"]
    schema["properties"] = {
        "extends": {"type": "string", "description": "A recipe that this one is laid over, below the recipe folder."},
        **overlay,
        "profiles": {
            "type": "object",
            "description": "Overlays by name; `sample` is taken when none is named.",
            "additionalProperties": {"type": "object", "properties": overlay, "additionalProperties": False},
        },
    }
    return schema


def _both_kinds() -> dict[str, Any]:
    """The keys of text recipes and of mixing recipes in one schema."""
    _, shared = models_json_schema([(Recipe, "validation"), (MixRecipe, "validation")], schema_generator=_Described)
    text, mix = (shared["$defs"].pop(kind.__name__) for kind in (Recipe, MixRecipe))
    # A key that both have allows a text recipe no less than a mixing recipe.
    return {**text, "$defs": shared["$defs"], "properties": {**mix["properties"], **text["properties"]}}


class _Described(GenerateJsonSchema):
    """Every key with the docstring that stands below it in its model.

    pydantic's own `use_attribute_docstrings` reads them whenever the models are imported: a tenth of a `check`.
    """

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        for model in reversed(schema["cls"].__mro__):
            if issubclass(model, BaseModel) and model is not BaseModel:
                for name, text in _docstrings(model).items():
                    found["properties"][name]["description"] = text
        return found


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The string below each field in the source of a class, by the field's name."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, below in itertools.pairwise(body.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = inspect.cleandoc(text)
    return found


def _partial(schema: Any) -> Any:
    """A schema for a piece of what it describes: no key is required, and a piece may fit several kinds of a union.

    Which kind a source or a model is may be written in the base alone, so `discriminator` cannot be asked for either.
    """
    if isinstance(schema, list):
        return [_partial(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _partial(value) for key, value in schema.items() if not _is_demand(key, value)}
    if "oneOf" in kept:
        kept["anyOf"] = kept.pop("oneOf")
    return kept


def _is_demand(key: str, value: Any) -> bool:
    match key:
        case "required":
            return isinstance(value, list)
        case "minProperties":
            return isinstance(value, int)
        case "discriminator":
            return isinstance(value, dict) and "propertyName" in value
        case _:
            return False


def _at(schema: dict[str, Any], place: Path_) -> dict[str, Any]:
    """The schema of the key at `place`, references followed."""
    found = schema
    for key in place:
        inner: dict[str, Any] = found["properties"][str(key)]
        # An optional section is a reference or null.
        references = (way["$ref"] for way in (inner, *inner.get("anyOf", ())) if "$ref" in way)
        name = str(next(references, "")).rpartition("/")[2]
        found = schema["$defs"][name] if name else inner
    return found


def _dump(schema: dict[str, Any], title: str) -> str:
    full = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}
    return json.dumps(full, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
