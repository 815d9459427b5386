"""The decisions of `select`, free of any engine, so that `rejects --try` can take them again in memory.

They are taken over columns, some 300 bytes a row: the texts and embeddings of a million candidates fit into no memory.
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xirecipe.recipe.selection import Select
from xirecipe.tables import Row

_FOLD = re.compile(r"[\W_]+")

SCORE_COLUMNS = {"rubric": "rubric_score", "likelihood": "likelihood_gain", "similarity": "similarity"}

Rows = NDArray[np.int64]
"""Numbers of rows."""
Numbers = NDArray[np.float64]

#: In the order in which they are decided.
REASONS = ("no_score", "best_draw", "min_score", "max_instruction_repeats", "max_instruction_similarity", "rows")
NO_SCORE, BEST_DRAW, MIN_SCORE, REPEATED, SIMILAR, TOO_MANY = range(len(REASONS))
KEPT = -1


@dataclass(frozen=True)
class Candidates:
    """What the decisions hang on, one entry a row."""

    documents: pa.Array
    draws: NDArray[np.int64]
    instructions: pa.Array
    scores: Numbers
    """NaN where the judge gave none."""
    clusters: NDArray[np.int64]
    vectors: NDArray[np.float32] | None
    """Shape (rows, dimensions), in memory or mapped from a file; only `max_instruction_similarity` looks at them."""


class Decided:
    """What became of every row."""

    def __init__(self, candidates: Candidates, config: Select) -> None:
        rows = len(candidates.scores)
        self._candidates, self._config = candidates, config
        self._reasons = np.full(rows, KEPT, np.int8)
        self._values, self._thresholds = np.full(rows, np.nan), np.full(rows, np.nan)
        self._others = np.zeros(rows, np.int64)
        self.kept: Rows = np.empty(0, np.int64)
        """Rows of the dataset, in document order."""
        self.dropped: Rows = np.empty(0, np.int64)
        """The others, in document order."""

    def drop(
        self,
        rows: Rows,
        reason: int,
        values: Numbers | float = np.nan,
        thresholds: Numbers | float = np.nan,
        others: Rows | int = 0,
    ) -> None:
        """`others` are the rows that these were compared with. NaN stands for no number."""
        self._reasons[rows] = reason
        self._values[rows], self._thresholds[rows], self._others[rows] = values, thresholds, others

    @property
    def counts(self) -> dict[str, int]:
        """Dropped rows by reason."""
        found, counts = np.unique(self._reasons[self.dropped], return_counts=True)
        return {f"select.{REASONS[reason]}": int(count) for reason, count in zip(found, counts, strict=True)}

    def added(self, row: int) -> Row:
        """What the stage adds to a row: `score`, and `reason`, `value`, `threshold`, `detail` where it is dropped."""
        found: Row = {"score": _number(self._candidates.scores[row])}
        reason = int(self._reasons[row])
        if reason == KEPT:
            return found
        return found | {
            "reason": f"select.{REASONS[reason]}",
            "value": _number(self._values[row]),
            "threshold": _number(self._thresholds[row]),
            "detail": self._detail(row, reason, int(self._others[row])),
        }

    def _detail(self, row: int, reason: int, other: int) -> str | None:
        given = self._candidates
        told = {
            NO_SCORE: lambda: f"the judge gave no {SCORE_COLUMNS[self._config.score]}",
            BEST_DRAW: lambda: f"draw {given.draws[other]} of this document is better",
            REPEATED: lambda: f"also asked for {given.documents[other]}",
            SIMILAR: lambda: f"near-duplicate of {given.documents[other]}: {given.instructions[other]}",
            TOO_MANY: lambda: f"cluster {given.clusters[row]} had better rows",
        }
        return told[reason]() if reason in told else None


def decide(candidates: Candidates, config: Select) -> Decided:
    """What is kept and what dropped, and why.

    In this order: rows without a score, all but each document's best draw, scores below `min_score`, repeated
    instructions, near-duplicate instructions, and what is over `rows` (see `Select.pick`). Ties go to the smaller
    document id.
    """
    decided = Decided(candidates, config)
    scores, draws = candidates.scores, candidates.draws
    # Of strings: by their bytes in UTF-8, which is by code points, as Python orders them.
    ranks = pc.rank(candidates.documents, tiebreaker="dense").to_numpy(zero_copy_only=False).astype(np.int64)
    decided.drop(np.flatnonzero(np.isnan(scores)), NO_SCORE)
    scored = np.flatnonzero(~np.isnan(scores))
    best_first = scored[np.lexsort((draws[scored], ranks[scored], -scores[scored]))]

    documents, places = np.unique(ranks[best_first], return_index=True)
    winners = np.zeros(len(ranks) + 1, np.int64)
    winners[documents] = best_first[places]
    wins = winners[ranks[best_first]] == best_first
    others = best_first[~wins]
    decided.drop(others, BEST_DRAW, scores[others], scores[winners[ranks[others]]], winners[ranks[others]])
    above = best_first[wins]
    if config.min_score is not None:
        low = scores[above] < config.min_score
        decided.drop(above[low], MIN_SCORE, scores[above[low]], config.min_score)
        above = above[~low]

    if config.max_instruction_repeats is not None:
        earlier, first = _repeated(candidates.instructions, above)
        many = earlier >= config.max_instruction_repeats
        limit = float(config.max_instruction_repeats)
        decided.drop(above[many], REPEATED, limit + 1, limit, above[first[many]])
        above = above[~many]

    if config.max_instruction_similarity is not None:
        near = np.zeros(len(candidates.scores), bool)
        for row, other, cosine in _near(above, candidates, config.max_instruction_similarity):
            near[row] = True
            decided.drop(np.array([row]), SIMILAR, cosine, config.max_instruction_similarity, other)
        above = above[~near[above]]

    if config.rows is not None and len(above) > config.rows:
        pick = _take_turns if config.pick == "quota" else _uncovered
        left = np.ones(len(above), bool)
        left[pick(candidates.clusters[above], config.rows, config.quality_weight)] = False
        decided.drop(above[left], TOO_MANY, thresholds=float(config.rows))
        above = above[~left]

    in_order = np.lexsort((draws, ranks))
    chosen = np.zeros(len(ranks), bool)
    chosen[above] = True
    decided.kept, decided.dropped = in_order[chosen[in_order]], in_order[~chosen[in_order]]
    return decided


def select_rows(rows: Sequence[Row], config: Select) -> tuple[list[Row], list[Row]]:
    """(kept, dropped) of clustered candidates that are in memory, both in document order. See `decide`."""
    column = SCORE_COLUMNS[config.score]
    vectors = None
    if config.max_instruction_similarity is not None:
        vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
    scores = [np.nan if row[column] is None else row[column] for row in rows]
    candidates = Candidates(
        documents=pa.array([row["document_id"] for row in rows], pa.string()),
        draws=np.array([row["draw"] for row in rows], np.int64),
        instructions=pa.array([row["instruction"] for row in rows], pa.string()),
        scores=np.array(scores, np.float64),
        clusters=np.array([row["cluster"] for row in rows], np.int64),
        vectors=vectors,
    )
    decided = decide(candidates, config)
    kept, dropped = ([{**rows[i], **decided.added(i)} for i in some] for some in (decided.kept, decided.dropped))
    return kept, dropped


def fold(instruction: str) -> str:
    """An instruction without what does not make it another one: case, punctuation, white space."""
    return _FOLD.sub(" ", unicodedata.normalize("NFC", instruction).casefold()).strip()


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _repeated(instructions: pa.Array, rows: Rows) -> tuple[Rows, Rows]:
    """For each of some rows: how many before it ask the same, and the place of the first of them among `rows`."""
    folded = pa.array((fold(instructions[row].as_py()) for row in rows.tolist()), pa.string())
    groups = folded.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return _earlier(groups)


def _earlier(groups: Rows) -> tuple[Rows, Rows]:
    """For each place: how many earlier ones are of its group, and the first place of its group."""
    together = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[together], prepend=np.nan) != 0) if len(groups) else together
    sizes = np.diff(starts, append=len(groups))
    earlier, first = np.empty(len(groups), np.int64), np.empty(len(groups), np.int64)
    earlier[together] = np.arange(len(groups)) - np.repeat(starts, sizes)
    first[together] = np.repeat(together[starts], sizes)
    return earlier, first


def _members(groups: NDArray[Any]) -> Iterator[Rows]:
    """The places of each group, in their order."""
    together = np.argsort(groups, kind="stable")
    yield from np.split(together, np.flatnonzero(np.diff(groups[together])) + 1) if len(groups) else ()


def _near(rows: Rows, given: Candidates, limit: float) -> Iterator[tuple[int, int, float]]:
    """(row, the better row that it is like, cosine) of a best-first list; compared inside clusters."""
    assert given.vectors is not None
    for members in _members(given.clusters[rows]):
        cluster = rows[members]
        vectors = np.asarray(given.vectors[cluster])
        apart = np.empty_like(vectors)
        kept: list[int] = []
        for row, vector in zip(cluster.tolist(), vectors, strict=True):
            if kept:
                cosines = apart[: len(kept)] @ vector
                closest = int(cosines.argmax())
                if cosines[closest] > limit:
                    yield row, kept[closest], float(cosines[closest])
                    continue
            apart[len(kept)] = vector
            kept.append(row)


def _take_turns(clusters: Rows, count: int, _: float) -> Rows:
    """Places of a best-first list, one from each cluster in turn: small clusters keep theirs, large pay."""
    turns, _first = _earlier(clusters)
    return np.lexsort((np.arange(len(clusters)), turns))[:count]


def _uncovered(clusters: Rows, count: int, quality_weight: float) -> Rows:
    """Places of a best-first list, each time the row with the highest sum of quality and novelty.

    Quality is the row's rank among all, 1 for the best and 0 for the worst, so that scores of any scale weigh the same;
    novelty is 1 / (1 + rows picked from its cluster). Of a cluster only its best row left can be next, and its sum only
    falls, so a heap of clusters holds the order.
    """
    worst = max(1, len(clusters) - 1)
    queues = {int(clusters[places[0]]): places for places in _members(clusters)}

    def entry(cluster: int, picked: int) -> tuple[float, int, int, int]:
        position = int(queues[cluster][picked])
        total = quality_weight * (1 - position / worst) + 1 / (1 + picked)
        return -total, position, cluster, picked

    heap = [entry(cluster, 0) for cluster in queues]
    heapq.heapify(heap)
    kept: list[int] = []
    while len(kept) < count:
        _total, position, cluster, picked = heapq.heappop(heap)
        kept.append(position)
        if picked + 1 < len(queues[cluster]):
            heapq.heappush(heap, entry(cluster, picked + 1))
    return np.array(kept, np.int64)
