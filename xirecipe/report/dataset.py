"""The rows as they stand after the last finished stage: lengths, verbs, examples, in one pass."""

from __future__ import annotations

import heapq
import math
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xirecipe.hub.measure import Spread, spread
from xirecipe.report.bins import Bins, bins
from xirecipe.report.sampling import Reservoir, beginning, rows
from xirecipe.report.verbs import VerbFacts, count_verbs
from xirecipe.tables import Row

#: Rows shown at random and from the bottom; drawn with this seed, so that nobody picks the good ones.
EXAMPLES, EXAMPLE_SEED = 20, 0
#: Instructions that are tagged: 20,000 take some 15 s and give shares to half a percent.
MAX_TAGGED = 20_000
#: How much of a response an example shows at once, and how much when it is opened, in graphemes.
SHOWN_GRAPHEMES, MAX_GRAPHEMES = 320, 6_000


@dataclass(frozen=True)
class Lengths:
    """Lengths in characters (Unicode code points), beside a paper's where the recipe has them."""

    what: str
    spread: Spread
    bins: Bins
    paper_mean: float | None
    paper_std: float | None


@dataclass(frozen=True)
class Example:
    """A row for people. `rest` is the whole response where `response` is only its beginning."""

    document_id: str
    source: str
    instruction: str
    response: str
    rest: str
    chars: int
    score: float | None


@dataclass(frozen=True)
class Dataset:
    """What is said about the rows of `stage`."""

    stage: str
    rows: int
    lengths: tuple[Lengths, ...]
    anchor_source: str | None
    verbs: VerbFacts
    random_rows: tuple[Example, ...]
    worst_rows: tuple[Example, ...]
    score_column: str | None
    counts: dict[str, dict[str, int]]
    """How many rows by source, split, style and round, as far as rows have them."""


#: Columns that are counted, with what a reader calls them.
COUNTED = {"source": "Source", "split": "Split", "style": "Style", "round": "Round the instruction was written in"}


def measure(folder: Path, stage: str, score_column: str | None, anchors: Any = None) -> Dataset:
    """One pass over the rows of a stage that have `instruction` and `text`.

    `anchors` is the recipe's object for this language, or None. Rows without a score are never among the worst.
    """
    lengths = {"instruction": array("q"), "response": array("q")}
    counted: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
    drawn: Reservoir[Row] = Reservoir(EXAMPLES, f"rows-{EXAMPLE_SEED}")
    tagged: Reservoir[str] = Reservoir(MAX_TAGGED, f"verbs-{EXAMPLE_SEED}")
    worst: list[tuple[float, int, Row]] = []
    wanted = ["document_id", "instruction", "text", *COUNTED, *([score_column] if score_column else [])]
    for row in rows(folder, wanted):
        instruction, text = row["instruction"] or "", row["text"] or ""
        lengths["instruction"].append(len(instruction))
        lengths["response"].append(len(text))
        for name, counter in counted.items():
            if row[name] is not None:
                counter[str(row[name])] += 1
        position = drawn.seen
        drawn.add(row)
        tagged.add(instruction)
        score = row[score_column] if score_column else None
        if score is not None and math.isfinite(score):
            # A heap of the highest of the lowest: the negative score, then the later row, goes first.
            (heapq.heappush if len(worst) < EXAMPLES else heapq.heappushpop)(worst, (-score, -position, row))
    return Dataset(
        stage=stage,
        rows=drawn.seen,
        lengths=tuple(found for name in lengths if (found := _lengths(name, lengths[name], anchors))),
        anchor_source=getattr(anchors, "source", None),
        verbs=count_verbs(tagged.items),
        random_rows=tuple(_example(row, score_column) for row in drawn.items),
        worst_rows=tuple(_example(row, score_column) for _, _, row in sorted(worst, reverse=True)),
        score_column=score_column,
        counts={name: dict(_ordered(counter)) for name, counter in counted.items() if counter},
    )


def _ordered(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def _lengths(name: str, values: array[int], anchors: Any) -> Lengths | None:
    found, histogram = spread(values), bins({name: values})
    if found is None or histogram is None:
        return None
    mean, std = (getattr(anchors, f"{name}_chars_{part}", None) for part in ("mean", "std"))
    return Lengths(name, found, histogram, mean, std)


def _example(row: Row, score_column: str | None) -> Example:
    text = row["text"] or ""
    short = beginning(text, SHOWN_GRAPHEMES)
    return Example(
        document_id=row["document_id"] or "",
        source=row["source"] or "",
        instruction=row["instruction"] or "",
        response=short,
        rest="" if short == text else beginning(text, MAX_GRAPHEMES),
        chars=len(text),
        score=row[score_column] if score_column else None,
    )
