"""k-means of the cluster stage against scikit-learn's alone, same settings, same vectors, in processes of their own.

    python -m benchmarks.clusters [--rows 1000000] [--clusters 1000] [--folder FOLDER]

Ours reads the embed stage's rows and writes them with their cluster; scikit-learn maps a file of vectors and stops when
it has the labels.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measure import measured
from benchmarks.table import Comparison, show

DIMENSIONS = 384
_PART = 50_000


def vectors(rows: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Unit vectors around 2,000 centres, in parts."""
    drawn = np.random.default_rng(seed)
    centres = drawn.standard_normal((2_000, DIMENSIONS), dtype=np.float32)
    for start in range(0, rows, _PART):
        size = min(_PART, rows - start)
        part = centres[drawn.integers(0, len(centres), size)]
        part += 0.5 * drawn.standard_normal(part.shape, dtype=np.float32)
        yield part / np.linalg.norm(part, axis=1, keepdims=True)


def prepare(folder: Path, rows: int) -> None:
    """The same vectors as the embed stage's artifact and as a file of numpy's."""
    import pyarrow as pa

    from xirecipe.columns import columns_after
    from xirecipe.tables import write_batches

    columns = columns_after("embed", {"corpus", "generate", "judge", "embed"})
    mapped = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (rows, DIMENSIONS))

    def batches() -> Iterator[pa.RecordBatch]:
        done = 0
        for part in vectors(rows):
            mapped[done : done + len(part)] = part
            ids = [f"document-{number}" for number in range(done, done + len(part))]
            offsets = np.arange(0, part.size + 1, DIMENSIONS, dtype=np.int32)
            cells = {column.name: pa.nulls(len(part)) for column in columns}
            cells |= {"document_id": pa.array(ids), "instruction": pa.array([f"Write about {i}." for i in ids])}
            cells["embedding"] = pa.ListArray.from_arrays(offsets, pa.array(part.ravel()))
            yield pa.RecordBatch.from_pydict({column.name: cells[column.name] for column in columns})
            done += len(part)

    write_batches(folder / "embed" / "data", batches(), columns)


def ours(folder: Path, clusters: int) -> None:
    from time import perf_counter

    from benchmarks.stages import run_alone
    from xirecipe.recipe.selection import Cluster
    from xirecipe.tables import count

    rows = count(folder / "embed" / "data")
    begun = perf_counter()
    outcome = run_alone(
        "cluster", Cluster(rows_per_cluster=max(1, rows // clusters)), folder, {"embed": folder / "embed"}
    )
    print(json.dumps({"seconds": perf_counter() - begun, "clusters": outcome.facts["clusters"]}))


def theirs(folder: Path, clusters: int) -> None:
    from time import perf_counter

    from sklearn.cluster import MiniBatchKMeans

    begun = perf_counter()
    mapped = np.load(folder / "vectors.npy", mmap_mode="r")
    labels = MiniBatchKMeans(n_clusters=clusters, random_state=0, n_init=3, batch_size=4096).fit_predict(mapped)
    print(json.dumps({"seconds": perf_counter() - begun, "clusters": len(np.unique(labels))}))


def compare(rows: int, clusters: int, folder: Path) -> Iterator[Comparison]:
    prepare(folder, rows)
    os.sync()  # neither side waits for the disk to take what was prepared
    runs = {}
    for side in ("theirs", "ours"):
        code = f"import sys; from pathlib import Path; from benchmarks.clusters import {side} as run; "
        code += "run(Path(sys.argv[1]), int(sys.argv[2]))"
        done = measured([sys.executable, "-c", code, str(folder), str(clusters)])
        runs[side] = (json.loads(done.output)["seconds"], done.peak_mib)
    what = f"{rows:,} x {DIMENSIONS} vectors into {clusters:,} clusters"
    mine, bare = runs["ours"], runs["theirs"]
    # 1.3 times the time at most.
    yield Comparison(what, "scikit-learn alone", mine[0], bare[0], "s", round(1 / 1.3, 2), less=True)
    yield Comparison(f"{what}: peak memory", "scikit-learn alone", mine[1], bare[1], "MiB", None, less=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--clusters", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, help="where the vectors are made; 7 GB for a million")
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.folder) as folder:
        show(compare(given.rows, given.clusters, Path(folder)))


if __name__ == "__main__":
    main()
