"""Means over rows with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xirecipe.recipe.evaluation import Bootstrap

Floats = NDArray[np.float64]

#: Of the intervals: two-sided, percentiles.
CONFIDENCE = 0.95
#: Drawn places held in memory at a time.
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Estimate:
    """A statistic of the rows with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


class Resampled:
    """Columns of one value a row, and their means over rows drawn with replacement.

    All columns see the same rows in each sample, so a statistic of several means has an interval as well. The same seed
    draws the same rows (PCG64). Raises ValueError for columns without rows or of different lengths.
    """

    def __init__(self, columns: Mapping[str, Sequence[float]], bootstrap: Bootstrap) -> None:
        self._values = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
        lengths = {len(values) for values in self._values.values()}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError(f"columns need one length that is not 0, not {sorted(lengths)}")
        rows = lengths.pop()
        self._means = {name: np.empty(bootstrap.samples) for name in self._values}
        generator = np.random.default_rng(bootstrap.seed)
        step = max(1, _AT_ONCE // rows)
        for start in range(0, bootstrap.samples, step):
            count = min(step, bootstrap.samples - start)
            drawn = generator.integers(0, rows, size=(count, rows))
            for name, values in self._values.items():
                self._means[name][start : start + count] = values[drawn].mean(axis=1)

    def mean(self, name: str) -> Estimate:
        """The mean of a column."""
        return self.statistic(lambda means: means, name)

    def means(self) -> dict[str, Estimate]:
        """The mean of every column."""
        return {name: self.mean(name) for name in self._values}

    def statistic(self, compute: Callable[..., Floats], *names: str) -> Estimate:
        """What `compute` makes of the means of columns; it is given arrays, of one element or one a sample."""
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(compute(*(self._means[name] for name in names)), [tail, 1 - tail])
        (value,) = compute(*(self._values[name].mean(keepdims=True) for name in names))
        return Estimate(float(value), float(low), float(high))
