"""Reading rows for a page: only the columns that are there, small seeded samples, beginnings of texts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import regex

from xirecipe.tables import BATCH_ROWS, Row

Item = TypeVar("Item")

#: A text is cut at white space when some stands this near, in graphemes; Thai has none between words.
_NEAR_SPACE = 24
_GRAPHEME = regex.compile(r"\X")


class Reservoir(Generic[Item]):
    """A sample of at most `size` items of a stream, every item as likely as another (algorithm R).

    The same stream and seed give the same sample. `seen` counts the stream.
    """

    def __init__(self, size: int, seed: str) -> None:
        self.size = size
        self.seen = 0
        self._random = random.Random(seed)
        self._items: list[tuple[int, Item]] = []

    def add(self, item: Item) -> None:
        if len(self._items) < self.size:
            self._items.append((self.seen, item))
        elif (place := self._random.randrange(self.seen + 1)) < self.size:
            self._items[place] = (self.seen, item)
        self.seen += 1

    @property
    def items(self) -> list[Item]:
        """In the order of the stream."""
        return [item for _, item in sorted(self._items, key=lambda pair: pair[0])]


def batches(folder: Path, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Batches of a folder's parquet files with those of the `wanted` columns that each file has."""
    for path in sorted(folder.glob("*.parquet")):
        file = pq.ParquetFile(path)
        columns = [name for name in wanted if name in file.schema_arrow.names]
        yield from file.iter_batches(batch_size=BATCH_ROWS, columns=columns)


def rows(folder: Path, wanted: Sequence[str]) -> Iterator[Row]:
    """Rows of a folder with every wanted column; None for what a file does not have."""
    nothing: Row = dict.fromkeys(wanted)
    for batch in batches(folder, wanted):
        for row in batch.to_pylist():
            yield nothing | row


def column_names(folder: Path) -> set[str]:
    """The columns of a folder's first parquet file; empty where it has none."""
    first = next(iter(sorted(folder.glob("*.parquet"))), None)
    return set(pq.read_schema(first).names) if first else set()


def beginning(text: str, graphemes: int) -> str:
    """At most so many user-perceived characters, with an ellipsis where there is more.

    Cut at white space where some is near, and never inside a grapheme: a vowel sign without its consonant would be
    shown on a dotted circle.
    """
    # No grapheme of real text is longer than a handful of code points; a hostile one is cut all the same.
    window = text[: graphemes * 16]
    found = _GRAPHEME.findall(window)
    shown = "".join(found[:graphemes])
    if len(shown) == len(text):
        return text
    spaces = [i for i, grapheme in enumerate(found[:graphemes]) if grapheme.isspace()]
    if spaces and spaces[-1] >= graphemes - _NEAR_SPACE:
        shown = "".join(found[: spaces[-1]])
    return shown.rstrip() + " …"
