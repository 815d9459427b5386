"""The decisions of `select`, free of any engine, so that `rejects --try` can take them again in memory."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from xirecipe.recipe.selection import Select
from xirecipe.tables import Row

_FOLD = re.compile(r"[\W_]+")

SCORE_COLUMNS = {"rubric": "rubric_score", "likelihood": "likelihood_gain"}


def select_rows(rows: Sequence[Row], config: Select) -> tuple[list[Row], list[Row]]:
    """(kept, dropped) of the clustered candidates; dropped rows carry `reason`, `value`, `threshold`, `detail`.

    In this order: rows without a score, all but each document's best draw, scores below `min_score`, repeated
    instructions, and what is over `rows`: clusters take turns, each giving its best row left, so that small clusters
    keep their rows and large ones pay. Ties go to the smaller document id. Both lists are in document order.
    """
    column = SCORE_COLUMNS[config.score]
    dropped: list[Row] = []

    def drop(row: Row, reason: str, value: float | None, threshold: float | None, detail: str | None = None) -> None:
        dropped.append({**row, "reason": f"select.{reason}", "value": value, "threshold": threshold, "detail": detail})

    scored: list[Row] = []
    for row in rows:
        if row[column] is None or math.isnan(row[column]):
            drop({**row, "score": None}, "no_score", None, None, f"the judge gave no {column}")
        else:
            scored.append({**row, "score": float(row[column])})
    scored.sort(key=_best_first)

    best: dict[str, Row] = {}
    above: list[Row] = []
    for row in scored:
        winner = best.setdefault(row["document_id"], row)
        if winner is not row:
            drop(row, "best_draw", row["score"], winner["score"], f"draw {winner['draw']} of this document is better")
        elif config.min_score is not None and row["score"] < config.min_score:
            drop(row, "min_score", row["score"], config.min_score)
        else:
            above.append(row)

    seen: dict[str, list[str]] = defaultdict(list)
    distinct: list[Row] = []
    for row in above:
        same = seen[fold(row["instruction"])]
        if config.max_instruction_repeats is not None and len(same) >= config.max_instruction_repeats:
            limit = float(config.max_instruction_repeats)
            drop(row, "max_instruction_repeats", float(len(same) + 1), limit, f"also asked for {same[0]}")
        else:
            same.append(row["document_id"])
            distinct.append(row)

    kept = _take_turns(distinct, config.rows)
    chosen = {id(row) for row in kept}
    for row in distinct:
        if id(row) not in chosen:
            drop(row, "rows", None, float(config.rows or 0), f"cluster {row['cluster']} had better rows")

    def by_document(row: Row) -> tuple[str, int]:
        return row["document_id"], row["draw"]

    return sorted(kept, key=by_document), sorted(dropped, key=by_document)


def fold(instruction: str) -> str:
    """An instruction without what does not make it another one: case, punctuation, white space."""
    return _FOLD.sub(" ", unicodedata.normalize("NFC", instruction).casefold()).strip()


def _best_first(row: Row) -> tuple[float, str, int]:
    return -row["score"], row["document_id"], row["draw"]


def _take_turns(rows: list[Row], wanted: int | None) -> list[Row]:
    """At most `wanted` rows of a best-first list, one from each cluster in turn."""
    if wanted is None or len(rows) <= wanted:
        return rows
    turn: dict[int, int] = defaultdict(int)
    ranked: list[tuple[int, int, Row]] = []
    for position, row in enumerate(rows):
        ranked.append((turn[row["cluster"]], position, row))
        turn[row["cluster"]] += 1
    ranked.sort(key=lambda entry: entry[:2])
    return [row for _, _, row in ranked[:wanted]]
