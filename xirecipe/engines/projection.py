"""Many dimensions to two, for a map that a person looks at."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Fewer points have no neighbourhoods to keep: PCA shows them as they lie.
MIN_TSNE_ROWS = 20
#: t-SNE's usual perplexity, and what it must stay below: a third of the points.
PERPLEXITY = 30.0
#: Dimensions that t-SNE gets, after PCA: its authors' own preparation (van der Maaten and Hinton 2008).
PCA_DIMENSIONS = 50


@dataclass(frozen=True)
class Projection:
    """`points` has shape (rows, 2); `method` says how they were found. Their axes have no meaning of their own."""

    points: NDArray[np.float64]
    method: str


def project(vectors: NDArray[np.float32], seed: int = 0) -> Projection:
    """Vectors of shape (rows, dimensions) on a plane; t-SNE for 20 rows and more, else PCA.

    The same seed gives the same map on one machine. Takes some 10 s for 3,000 rows on one core.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows, dimensions = vectors.shape
    distinct = len(np.unique(vectors, axis=0))
    if rows < MIN_TSNE_ROWS or distinct < MIN_TSNE_ROWS or dimensions < 2:
        points = np.zeros((rows, 2))
        found = min(2, rows, dimensions)
        if distinct > 1:
            points[:, :found] = PCA(n_components=found, random_state=seed).fit_transform(vectors)
        return Projection(points, "PCA")
    few = min(PCA_DIMENSIONS, rows, dimensions)
    reduced = PCA(n_components=few, random_state=seed).fit_transform(vectors)
    perplexity = min(PERPLEXITY, (rows - 1) / 3)
    with warnings.catch_warnings():
        # numpy 2 with Accelerate or OpenBLAS warns of matmul overflows that do not happen.
        warnings.simplefilter("ignore", RuntimeWarning)
        points = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(reduced)
    return Projection(np.asarray(points, dtype=np.float64), f"t-SNE (perplexity {perplexity:.0f}) after PCA")
