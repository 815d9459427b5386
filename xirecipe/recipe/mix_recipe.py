"""A whole mixing recipe: a dataset made of other datasets."""

from __future__ import annotations

from pydantic import Field

from xirecipe.recipe.base import LanguageCode, Section
from xirecipe.recipe.evaluation import Evaluate
from xirecipe.recipe.mixing import AnswerIn, Dataset, Mix, SlotName, Translate
from xirecipe.recipe.models import Model, Rates
from xirecipe.recipe.release import Card, MixRelease
from xirecipe.recipe.selection import Budget, Split


class MixRecipe(Section):
    """A recipe with a `mix:`, after `extends` and a profile have been laid over one another."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+(-dev)?$")
    """`-dev` while rows may still change; without it the version is frozen."""
    datasets: dict[SlotName, Dataset] = Field(min_length=1)
    models: dict[str, Model] = {}  # noqa: RUF012  pydantic copies defaults
    """Only where something is translated or evaluated."""
    translate: dict[str, Translate] = {}  # noqa: RUF012
    """By the names under `datasets:`."""
    answer_in: dict[LanguageCode, AnswerIn] = {}  # noqa: RUF012
    """By the language of the prompt."""
    mix: Mix
    split: Split = Split()
    evaluate: Evaluate = Evaluate()
    card: Card
    release: MixRelease
    budget: Budget = Budget()
    rates: dict[str, Rates] = {}  # noqa: RUF012
    """By the names under `models:`. Changes no row, so it is no part of any fingerprint."""

    def languages_of(self, dataset: str) -> tuple[str, ...]:
        """The languages that a dataset has: its own, then those it is translated into."""
        into = self.translate[dataset].into if dataset in self.translate else ()
        return tuple(dict.fromkeys([*self.datasets[dataset].versions, *into]))

    @property
    def used_datasets(self) -> tuple[str, ...]:
        """Names of the datasets that the chosen parts draw from, in the order of the recipe."""
        used = {part.dataset for part in self.mix.chosen.values()}
        return tuple(name for name in self.datasets if name in used)
