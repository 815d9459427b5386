"""Vectors on a plane: the same map every time, near points near, and no crash on what has no map."""

from __future__ import annotations

import numpy as np
import pytest

from xirecipe.engines.projection import project

pytestmark = pytest.mark.engine


def groups(rows: int) -> np.ndarray:
    """Three tight groups of vectors in 16 dimensions, in turn."""
    noise = np.random.default_rng(0).normal(0, 0.01, (rows, 16))
    return (np.eye(16)[np.arange(rows) % 3] + noise).astype(np.float32)


def test_groups_that_lie_apart_stay_apart() -> None:
    projection = project(groups(60))
    centres = np.array([projection.points[i::3].mean(axis=0) for i in range(3)])
    spread = max(np.linalg.norm(projection.points[i::3] - centres[i], axis=1).max() for i in range(3))
    apart = min(np.linalg.norm(centres[i] - centres[j]) for i in range(3) for j in range(i))
    assert projection.method.startswith("t-SNE")
    assert apart > 2 * spread


def test_the_same_seed_gives_the_same_map() -> None:
    assert np.array_equal(project(groups(40), seed=1).points, project(groups(40), seed=1).points)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_few_rows_are_shown_by_pca(rows: int) -> None:
    projection = project(groups(rows))
    assert projection.method == "PCA"
    assert projection.points.shape == (rows, 2)
    assert np.isfinite(projection.points).all()


def test_rows_that_are_all_equal_lie_on_one_point() -> None:
    assert not project(np.ones((30, 8), dtype=np.float32)).points.any()
