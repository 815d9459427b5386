"""Scores of the candidates: how they are spread, and on which side of the threshold rows stayed."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from pathlib import Path

from xirecipe.columns import COLUMNS
from xirecipe.hub.measure import Spread, spread
from xirecipe.plan import Plan
from xirecipe.report.bins import Bins, bins
from xirecipe.report.sampling import column_names, rows
from xirecipe.selecting import SCORE_COLUMNS
from xirecipe.store import Store

#: Every column that a judge may write, as far as this version knows them.
KNOWN = ("rubric_score", "likelihood_gain", "similarity")
KEPT, BELOW, OTHER, CANDIDATES = "kept", "dropped: below the threshold", "dropped: another reason", "candidates"


@dataclass(frozen=True)
class ScoreFacts:
    """One score column. `threshold` is None where the column does not decide, or nothing was asked of it."""

    column: str
    meaning: str
    decides: bool
    threshold: float | None
    bins: Bins
    spread: Spread
    without_score: int


def score_column(plan: Plan) -> str | None:
    """The column that `select` ranks by; None for a score this version has no column for."""
    return SCORE_COLUMNS.get(plan.recipe.select.score)


def measure(plan: Plan, store: Store) -> tuple[ScoreFacts, ...]:
    """Each score column that `select`'s rows have; of the latest scored rows where `select` is not done."""
    select = next((stage for stage in plan.stages if stage.kind == "select"), None)
    if select is not None and (artifact := store.artifact("select", select.fingerprint)).done:
        return _measure(plan, [artifact.data, artifact.dropped], selected=True)
    for stage in reversed(plan.stages):
        artifact = store.artifact(stage.kind, stage.fingerprint)
        if artifact.done and column_names(artifact.data) & set(KNOWN):
            return _measure(plan, [artifact.data], selected=False)
    return ()


def _measure(plan: Plan, folders: list[Path], *, selected: bool) -> tuple[ScoreFacts, ...]:
    present = [name for name in KNOWN if any(name in column_names(folder) for folder in folders)]
    values: dict[str, dict[str, array[float]]] = {
        name: {side: array("d") for side in ((KEPT, BELOW, OTHER) if selected else (CANDIDATES,))} for name in present
    }
    without = dict.fromkeys(present, 0)
    for folder in folders:
        for row in rows(folder, [*present, "reason"]):
            side = _side(row["reason"]) if selected else CANDIDATES
            for name in present:
                score = row[name]
                if score is None or not math.isfinite(score):
                    without[name] += 1
                else:
                    values[name][side].append(score)
    facts = []
    for name in present:
        decides = name == score_column(plan)
        threshold = plan.recipe.select.min_score if decides else None
        histogram = bins(values[name], threshold)
        everything = spread([score for side in values[name].values() for score in side])
        if histogram is not None and everything is not None:
            meaning = next((c.meaning for c in COLUMNS if c.name == name), "")
            facts.append(ScoreFacts(name, meaning, decides, threshold, histogram, everything, without[name]))
    return tuple(facts)


def _side(reason: str | None) -> str:
    if reason is None:
        return KEPT
    return BELOW if reason == "select.min_score" else OTHER
