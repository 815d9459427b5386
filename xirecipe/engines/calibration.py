"""How good an evaluator is: its scores on the rating set against the levels the set was made with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from xirecipe.rating import LEVELS
from xirecipe.tables import Row

#: Bins of the calibration curve (Guo et al. 2017, arXiv 1706.04599 use 15 for thousands of rows; seeds are small).
CALIBRATION_BINS = 5

#: Level and score of a row.
Scored = tuple[str, float]


def measured(rows: Sequence[Row], scores: Sequence[float | None], *, trained: bool = False) -> dict[str, Any]:
    """Accuracy and calibration of one score on the rows held out.

    Levels are read from scores by a logistic regression on the part to learn from, so that scores of any scale can be
    compared. A model that was `trained` on that part scores it as it will score nothing else: then the regression is
    on one half of the pairs held out, for the other half. `auc` is the chance that a top row scores above a bottom row;
    `calibration_error` the expected gap between confidence and accuracy, both 0..1. A value is None where the rows do
    not allow it.
    """
    scored = [
        (row, float(score))
        for row, score in zip(rows, scores, strict=True)
        if score is not None and math.isfinite(score)
    ]
    learn = [(row["level"], score) for row, score in scored if row["part"] == "learn"]
    held_out = [(row["level"], score) for row, score in scored if row["part"] == "held_out"]
    facts: dict[str, Any] = {
        "rows": len(rows), "unscored": len(rows) - len(scored), "learned_from": len(learn), "held_out": len(held_out),
        "accuracy": None, "auc": None, "calibration_error": None, "bins": [], "confusion": {},
    }  # fmt: skip
    ends = [(level == "top", score) for level, score in held_out if level != "middle"]
    if len({top for top, _ in ends}) == 2:
        from sklearn.metrics import roc_auc_score

        facts["auc"] = round(float(roc_auc_score([top for top, _ in ends], [score for _, score in ends])), 4)
    splits = _halves(scored) if trained else [(learn, held_out)]
    if held_out and all({level for level, _ in given} == set(LEVELS) for given, _ in splits):
        facts |= _levels(splits)
    return facts


def _halves(scored: Sequence[tuple[Row, float]]) -> list[tuple[list[Scored], list[Scored]]]:
    """Every other pair held out for the rest of them, and the rest for these."""
    held_out = [(row, score) for row, score in scored if row["part"] == "held_out"]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(row["pair_id"] for row, _ in held_out))}
    halves: tuple[list[Scored], list[Scored]] = ([], [])
    for row, score in held_out:
        halves[numbers[row["pair_id"]] % 2].append((row["level"], score))
    return [halves, halves[::-1]]


def _levels(splits: Sequence[tuple[list[Scored], list[Scored]]]) -> dict[str, Any]:
    """How well levels are read from scores, where the first rows of a split say how, and the second are read."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    said: list[str] = []
    sure: list[float] = []
    for given, read in splits:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=10.0))
        model.fit(np.array([[score] for _, score in given]), [level for level, _ in given])
        chances = model.predict_proba(np.array([[score] for _, score in read]))
        said += [str(model.classes_[row.argmax()]) for row in chances]
        sure += [float(row.max()) for row in chances]
    held_out = [row for _, read in splits for row in read]
    right = [own == level for own, (level, _) in zip(said, held_out, strict=True)]
    confusion: dict[str, Counter[str]] = {level: Counter() for level in LEVELS}
    for own, (level, _) in zip(said, held_out, strict=True):
        confusion[level][own] += 1
    bins = []
    for number in range(CALIBRATION_BINS):
        low, high = number / CALIBRATION_BINS, (number + 1) / CALIBRATION_BINS
        inside = [i for i, c in enumerate(sure) if low < c <= high]
        if inside:
            bins.append(
                {
                    "confidence": round(sum(sure[i] for i in inside) / len(inside), 4),
                    "accuracy": round(sum(right[i] for i in inside) / len(inside), 4),
                    "rows": len(inside),
                }
            )
    gap = sum(b["rows"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / len(held_out)
    return {
        "accuracy": round(sum(right) / len(right), 4),
        "calibration_error": round(gap, 4),
        "bins": bins,
        "confusion": {level: {own: counts[own] for own in LEVELS} for level, counts in confusion.items()},
    }
