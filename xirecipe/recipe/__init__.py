"""What a recipe may say, as pydantic models and nothing else."""

from __future__ import annotations

from xirecipe.recipe.corpus import Corpus, Dedup
from xirecipe.recipe.generation import Generate, Judge
from xirecipe.recipe.language import Language
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.mixing import Dataset, Mix, Part, Translate
from xirecipe.recipe.models import Model, Rates
from xirecipe.recipe.recipe import Recipe
from xirecipe.recipe.release import Card, Release
from xirecipe.recipe.selection import Budget, Cluster, Embed, Select, Split

__all__ = [
    "Budget", "Card", "Cluster", "Corpus", "Dataset", "Dedup", "Embed", "Generate", "Judge", "Language", "Mix",
    "MixRecipe", "Model", "Part", "Rates", "Recipe", "Release", "Select", "Split", "Translate",
]  # fmt: skip
