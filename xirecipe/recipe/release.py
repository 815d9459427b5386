"""`release:` and `card:` of a recipe: what the dataset is called and what its author says about it."""

from __future__ import annotations

from pydantic import Field

from xirecipe.recipe.base import PositiveInt, Ratio, Section


class Paper(Section):
    """A work to cite."""

    key: str = Field(pattern=r"^[A-Za-z][\w-]*$")
    """BibTeX key."""
    title: str
    authors: tuple[str, ...] = Field(min_length=1, strict=False)
    year: int
    url: str


class Card(Section):
    """The author's words on the card. Required, because no default phrase is true of every dataset."""

    title: str
    summary: str
    uses: str
    not_for: str
    biases: str
    contact: str | None = None
    papers: tuple[Paper, ...] = Field((), strict=False)


class MixGates(Section):
    """The least a version of a mixing recipe must reach to be released."""

    min_rows: PositiveInt | None = None
    """Rows of all configs and splits."""


class Gates(MixGates):
    """The least a version must reach to be released. A gate that is not named, or is null, is open."""

    min_keep_ratio: Ratio | None = None
    """Released rows per document read."""
    min_language_ratio: Ratio | None = None
    """Share of released rows in which lid.176 gives the language more than half of its probability."""
    min_mean_score: float | None = None
    """Mean over released rows of the score that `select` ranks by."""
    min_evaluator_accuracy: Ratio | None = None
    """Share of the held-out rating set whose level the judge found; needs `rating_set`."""


class ReleaseTerms(Section):
    """Where a version goes and under what terms."""

    license: str
    license_reason: str | None = None
    repository: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$")
    """The dataset repository on the Hub."""


class Release(ReleaseTerms):
    """Where a version goes, under what terms, and how good it must be."""

    gates: Gates = Gates()


class MixRelease(ReleaseTerms):
    """Where a version of a mixing recipe goes, under what terms, and how large it must be."""

    gates: MixGates = MixGates()
