"""A whole recipe: one language, one dataset."""

from __future__ import annotations

from pydantic import Field

from xirecipe.recipe.base import LanguageCode, Section
from xirecipe.recipe.corpus import Corpus, Dedup, Polish
from xirecipe.recipe.decontamination import Decontaminate
from xirecipe.recipe.evaluation import Evaluate
from xirecipe.recipe.generation import Generate, Judge, RatingSet, Refine, Seed
from xirecipe.recipe.models import Model, Rates
from xirecipe.recipe.release import Card, Release
from xirecipe.recipe.selection import Budget, Cluster, Embed, Messages, Select, Split


class Anchors(Section):
    """Lengths that a paper measured, in characters, for the report to compare with."""

    instruction_chars_mean: float
    instruction_chars_std: float
    response_chars_mean: float
    response_chars_std: float
    source: str
    """The paper and the rows it counted."""


class Recipe(Section):
    """A recipe after `extends`, the language's facts and a profile have been laid over one another."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+(-dev)?$")
    """`-dev` while rows may still change; without it the version is frozen."""
    language: LanguageCode
    corpus: Corpus
    dedup: Dedup = Dedup()
    polish: Polish | None = None
    models: dict[str, Model] = Field(min_length=1)
    seed: Seed
    generate: Generate
    rating_set: RatingSet | None = None
    judge: Judge
    refine: Refine | None = None
    decontaminate: Decontaminate | None = None
    embed: Embed = Embed()
    cluster: Cluster = Cluster()
    select: Select = Select()
    messages: Messages = Messages()
    split: Split = Split()
    evaluate: Evaluate = Evaluate()
    card: Card
    release: Release
    anchors: dict[LanguageCode, Anchors] = {}  # noqa: RUF012  pydantic copies defaults
    budget: Budget = Budget()
    rates: dict[str, Rates] = {}  # noqa: RUF012  pydantic copies defaults
    """By the names under `models:`. Changes no row, so it is no part of any fingerprint."""

    @property
    def exemplar_seed(self) -> Seed:
        """Where the exemplars come from."""
        return self.generate.exemplars.seed or self.seed
