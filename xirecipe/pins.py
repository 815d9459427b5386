"""What a recipe names on the Hub, and whether a name can come to mean something else. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from xirecipe.recipe.corpus import HubSource
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.mixing import HubVersion
from xirecipe.recipe.models import EmbeddedModel, Model
from xirecipe.recipe.recipe import Recipe

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Pin:
    """A repository at a revision. `path` is where the recipe writes the revision."""

    path: tuple[str, ...]
    kind: Literal["dataset", "model"]
    repository: str
    revision: str

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def moves(self) -> bool:
        """Whether the revision is a name, such as `main`, and no commit hash."""
        return not COMMIT.fullmatch(self.revision)


def pins(recipe: Recipe | MixRecipe) -> Iterator[Pin]:
    """Everything on the Hub that a recipe names, in its order. Sections that could not be read are left out."""
    there = vars(recipe)
    if isinstance(recipe, MixRecipe):
        for name, dataset in recipe.datasets.items() if "datasets" in there else ():
            for code, version in dataset.versions.items():
                if isinstance(version, HubVersion):
                    path = ("datasets", name, "versions", code, "revision")
                    yield Pin(path, "dataset", version.repository, version.revision)
    else:
        read = {("corpus", "sources"): recipe.corpus.sources} if "corpus" in there else {}
        if "decontaminate" in there and recipe.decontaminate is not None:
            read["decontaminate", "evaluations"] = recipe.decontaminate.evaluations
        for place, sources in read.items():
            for name, source in sources.items():
                if isinstance(source, HubSource):
                    yield Pin((*place, name, "revision"), "dataset", source.repository, source.revision)
    for name, model in recipe.models.items() if "models" in there else ():
        repository = _on_the_hub(model)
        if repository is not None:
            yield Pin(("models", name, "revision"), "model", repository, model.revision)


def _on_the_hub(model: Model) -> str | None:
    """The repository whose commit a revision is; a package and a service have versions of their own."""
    if isinstance(model, EmbeddedModel):
        return model.repository
    return model.model if re.fullmatch(r"[\w.-]+/[\w.-]+", model.model) else None
