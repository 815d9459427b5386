"""The decisions of a refining round: what is best, what is flawed, what the round changed. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean
from typing import Any

from xirecipe.recipe.generation import Refine
from xirecipe.selecting import SCORE_COLUMNS, fold
from xirecipe.tables import Row


def best_drafts(rows: Iterable[Row], config: Refine) -> dict[str, Row]:
    """Each document's best scored draft, by document id. Ties go to the earlier draw."""
    column = SCORE_COLUMNS[config.score]
    best: dict[str, Row] = {}
    for row in rows:
        score = row[column]
        if score is None or math.isnan(score):
            continue
        known = best.get(row["document_id"])
        if known is None or (score, -row["draw"]) > (known[column], -known["draw"]):
            best[row["document_id"]] = row
    return best


def best_candidates(best: dict[str, Row], config: Refine) -> list[Row]:
    """The candidates that become exemplars: the best of those that are not flawed, no instruction twice.

    Rows carry `chars`, the length of their text, instead of the text.
    """
    short = config.max_exemplar_chars
    return _ranked((row for row in best.values() if row["chars"] <= short), config)[: config.exemplars]


def learnt_candidates(best: dict[str, Row], config: Refine) -> list[Row]:
    """The candidates that a round's writer learns from: chosen like exemplars, but texts may be long."""
    return _ranked(best.values(), config)[: config.max_learnt_rows]


def _ranked(rows: Iterable[Row], config: Refine) -> list[Row]:
    """Those that are not flawed, the highest scores first, ties by document id; no instruction twice."""
    column = SCORE_COLUMNS[config.score]
    fitting = [row for row in rows if row[column] >= config.min_score]
    fitting.sort(key=lambda row: (-row[column], row["document_id"]))
    distinct: dict[str, Row] = {}
    for row in fitting:
        distinct.setdefault(fold(row["instruction"]), row)
    return list(distinct.values())


def is_last(round_before: dict[str, Any] | None, config: Refine) -> bool:
    """Whether no round follows one with these facts: it changed too little, or was not run itself."""
    if round_before is None:
        return False
    return bool(round_before["stopped"]) or round_before["changed_ratio"] < config.min_changed_ratio


def is_flawed(document: str, best: dict[str, Row], config: Refine) -> bool:
    """Whether a document needs new drafts: its best one is below the threshold, or none is left."""
    row = best.get(document)
    return row is None or row[SCORE_COLUMNS[config.score]] < config.min_score


def round_facts(
    documents: int, flawed: int, before: dict[str, Row], after: dict[str, Row], pairs: Iterable[tuple[float, float]],
    config: Refine,
) -> dict[str, Any]:  # fmt: skip
    """What a round did, for manifest and report.

    `pairs` are the scores before and after of candidates rated in both rounds. `agreement` is the share of them on the
    same side of `min_score` both times; `yield` the share of documents whose best draft is not flawed; `changed_ratio`
    the share of documents whose best draft is another instruction than before.
    """
    column = SCORE_COLUMNS[config.score]

    def fitting(best: dict[str, Row]) -> float | None:
        good = sum(row[column] >= config.min_score for row in best.values())
        return round(good / documents, 4) if documents else None

    def mean(best: dict[str, Row]) -> float | None:
        return round(fmean(row[column] for row in best.values()), 4) if best else None

    changed = sum(
        document not in before or before[document]["instruction"] != row["instruction"]
        for document, row in after.items()
    )
    sides = [(old >= config.min_score) == (new >= config.min_score) for old, new in pairs]
    return {
        "documents": documents,
        "flawed": flawed,
        "improved": sum(row["document_id"] in before and row[column] > before[row["document_id"]][column]
                        for row in after.values()),
        "changed_ratio": round(changed / documents, 4) if documents else 0.0,
        "agreement": round(sum(sides) / len(sides), 4) if sides else None,
        "mean_score_before": mean(before),
        "mean_score_after": mean(after),
        "yield_before": fitting(before),
        "yield_after": fitting(after),
        "stopped": False,
    }  # fmt: skip
