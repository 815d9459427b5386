"""What a recipe may say, as pydantic models and nothing else."""

from __future__ import annotations

from xirecipe.recipe.corpus import Corpus, Dedup
from xirecipe.recipe.generation import Generate, Judge
from xirecipe.recipe.language import Language
from xirecipe.recipe.models import Model, Rates
from xirecipe.recipe.recipe import Recipe
from xirecipe.recipe.release import Card, Release
from xirecipe.recipe.selection import Budget, Cluster, Embed, Select, Split

__all__ = [
    "Budget", "Card", "Cluster", "Corpus", "Dedup", "Embed", "Generate", "Judge", "Language", "Model", "Rates",
    "Recipe", "Release", "Select", "Split",
]  # fmt: skip
