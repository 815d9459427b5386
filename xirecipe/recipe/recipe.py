"""A whole recipe: one language, one dataset."""

from __future__ import annotations

from pydantic import Field

from xirecipe.recipe.base import LanguageCode, Section
from xirecipe.recipe.corpus import Corpus, Dedup
from xirecipe.recipe.generation import Generate, Judge
from xirecipe.recipe.models import Model, Rates
from xirecipe.recipe.release import Card, Release
from xirecipe.recipe.selection import Budget, Cluster, Embed, Select, Split


class Recipe(Section):
    """A recipe after `extends`, the language's facts and a profile have been laid over one another."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+(-dev)?$")
    """`-dev` while rows may still change; without it the version is frozen."""
    language: LanguageCode
    corpus: Corpus
    dedup: Dedup = Dedup()
    models: dict[str, Model] = Field(min_length=1)
    generate: Generate
    judge: Judge
    embed: Embed = Embed()
    cluster: Cluster = Cluster()
    select: Select = Select()
    split: Split = Split()
    card: Card
    release: Release
    budget: Budget = Budget()
    rates: dict[str, Rates] = {}  # noqa: RUF012  pydantic copies defaults
    """By the names under `models:`. Changes no row, so it is no part of any fingerprint."""
