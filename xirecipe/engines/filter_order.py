"""The order of a corpus's filters by what they cost and drop, measured on its first documents before the run.

Filters only read a text, so they commute: the kept rows are the same in any order, and cost and reasons are not. The
classical order is by rank, dropped share over cost (Hellerstein & Stonebraker 1993, "Predicate migration"), which
takes filters for independent; for correlated ones it is built greedily from conditional shares (Babu et al. 2004,
"Adaptive ordering of pipelined stream filters"). There are at most five filters here, so every order is priced on the
measured documents instead, and nothing is assumed about either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, permutations
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from numpy.typing import NDArray

from xirecipe.disk import write_whole
from xirecipe.engines.explained import Explained
from xirecipe.engines.filters import FineWebQuality, GopherQuality, GopherRepetition

#: Documents that are measured, about a second of work; a share of 5 % is then known to 2.5 points (95 %).
PROBED_DOCUMENTS = 300
#: Of so many measurements the least counts: what disturbs one only ever adds to it.
_REPEATS = 2
#: Filters that share a text's words: who is first pays for the splitting.
_OF_WORDS = frozenset(kind.name for kind in (GopherQuality, GopherRepetition, FineWebQuality))


@dataclass(frozen=True)
class Measured:
    """What filters did to the probed documents; arrays of shape (filters, documents), in declared order."""

    names: tuple[str, ...]
    drops: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    """CPU time of a filter that meets a text first."""
    seconds_after: NDArray[np.float64]
    """The same where another filter has split the text already."""

    def price(self, order: Sequence[int]) -> float:
        """Seconds a document that filters cost in this order."""
        stays = np.ones(self.drops.shape[1], dtype=bool)
        total = 0.0
        split = False
        for index in order:
            seconds = self.seconds_after if split else self.seconds
            total += float(seconds[index, stays].sum())
            stays &= ~self.drops[index]
            split = split or self.names[index] in _OF_WORDS
        return total / self.drops.shape[1]

    def cheapest(self) -> tuple[int, ...]:
        """Of all orders the one with the lowest price; of equals the nearest to the declared one."""
        return min(permutations(range(len(self.names))), key=self.price)


def documents(steps: Sequence[PipelineStep], *, tasks: int) -> Iterator[Document]:
    """What the steps before the filters yield, task after task. The run's own steps would count it twice."""
    for rank in range(tasks):
        data = None
        for step in steps:
            data = step(data, rank, tasks)
        yield from data or ()


def measure(filters: Sequence[Explained], documents: Sequence[Document]) -> Measured:
    """Every filter over every document."""
    shape = (len(filters), len(documents))
    drops = np.zeros(shape, dtype=bool)
    seconds, after = np.full(shape, np.inf), np.full(shape, np.inf)
    for _ in range(_REPEATS):
        for row, each in enumerate(filters):
            for column, document in enumerate(documents):
                # The words of the texts before it are all that is remembered from one document to the next.
                started = thread_time()
                drops[row, column] = each.verdict(document) is not None
                once = thread_time()
                seconds[row, column] = min(seconds[row, column], once - started)
                if each.name in _OF_WORDS:
                    each.verdict(document)
                    after[row, column] = min(after[row, column], thread_time() - once)
    after = np.minimum(after, seconds)
    return Measured(tuple(each.name for each in filters), drops, seconds, after)


def decided(
    filters: Sequence[Explained], documents: Iterable[Document], record: Path
) -> tuple[list[Explained], dict[str, Any]]:
    """The filters in the order measured on the first of the documents, and the measurement, for the manifest.

    `record` is a file: what stands in it is not measured again, so that tasks that an interrupted run left to Slurm
    and those of the next run have one order.
    """
    if not record.exists():
        facts = _facts(measure(filters, list(islice(documents, PROBED_DOCUMENTS))))
        record.parent.mkdir(parents=True, exist_ok=True)
        write_whole(record, json.dumps(facts))
    facts = json.loads(record.read_text(encoding="utf-8"))
    by_name = {each.name: each for each in filters}
    return [by_name[each["filter"]] for each in facts["order"]], facts


def _facts(found: Measured) -> dict[str, Any]:
    documents = found.drops.shape[1]
    declared = tuple(range(len(found.names)))
    order = found.cheapest() if documents else declared
    return {
        "documents": documents,
        "order": [
            {
                "filter": found.names[index],
                "seconds_per_document": round(float(found.seconds[index].mean()), 7) if documents else None,
                "dropped_ratio": round(float(found.drops[index].mean()), 4) if documents else None,
            }
            for index in order
        ],
        "seconds_per_document": round(found.price(order), 7) if documents else None,
        "declared_seconds_per_document": round(found.price(declared), 7) if documents else None,
    }
