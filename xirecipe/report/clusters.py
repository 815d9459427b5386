"""Clusters of the embeddings: sizes, the instructions nearest to each centre, and a map of a sample."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xirecipe.report.sampling import Reservoir, batches, beginning, column_names

#: The share that the largest ones hold is the diversity figure of the report.
LARGEST = 10
#: Instructions shown for a cluster, and clusters listed with them.
NEAREST, LISTED = 3, 50
#: Points of the map, and how much of an instruction one shows.
MAP_POINTS, SHOWN_GRAPHEMES = 3_000, 140
MAP_SEED = 0

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Cluster:
    """One cluster: its rows, and the distinct instructions nearest to its centre, the nearest first."""

    number: int
    rows: int
    nearest: tuple[str, ...]


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    cluster: int
    text: str


@dataclass(frozen=True)
class ClusterFacts:
    """Clusters of the rows of `stage`, the largest first; `clusters` has all, nearest instructions only the listed."""

    stage: str
    clusters: tuple[Cluster, ...]
    rows: int
    largest_ratio: float
    points: tuple[Point, ...]
    method: str


def measure(folder: Path, stage: str) -> ClusterFacts | None:
    """Two passes over rows with `cluster` and `embedding`, and a third over the sample for the map.

    None where rows have no clusters. Memory: one centre a cluster and one vector a point.
    """
    if not {"cluster", "embedding"} <= column_names(folder):
        return None
    sizes: Counter[int] = Counter()
    sums: dict[int, NDArray[np.float64]] = {}
    sample: Reservoir[tuple[int, str, NDArray[np.float32]]] = Reservoir(MAP_POINTS, f"map-{MAP_SEED}")
    for numbers, texts, vectors in _read(folder):
        sizes.update(numbers)
        present, index = np.unique(numbers, return_inverse=True)
        added = np.zeros((len(present), vectors.shape[1]))
        np.add.at(added, index, vectors)
        for number, total in zip(present.tolist(), added, strict=True):
            sums[number] = sums.get(number, 0.0) + total
        for number, text, vector in zip(numbers, texts, vectors, strict=True):
            # A copy: a view would keep its whole batch in memory.
            sample.add((number, text, vector.copy()))
    if not sizes:
        return None
    ordered = sorted(sizes, key=lambda number: (-sizes[number], number))
    rows = sizes.total()
    nearest = _nearest(folder, sums, set(ordered[:LISTED]))
    points, method = _map(sample.items)
    return ClusterFacts(
        stage=stage,
        clusters=tuple(Cluster(number, sizes[number], nearest.get(number, ())) for number in ordered),
        rows=rows,
        largest_ratio=sum(sizes[number] for number in ordered[:LARGEST]) / rows,
        points=points,
        method=method,
    )


def _read(folder: Path) -> Iterator[tuple[list[int], list[str], Vectors]]:
    for batch in batches(folder, ("cluster", "embedding", "instruction")):
        valid = batch.filter(batch.column("embedding").is_valid()).drop_null() if batch.num_rows else batch
        if valid.num_rows:
            flat = valid.column("embedding").flatten().to_numpy(zero_copy_only=False)
            vectors = np.asarray(flat, dtype=np.float32).reshape(valid.num_rows, -1)
            yield valid.column("cluster").to_pylist(), valid.column("instruction").to_pylist(), vectors


def _nearest(folder: Path, sums: dict[int, NDArray[np.float64]], wanted: set[int]) -> dict[int, tuple[str, ...]]:
    """By cosine to the mean vector; an instruction that many rows share is shown once."""
    centres = {number: sums[number] / (np.linalg.norm(sums[number]) or 1.0) for number in wanted}
    best: dict[int, dict[str, float]] = {number: {} for number in wanted}
    for numbers, texts, vectors in _read(folder):
        listed = [i for i, number in enumerate(numbers) if number in wanted]
        if not listed:
            continue
        against = np.array([centres[numbers[i]] for i in listed])
        for i, cosine in zip(listed, np.einsum("ij,ij->i", vectors[listed], against).tolist(), strict=True):
            found = best[numbers[i]]
            found[texts[i]] = max(found.get(texts[i], -1.0), cosine)
            if len(found) > 4 * NEAREST:
                best[numbers[i]] = dict(heapq.nlargest(NEAREST, found.items(), key=_closeness))
    return {
        number: tuple(
            beginning(text, SHOWN_GRAPHEMES) for text, _ in heapq.nlargest(NEAREST, found.items(), key=_closeness)
        )
        for number, found in best.items()
    }


def _closeness(item: tuple[str, float]) -> tuple[float, str]:
    return item[1], item[0]


def _map(sample: list[tuple[int, str, NDArray[np.float32]]]) -> tuple[tuple[Point, ...], str]:
    # scikit-learn takes a second to import, and only engines name it.
    from xirecipe.engines.projection import project

    projection = project(np.array([vector for _, _, vector in sample], dtype=np.float32), MAP_SEED)
    points = tuple(
        Point(round(float(x), 3), round(float(y), 3), number, beginning(text, SHOWN_GRAPHEMES))
        for (number, text, _), (x, y) in zip(sample, projection.points, strict=True)
    )
    return points, projection.method
