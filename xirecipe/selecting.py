"""The decisions of `select`, free of any engine, so that `rejects --try` can take them again in memory."""

from __future__ import annotations

import heapq
import math
import re
import unicodedata
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

from xirecipe.recipe.selection import Select
from xirecipe.tables import Row

_FOLD = re.compile(r"[\W_]+")

SCORE_COLUMNS = {"rubric": "rubric_score", "likelihood": "likelihood_gain", "similarity": "similarity"}


def select_rows(rows: Sequence[Row], config: Select) -> tuple[list[Row], list[Row]]:
    """(kept, dropped) of the clustered candidates; dropped rows carry `reason`, `value`, `threshold`, `detail`.

    In this order: rows without a score, all but each document's best draw, scores below `min_score`, repeated
    instructions, near-duplicate instructions, and what is over `rows` (see `Select.pick`). Ties go to the smaller
    document id. Both lists are in document order.
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

    if config.max_instruction_similarity is not None:
        distinct, near = _apart(distinct, config.max_instruction_similarity)
        for row, other, cosine in near:
            detail = f"near-duplicate of {other['document_id']}: {other['instruction']}"
            drop(row, "max_instruction_similarity", cosine, config.max_instruction_similarity, detail)

    pick = _take_turns if config.pick == "quota" else _uncovered
    kept = pick(distinct, config)
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


def _apart(rows: list[Row], limit: float) -> tuple[list[Row], list[tuple[Row, Row, float]]]:
    """(kept, (dropped, the better row it is like, cosine)) of a best-first list; compared inside clusters."""
    import numpy as np

    kept: list[Row] = []
    near: list[tuple[Row, Row, float]] = []
    members: dict[int, list[Row]] = defaultdict(list)
    vectors: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        cluster, vector = row["cluster"], np.asarray(row["embedding"], dtype=np.float32)
        if vectors[cluster]:
            cosines = np.stack(vectors[cluster]) @ vector
            closest = int(cosines.argmax())
            if cosines[closest] > limit:
                near.append((row, members[cluster][closest], float(cosines[closest])))
                continue
        members[cluster].append(row)
        vectors[cluster].append(vector)
        kept.append(row)
    return kept, near


def _take_turns(rows: list[Row], config: Select) -> list[Row]:
    """At most `rows` of a best-first list, one from each cluster in turn: small clusters keep theirs, large pay."""
    if config.rows is None or len(rows) <= config.rows:
        return rows
    turn: dict[int, int] = defaultdict(int)
    ranked: list[tuple[int, int, Row]] = []
    for position, row in enumerate(rows):
        ranked.append((turn[row["cluster"]], position, row))
        turn[row["cluster"]] += 1
    ranked.sort(key=lambda entry: entry[:2])
    return [row for _, _, row in ranked[: config.rows]]


def _uncovered(rows: list[Row], config: Select) -> list[Row]:
    """At most `rows` of a best-first list, each time the row with the highest sum of quality and novelty.

    Quality is the row's rank among all, 1 for the best and 0 for the worst, so that scores of any scale weigh the same;
    novelty is 1 / (1 + rows picked from its cluster). Of a cluster only its best row left can be next, and its sum only
    falls, so a heap of clusters holds the order.
    """
    if config.rows is None or len(rows) <= config.rows:
        return rows
    worst = max(1, len(rows) - 1)
    queues: dict[int, deque[tuple[int, Row]]] = defaultdict(deque)
    for position, row in enumerate(rows):
        queues[row["cluster"]].append((position, row))

    def entry(cluster: int, picked: int) -> tuple[float, int, int, int]:
        position, _ = queues[cluster][0]
        total = config.quality_weight * (1 - position / worst) + 1 / (1 + picked)
        return -total, position, cluster, picked

    heap = [entry(cluster, 0) for cluster in queues]
    heapq.heapify(heap)
    kept: list[Row] = []
    while len(kept) < config.rows:
        *_, cluster, picked = heapq.heappop(heap)
        kept.append(queues[cluster].popleft()[1])
        if queues[cluster]:
            heapq.heappush(heap, entry(cluster, picked + 1))
    return kept
