"""Peak memory of `select` over synthetic candidates: texts of 1,500 characters, embeddings of 384 numbers.

    python benchmarks/memory.py --rows 100000 --rows 1000000 [--similarity 0.95]

Makes each artifact in a temporary folder (3 GB for a million rows), runs the stage in a process of its own, and prints
one line a size. `anonymous` is what the process itself holds; `resident` counts mapped files, too, which the system
takes back when it needs the room. Run another revision with PYTHONPATH set to its checkout.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xirecipe.artifact import Artifact
from xirecipe.columns import columns_after
from xirecipe.engines.arrow import run_select
from xirecipe.recipe.language import Language
from xirecipe.recipe.selection import Select
from xirecipe.settings import Settings
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.tables import schema
from xirecipe.work import Work

DIMENSIONS, CLUSTERS, CHARS, PART = 384, 1_000, 1_500, 10_000
LANGUAGE = Language(
    code="swh_Latn", name="Swahili", native_name="Kiswahili", hub_code="sw", lid_labels=("sw",), sources=("benchmark",)
)


def parts(rows: int) -> Iterator[pa.Table]:
    """Clustered candidates, one draw a document, the same for one seed."""
    random = np.random.default_rng(0)
    wanted = schema(columns_after("cluster"))
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz      ", np.uint8)
    for start in range(0, rows, PART):
        count = min(PART, rows - start)
        texts = letters[random.integers(0, len(letters), (count, CHARS))].tobytes().decode()
        vectors = random.standard_normal((count, DIMENSIONS), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        known = {
            "document_id": [f"document-{random.integers(0, 2**40)}-{start + n}" for n in range(count)],
            "text": [texts[n * CHARS : (n + 1) * CHARS] for n in range(count)],
            "draw": np.zeros(count, np.int64),
            "instruction": [
                f"Explain to a beginner what the subject number {start + n} is about." for n in range(count)
            ],
            "rubric_score": random.uniform(1, 3, count),
            "cluster": random.integers(0, CLUSTERS, count),
            "embedding": pa.ListArray.from_arrays(
                np.arange(0, (count + 1) * DIMENSIONS, DIMENSIONS, dtype=np.int32), pa.array(vectors.ravel())
            ),
        }
        columns = [pa.array(known[f.name]).cast(f.type) if f.name in known else pa.nulls(count, f.type) for f in wanted]
        yield pa.table(columns, schema=wanted)


def measure(folder: Path, similarity: float | None) -> dict[str, float]:
    """Run the stage in this process and say what it took."""
    peak, over = [0], Event()

    def watch() -> None:
        while not over.wait(0.05):
            found = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
            peak[0] = max(peak[0], int(found[1]) if found else 0)

    Thread(target=watch, daemon=True).start()
    config = Select(rows=32_000, min_score=1.2, max_instruction_similarity=similarity)
    store = Store(folder / "store")
    artifact = store.artifact("select", "f" * 64)
    store.start(artifact)
    begun = time.monotonic()
    work = Work(
        Stage("select", config, LANGUAGE), {"cluster": Artifact(folder)}, artifact, store, Settings(), lambda _: None
    )
    outcome = run_select(work)
    seconds = time.monotonic() - begun
    over.set()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"kept": outcome.kept, "seconds": seconds, "anonymous": peak[0] / 1024, "resident": resident / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--similarity", type=float)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.similarity)))
        return
    print("     rows     kept  seconds  anonymous MB  resident MB")
    for rows in given.rows or [100_000]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "data").mkdir()
            with pq.ParquetWriter(folder / "data" / "part-00000.parquet", schema(columns_after("cluster"))) as writer:
                for part in parts(rows):
                    writer.write_table(part)
            again = [sys.executable, __file__, "--measure", name]
            again += ["--similarity", str(given.similarity)] if given.similarity is not None else []
            done = subprocess.run(again, capture_output=True, text=True, check=True)
            m = json.loads(done.stdout)
        line = (rows, m["kept"], m["seconds"], m["anonymous"], m["resident"])
        print("{:9,} {:8,} {:8.1f} {:13,.0f} {:12,.0f}".format(*line), flush=True)


if __name__ == "__main__":
    main()
