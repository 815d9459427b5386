"""What the facts of every kind of dataset share: which version it is, its files, what changed since the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xirecipe.load import DEFAULT_PROFILE
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.recipe import Recipe


@dataclass(frozen=True)
class FileFacts:
    """A file that the recipe is made of."""

    path: str
    sha256: str
    text: str


@dataclass(frozen=True)
class Since:
    """What changed since the version before: sentences, and that version's changelog."""

    version: str
    changes: tuple[str, ...]
    changelog: str


@dataclass(frozen=True, kw_only=True)
class VersionFacts:
    """What is known of a version of either kind. None means that nothing recorded it."""

    recipe: Recipe | MixRecipe
    splits: tuple[Any, ...]
    profile: str
    date: str | None
    tool: str | None
    versions: dict[str, tuple[str, ...]]
    recipe_sha256: str
    fingerprint: str
    command: str
    seeds: tuple[tuple[str, int], ...]
    files: tuple[FileFacts, ...]
    limit: int | None
    since: Since | None = None
    """Known when a version is released; a run's own folder is compared with nothing."""

    @property
    def rows(self) -> int:
        return sum(split.rows for split in self.splits)

    @property
    def is_sample(self) -> bool:
        """Made by the default profile, which proves the way and makes no data to train on."""
        return self.profile == DEFAULT_PROFILE

    @property
    def is_dev(self) -> bool:
        return self.recipe.version.endswith("-dev")

    @property
    def is_first_version(self) -> bool:
        return self.recipe.version.removesuffix("-dev") in ("0.1.0", "1.0.0")
