"""Language identification: the best label of the documents it dropped, and the scores of those that stayed."""

from __future__ import annotations

import re
import statistics
from array import array
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from xirecipe.hub.measure import Spread, spread
from xirecipe.plan import Plan
from xirecipe.report.bins import Bins, bins
from xirecipe.report.sampling import rows
from xirecipe.store import Store

#: A dropped row's detail is the best label and its score: `en 0.961`.
_BEST = re.compile(r"^(?P<label>[a-z]{2,3}(?:-[a-z]+)?) \d")


@dataclass(frozen=True)
class Confused:
    """Dropped documents with one best label. Scores are lid.176's, 0..1, medians; None where not recorded."""

    label: str
    expected: bool
    """The label is one of the recipe's own: the score was too low, not another language's higher."""
    documents: int
    best_score: float | None
    own_score: float | None


@dataclass(frozen=True)
class LanguageFacts:
    """`scores` has the series `kept` and, where a threshold dropped documents, `dropped`."""

    expected: tuple[str, ...]
    confused: tuple[Confused, ...]
    threshold: float | None
    scores: Bins | None
    kept: Spread | None
    asked: int


def measure(plan: Plan, store: Store) -> LanguageFacts | None:
    """None where the corpus stage is not done."""
    stage = next((stage for stage in plan.stages if stage.kind == "corpus"), None)
    if stage is None or not (artifact := store.artifact("corpus", stage.fingerprint)).done:
        return None
    kept = _scores(artifact.data)
    low: array[float] = array("d")
    best: dict[str, list[tuple[float | None, float | None]]] = defaultdict(list)
    expected = tuple(plan.language.lid_labels)
    for row in rows(artifact.dropped, ("reason", "value", "threshold", "detail")):
        if row["reason"] == "language.expected":
            found = _BEST.match(row["detail"] or "")
            best[found["label"] if found else "not recorded"].append((row["threshold"], row["value"]))
        elif row["reason"] == "language.min_score":
            best[" ".join(expected)].append((row["value"], row["value"]))
            low.extend([row["value"]] if row["value"] is not None else [])
    own = " ".join(expected)
    confused = [
        Confused(
            label, label == own, len(pairs), _median([b for b, _ in pairs]), _median([o for _, o in pairs])
        )
        for label, pairs in sorted(best.items(), key=lambda item: (-len(item[1]), item[0]))
    ]  # fmt: skip
    threshold = plan.recipe.corpus.filters.language.min_score if plan.recipe.corpus.filters.language else None
    series = {"kept": kept, "dropped": low} if low else {"kept": kept}
    return LanguageFacts(
        expected, tuple(confused), threshold, bins(series, threshold), spread(kept), artifact.manifest().asked
    )


def _scores(folder: Path) -> array[float]:
    found: array[float] = array("d")
    found.extend(r["language_score"] for r in rows(folder, ("language_score",)) if r["language_score"] is not None)
    return found


def _median(values: list[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.median(numbers) if numbers else None
