"""What an engine gets for one stage, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from xirecipe.artifact import Artifact
from xirecipe.settings import Settings
from xirecipe.spending import Spending
from xirecipe.stage import Stage
from xirecipe.store import Store


@dataclass(frozen=True)
class Progress:
    """How far a stage is: `done` of `total` units (documents, answers); total is None where unknown."""

    done: int
    total: int | None
    unit: str


@dataclass(frozen=True)
class Work:
    """What an engine gets: the stage, where its input lies, and where to write.

    The engine writes `output.data/*.parquet`, `output.dropped/*.parquet`, `output.failed/*.parquet` in the columns of
    `xirecipe.columns`, and returns an Outcome; `run.py` checks it and writes the manifest.
    """

    stage: Stage
    inputs: dict[str, Artifact]
    """By the inputs' slots."""
    output: Artifact
    store: Store
    settings: Settings
    report: Callable[[Progress], None]
    budget: Spending | None = None


@dataclass(frozen=True)
class Outcome:
    """Counts of a finished stage, in the manifest's terms."""

    rows_in: int
    asked: int
    kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
