"""The order of keys in which files are written: that of the schema's fields."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel

from xirecipe.overlay import KIND_KEYS
from xirecipe.recipe.language import Language
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.recipe import Recipe


@dataclass(frozen=True)
class Schema:
    """What the schema says of a mapping: its keys in order, or what stands under keys of free choice."""

    models: tuple[type[BaseModel], ...] = ()
    slots: Any = None
    """The annotation of the values where keys are names that the author chooses; their order stays as written."""
    is_file: bool = False
    """A recipe file: its keys, and `extends` and `profiles` around them."""

    def keys(self, kinds: Mapping[str, Any]) -> list[str]:
        """Known keys in order. `kinds` are the mapping's own `format` or `engine`, where it says them."""
        # What a source is stands before its licence, which all kinds of sources inherit.
        models = self._of_kind(kinds)
        of_kinds = [model for model in models if any(key in model.model_fields for key in KIND_KEYS)]
        inherited = {name for model in of_kinds for name in _inherited(model)}
        known = sorted(_merged(models), key=lambda name: name in inherited)
        return ["<<", "extends", *known, "profiles"] if self.is_file else ["<<", *known]

    def under(self, key: str, kinds: Mapping[str, Any]) -> Schema:
        """What the schema says of the value under a key; an empty Schema where it says nothing."""
        if self.is_file and key == "profiles":
            return Schema(slots=Recipe | MixRecipe)
        if self.slots is not None:
            return of(self.slots)
        for model in self._of_kind(kinds):
            if key in model.model_fields:
                return of(model.model_fields[key].annotation)
        return Schema()

    def _of_kind(self, kinds: Mapping[str, Any]) -> tuple[type[BaseModel], ...]:
        """The models of a union that the mapping's kind names; all of them where only a base says the kind."""
        fitting = tuple(
            model for model in self.models
            if any(kinds.get(k) in typing.get_args(model.model_fields[k].annotation)
                   for k in KIND_KEYS if k in model.model_fields)
        )  # fmt: skip
        return fitting if len(self.models) > 1 and fitting else self.models


def of(annotation: Any) -> Schema:
    """The schema of a value by its annotation."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return of(arguments[0])
    if origin is dict:
        return Schema(slots=arguments[1])
    if origin is tuple:
        # Every item of a list looks the same.
        return of(arguments[0])
    if origin is typing.Union or origin is types.UnionType:
        parts = [of(argument) for argument in arguments]
        return Schema(
            tuple(model for part in parts for model in part.models),
            next((part.slots for part in parts if part.slots is not None), None),
        )
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Schema((annotation,))
    return Schema()


RECIPE_FILE = Schema((Recipe, MixRecipe), is_file=True)
LANGUAGE_FILE = Schema((Language,))


def _merged(models: tuple[type[BaseModel], ...]) -> list[str]:
    """The fields of all models. Of the two kinds of recipes, each in its own order: what both have, both have alike."""
    if MixRecipe not in models:
        return list(dict.fromkeys(name for model in models for name in model.model_fields))
    found = list(Recipe.model_fields)
    place = 0
    for name in MixRecipe.model_fields:
        if name in found:
            place = found.index(name) + 1
        else:
            found.insert(place, name)
            place += 1
    return found


def _inherited(model: type[BaseModel]) -> set[str]:
    return {name for base in model.__bases__ if issubclass(base, BaseModel) for name in base.model_fields}
