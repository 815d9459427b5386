"""Peak memory of what would not fit if it grew with the rows: `select`, and asking a model.

    python -m benchmarks.memory --rows 100000 --rows 1000000 [--similarity 0.95]
    python -m benchmarks.memory --stage ask --rows 100000 --rows 1000000 [--missing 1000]

Each size is run in a process of its own, and gives one line. `anonymous` is what the process itself holds; `resident`
counts mapped files, too, which the system X

`select`: synthetic candidates with texts of 1,500 characters and embeddings of 384 numbers (3 GB of disk for a million
rows). `ask`: requests of which all but `--missing` are in the completion log already (400 MB for a million), then every
answer once more, as `generate` and `judge` read them; the others are asked of `benchmarks.model_server`. `asking` is
what the processes hold that ask, all together.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.completions import server
from benchmarks.measure import tree
from xirecipe.artifact import Artifact
from xirecipe.columns import columns_after
from xirecipe.engines.arrow import run_select
from xirecipe.engines.asking import ask
from xirecipe.models.completions import CompletionLog
from xirecipe.models.requests import Answer, Request
from xirecipe.recipe.language import Language
from xirecipe.recipe.models import Sampling, ServerModel
from xirecipe.recipe.selection import Select
from xirecipe.settings import Settings, from_environment
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.tables import schema
from xirecipe.work import Work

DIMENSIONS, CLUSTERS, CHARS, PART = 384, 1_000, 1_500, 10_000
LANGUAGE = Language(
    code="swh_Latn", name="Swahili", native_name="Kiswahili", hub_code="sw", lid_labels=("sw",), sources=("benchmark",)
)
MODEL = ServerModel(engine="server", model="m", revision="benchmark", license="apache-2.0")


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


def requests(rows: int) -> Iterator[Request]:
    """As `generate` makes them: what stands in all prompts, then a text."""
    shown = "Write the instruction that this text answers. " * 6
    sampling = Sampling(max_tokens=64)
    return (Request("complete", f"{shown}Document number {n}.", sampling) for n in range(rows))


def write_log(store: Store, rows: int, missing: int) -> None:
    """The answers to all requests but `missing` of them, which lie evenly between."""
    answer = Answer("Explain to a beginner what the subject of this text is about.", "stop", 400, 12)
    with CompletionLog(store.completions, MODEL.identity) as log:
        for number, request in enumerate(requests(rows)):
            if number % (rows // missing):
                log.append(request.key(MODEL.identity), answer)


def measure_asking(folder: Path, rows: int) -> dict[str, float]:
    """Ask for all of them in this process, read all answers, and say what that took here and where they are asked."""
    peaks, over = {"anonymous": 0.0, "asking": 0.0}, Event()

    def watch() -> None:
        while not over.wait(0.2):
            own, *others = (_anonymous(pid) for pid in tree(os.getpid()))
            peaks["anonymous"], peaks["asking"] = max(peaks["anonymous"], own), max(peaks["asking"], sum(others))

    Thread(target=watch, daemon=True).start()
    begun = time.monotonic()
    asked = ask(
        requests(rows), model=MODEL, name="writer", work_folder=folder, store=Store(folder / "store"),
        settings=from_environment(), budget=None, report=lambda _: None,
    )  # fmt: skip
    seconds = time.monotonic() - begun
    answered = sum(isinstance(asked.answer(request), Answer) for request in requests(rows))
    over.set()
    return {"kept": answered, "calls": asked.calls, "seconds": seconds, **peaks}


def _anonymous(pid: int) -> float:
    """MiB that a process holds and no file stands for, its share of what forks hold together; 0 when it has ended."""
    with suppress(OSError):
        if found := re.search(r"Pss_Anon:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text()):
            return int(found[1]) / 1024
    return 0.0


def main_asking(sizes: list[int], missing: int) -> None:
    print("     rows    calls  seconds  anonymous MB  asking MB")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_log(Store(folder / "store"), rows, missing)
            with server("fixed", folder) as url:
                again = [
                    sys.executable,
                    "-m",
                    "benchmarks.memory",
                    "--stage",
                    "ask",
                    "--measure",
                    name,
                    "--rows",
                    str(rows),
                ]
                environment = {**os.environ, "XIRECIPE_MODEL_URL": url}
                done = subprocess.run(again, stdout=subprocess.PIPE, text=True, check=True, env=environment)
            m = json.loads(done.stdout)
        line = (rows, m["calls"], m["seconds"], m["anonymous"], m["asking"])
        print("{:9,} {:8,} {:8.1f} {:13,.0f} {:10,.0f}".format(*line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--stage", choices=("select", "ask"), default="select")
    parser.add_argument("--similarity", type=float)
    parser.add_argument("--missing", type=int, default=1_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = given.rows or [100_000]
    if given.stage == "ask":
        if given.measure:
            print(json.dumps(measure_asking(given.measure, sizes[0])))
        else:
            main_asking(sizes, given.missing)
        return
    if given.measure:
        print(json.dumps(measure(given.measure, given.similarity)))
        return
    print("     rows     kept  seconds  anonymous MB  resident MB")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "data").mkdir()
            with pq.ParquetWriter(folder / "data" / "part-00000.parquet", schema(columns_after("cluster"))) as writer:
                for part in parts(rows):
                    writer.write_table(part)
            again = [sys.executable, "-m", "benchmarks.memory", "--measure", name]
            again += ["--similarity", str(given.similarity)] if given.similarity is not None else []
            done = subprocess.run(again, capture_output=True, text=True, check=True)
            m = json.loads(done.stdout)
        line = (rows, m["kept"], m["seconds"], m["anonymous"], m["resident"])
        print("{:9,} {:8,} {:8.1f} {:13,.0f} {:12,.0f}".format(*line), flush=True)


if __name__ == "__main__":
    main()
