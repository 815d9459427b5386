"""A plan: the stages of one recipe under one profile, in order, with their fingerprints."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from xirecipe.columns import StageKind
from xirecipe.recipe.language import Language
from xirecipe.recipe.recipe import Recipe
from xirecipe.stage import Stage


@dataclass(frozen=True)
class Plan:
    """The compiled form of a recipe. Made without network and without any engine."""

    recipe: Recipe
    language: Language
    profile: str
    root: Path
    """The recipe folder."""
    path: Path
    """The recipe's file."""
    stages: tuple[Stage, ...]
    files: dict[str, str] = field(default_factory=dict)
    """Texts of every file the recipe is made of (itself, bases, language, prompts), by path in the recipe folder."""
    overrides: tuple[str, ...] = ()
    """`--set key=value` of this plan."""
    limit: int | None = None

    def stage(self, kind: StageKind) -> Stage:
        return next(stage for stage in self.stages if stage.kind == kind)
