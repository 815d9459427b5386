"""`release:` and `card:` of a recipe: what the dataset is called and what its author says about it."""

from __future__ import annotations

from pydantic import Field

from xirecipe.recipe.base import Section


class Paper(Section):
    """A work to cite."""

    title: str
    authors: tuple[str, ...] = Field(min_length=1, strict=False)
    year: int
    url: str
    key: str = Field(pattern=r"^[A-Za-z][\w-]*$")
    """BibTeX key."""


class Card(Section):
    """The author's words on the card. Required, because no default phrase is true of every dataset."""

    title: str
    summary: str
    uses: str
    not_for: str
    biases: str
    contact: str | None = None
    papers: tuple[Paper, ...] = Field((), strict=False)


class Release(Section):
    """Where a version goes and under what terms."""

    license: str
    license_reason: str | None = None
    repository: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$")
