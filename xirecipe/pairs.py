"""Pairs of an instruction and its response, as seeds are read and as prompts see them."""

from __future__ import annotations

from dataclasses import dataclass

#: What stands in the place of a seed's name for the best rows that the writer of a refining round learns from.
BEST_ROWS = "best_rows"


@dataclass(frozen=True)
class Pair:
    """A seed pair: a human-written English instruction and its response in the target language."""

    id: str
    instruction: str
    response: str


@dataclass(frozen=True)
class Taught:
    """A pair that a model is to learn from: of which seed, and in which language."""

    seed: str
    """A name under `learn.seeds` or `rating_set.seeds`, `seed` for the recipe's own, or BEST_ROWS."""
    language: str
    pair: Pair


@dataclass(frozen=True)
class Exemplar:
    """A seed pair as a prompt sees it. Without its id: what a prompt can read is what is hashed."""

    instruction: str
    response: str


@dataclass(frozen=True)
class Rated:
    """A pair with its level, as the evaluator's prompt sees it."""

    instruction: str
    text: str
    label: str
