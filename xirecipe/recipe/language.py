"""`languages/*.yaml`: the facts of a language that no recipe should have to repeat."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from xirecipe.recipe.base import LanguageCode, Section
from xirecipe.recipe.corpus import Filters


class Language(Section):
    """A language: its names, how its words and sentences are found, and its filters' numbers with their source."""

    code: LanguageCode
    name: str
    """In English, as a prompt would say it."""
    native_name: str
    hub_code: str = Field(pattern=r"^[a-z]{2,3}$")
    """ISO 639-1 where there is one, else 639-3: what the Hub's `language:` wants."""
    direction: Literal["ltr", "rtl"] = "ltr"
    lid_labels: tuple[str, ...] = Field(min_length=1, strict=False)
    """Labels of lid.176 that count as this language: its own, and neighbours it is confused with on short texts."""
    words: Literal["unicode", "thai"] = "unicode"
    """How words are split: `unicode` takes runs of letters, marks and digits; `thai` looks up words in a dictionary."""
    sentence_enders: str = ".!?…"
    """Characters that end a sentence. A space among them ends one between two Thai phrases, as Thai is written."""
    filters: Filters = Filters()
    """Laid under a recipe's `corpus.filters`."""
    sources: tuple[str, ...] = Field(min_length=1, strict=False)
    """Where the numbers come from."""
