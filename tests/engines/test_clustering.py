from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.cluster import MiniBatchKMeans

from tests.engines.conftest import SWAHILI
from xirecipe import tables
from xirecipe.engines.embeddings import run_cluster
from xirecipe.recipe.selection import Cluster
from xirecipe.settings import Settings
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.work import Work

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("count", [60, 0])
def test_rows_get_the_cluster_that_k_means_gives_their_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 25)  # several batches
    vectors = np.random.default_rng(0).standard_normal((count, 4)).astype(np.float32)
    before = Stage("embed", Cluster(), SWAHILI)
    store = Store(tmp_path)
    given, made = store.artifact("embed", "given"), store.artifact("cluster", "made")
    store.start(given)
    store.start(made)
    rows = [{"document_id": str(n), "embedding": vector.tolist()} for n, vector in enumerate(vectors)]
    tables.write(given.data, rows, before.columns)
    stage = Stage("cluster", Cluster(rows_per_cluster=10, seed=3), SWAHILI, inputs=(before,))
    outcome = run_cluster(Work(stage, {"embed": given}, made, store, Settings(), lambda progress: None))
    assert (outcome.rows_in, outcome.kept) == (count, count)
    assert not (made.folder / "vectors").exists()
    if count:
        means = MiniBatchKMeans(n_clusters=6, random_state=3, n_init=3, batch_size=4096)
        assert [row["cluster"] for row in tables.read(made.data)] == means.fit_predict(vectors).tolist()
        assert pq.read_schema(made.data / "part-00000.parquet").equals(tables.schema(stage.columns))
        assert [row["embedding"] for row in tables.read(made.data)] == [row["embedding"] for row in rows]
