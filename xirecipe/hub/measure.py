"""Numbers about columns of stored rows: spreads, histograms, counts. No value is made up where rows have none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

#: Bins of a score histogram.
BINS = 10


@dataclass(frozen=True)
class Spread:
    """How numbers are spread; percentiles are values that occur (nearest rank). `std` is of the population."""

    count: int
    mean: float
    std: float
    p5: float
    p50: float
    p95: float


@dataclass(frozen=True)
class Histogram:
    """Counts in `BINS` equal bins; `edges` has one more entry than `counts`, and the last bin holds its upper edge."""

    column: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    threshold: float | None
    below_threshold: int | None
    without_score: int

    @property
    def total(self) -> int:
        return sum(self.counts)


def column(folder: Path, name: str) -> pa.ChunkedArray | None:
    """A column of all parquet files of a folder; None where there are no files, or no such column."""
    parts = []
    for path in sorted(folder.glob("*.parquet")):
        if name not in pq.read_schema(path).names:
            return None
        parts.append(pq.read_table(path, columns=[name])[name])
    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type) if parts else None


def finite(values: pa.ChunkedArray | None) -> list[float]:
    """The numbers of a column: nulls and NaN left out."""
    return [] if values is None else [float(v) for v in values.to_pylist() if v is not None and math.isfinite(v)]


def spread(values: Sequence[float]) -> Spread | None:
    """None where there is nothing to measure."""
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    std = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
    ordered = sorted(values)
    p5, p50, p95 = (ordered[max(0, math.ceil(q * len(ordered)) - 1)] for q in (0.05, 0.5, 0.95))
    return Spread(len(values), mean, std, p5, p50, p95)


def chars(values: pa.ChunkedArray) -> list[float]:
    """Lengths in characters (Unicode code points)."""
    return finite(pc.utf8_length(values))


def histogram(
    name: str, values: pa.ChunkedArray | None, threshold: float | None, bounds: tuple[float, float] | None = None
) -> Histogram | None:
    """The histogram of every number in a column; None where it has none.

    Bins lie between `bounds` where a scale is known, so that versions can be compared, else between the extremes.
    """
    numbers = finite(values)
    if values is None or not numbers:
        return None
    low, high = bounds or (min(numbers), max(numbers))
    width = (high - low) / BINS
    counts = [0] * BINS
    for number in numbers:
        counts[max(0, min(BINS - 1, int((number - low) / width))) if width else 0] += 1
    edges = (*(low + i * width for i in range(BINS)), high)
    below = None if threshold is None else sum(number < threshold for number in numbers)
    return Histogram(name, edges, tuple(counts), threshold, below, len(values) - len(numbers))


def counted(parts: Iterable[pa.ChunkedArray | None]) -> dict[str, int]:
    """How often each text occurs in some columns together."""
    found: dict[str, int] = {}
    for values in parts:
        if values is not None:
            for entry in pc.value_counts(values).to_pylist():
                if entry["values"] is not None:
                    found[entry["values"]] = found.get(entry["values"], 0) + entry["counts"]
    return found


def empty_ratio(values: pa.ChunkedArray) -> float | None:
    """Share of values that are null, NaN or the empty text; None where there are no rows."""
    if not len(values):
        return None
    # NaN is the one value unequal to itself.
    empty = sum(1 for v in values.to_pylist() if v is None or v == "" or v != v)
    return empty / len(values)
