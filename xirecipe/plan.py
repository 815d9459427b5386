"""A plan: the stages of one recipe under one profile, in order, with their fingerprints."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from xirecipe.columns import BESIDE, StageKind
from xirecipe.recipe.language import Language
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.recipe import Recipe
from xirecipe.stage import Stage


@dataclass(frozen=True)
class AnyPlan:
    """The compiled form of a recipe of either kind. Made without network and without any engine."""

    recipe: Recipe | MixRecipe
    language: Language
    """The language of a text recipe's responses; English for a mixing recipe."""
    profile: str
    root: Path
    """The recipe folder."""
    path: Path
    """The recipe's file."""
    stages: tuple[Stage, ...]
    files: dict[str, str] = field(default_factory=dict)
    """Texts of every file the recipe is made of (itself, bases, language, prompts), by path in the recipe folder."""
    attachments: dict[str, bytes] = field(default_factory=dict)
    """Data files in the recipe folder that a run reads besides its sources (seed pairs, prompts to evaluate with)."""
    overrides: tuple[str, ...] = ()
    """`--set key=value` of this plan."""
    limit: int | None = None

    @property
    def document_stages(self) -> tuple[Stage, ...]:
        """The stages whose rows are documents and candidates; a rating set's and a training's are not."""
        return tuple(stage for stage in self.stages if stage.kind not in BESIDE)

    def stage(self, kind: StageKind) -> Stage:
        """The last stage of a kind that every plan has."""
        return next(stage for stage in reversed(self.stages) if stage.kind == kind)


@dataclass(frozen=True)
class Plan(AnyPlan):
    """The plan of a text recipe: one language, texts that become responses."""

    recipe: Recipe

    @property
    def rated(self) -> Stage:
        """The stage that gave the candidates their last scores."""
        return self.stage("refine" if self.recipe.refine else "judge")


@dataclass(frozen=True)
class MixPlan(AnyPlan):
    """The plan of a mixing recipe: datasets that become rows of several shapes."""

    recipe: MixRecipe
    languages: dict[str, Language] = field(default_factory=dict)
    """Every language of the mix, by its code."""
