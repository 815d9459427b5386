"""Histograms: what the figures draw, small whatever the number of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Bins of a histogram: enough to show a shape on 400 pixels.
BINS = 30


@dataclass(frozen=True)
class Bins:
    """Counts of several series in the same bins; `edges` has one more entry than each series has counts."""

    edges: tuple[float, ...]
    counts: dict[str, tuple[int, ...]]

    @property
    def total(self) -> int:
        return sum(sum(series) for series in self.counts.values())


def bins(series: Mapping[str, Sequence[float]], edge_at: float | None = None) -> Bins | None:
    """Equal bins over all series together; with `edge_at`, a threshold, no bin lies on both sides of it.

    None where no series has a number.
    """
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in series.items()}
    filled = [a for a in arrays.values() if a.size]
    if not filled:
        return None
    low, high = min(float(a.min()) for a in filled), max(float(a.max()) for a in filled)
    if low == high:
        # One bar, a tenth of the number's size wide.
        half = abs(low) / 20 or 0.05
        return _count(arrays, [low - half, low + half])
    width = (high - low) / BINS
    middle = edge_at if edge_at is not None and low <= edge_at <= high else low
    left, right = math.ceil((middle - low) / width), max(1, math.ceil((high - middle) / width))
    edges = [middle + i * width for i in range(-left, right + 1)]
    # Sums of floats end near what they should be; the outer edges hold everything.
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return _count(arrays, edges)


def _count(arrays: Mapping[str, NDArray[np.float64]], edges: list[float]) -> Bins:
    counts = {name: tuple(int(n) for n in np.histogram(a, edges)[0]) for name, a in arrays.items()}
    return Bins(tuple(edges), counts)
