"""Peak memory of what would not fit if it grew with the rows: `select`, and asking a model.

    python -m benchmarks.memory --rows 100000 --rows 1000000 [--similarity 0.95]
    python -m benchmarks.memory --stage ask --rows 100000 --rows 1000000 [--missing 1000]      # also generate, judge

Each size is run in a process of its own, and gives one line. `anonymous` is what the process itself holds; `resident`
counts mapped files, too, which the system takes back when it needs the room. Run another revision with PYTHONPATH set
to its checkout.

`select`: synthetic candidates with texts of 1,500 characters and embeddings of 384 numbers (3 GB of disk for a million
rows). `generate`, `judge`: the same texts, with all answers but `--missing` in the completion log already, which are
asked of `benchmarks.model_server`. `ask` is what both stand on, alone: prompts of 300 characters, and every answer
read. `asking` is what the processes hold that ask, all together.
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
from xirecipe.columns import StageKind, columns_after
from xirecipe.engines.arrow import run_select
from xirecipe.engines.asking import ask
from xirecipe.models.completions import CompletionLog
from xirecipe.models.requests import Answer, Request
from xirecipe.questions import generate_requests, judge_requests
from xirecipe.recipe.corpus import Dedup
from xirecipe.recipe.generation import Exemplars, Generate, Judge, Rubric
from xirecipe.recipe.language import Language
from xirecipe.recipe.models import Sampling, ServerModel
from xirecipe.recipe.selection import Select
from xirecipe.run import run_stage
from xirecipe.settings import Settings, from_environment
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.tables import read, schema
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


def asking_stage(kind: str) -> Stage:
    """A model stage as a small recipe has it, without exemplars."""
    before = Stage("dedup", Dedup(), LANGUAGE)
    prompt = "prompts/write.chat.j2"
    config = Generate(model="writer", prompt=prompt, exemplars=Exemplars(choice="fixed", count=0))
    text = {prompt: "Write the instruction that this text answers.\n\n{{ text }}\n"}
    writer = Stage("generate", config, LANGUAGE, (before,), prompts=text, model_name="writer", model=MODEL)
    if kind == "generate":
        return writer
    prompt = "prompts/rate.chat.j2"
    rubric = Rubric(prompt=prompt, levels={"3": 3, "2": 2, "1": 1})
    text = {prompt: "Does this text answer `{{ instruction }}`?\n\n{{ text }}\n"}
    config = Judge(model="writer", rubric=rubric)
    return Stage("judge", config, LANGUAGE, (writer,), prompts=text, model_name="writer", model=MODEL)


def requests(kind: str, folder: Path, rows: int) -> Iterator[Request]:
    """What a stage asks about the rows in a folder; of `ask`, which is no stage, short prompts out of nothing."""
    if kind == "ask":
        shown, sampling = "Write the instruction that this text answers. " * 6, Sampling(max_tokens=64)
        return (Request("complete", f"{shown}Document number {n}.", sampling) for n in range(rows))
    stage, found = asking_stage(kind), read(folder / "data")
    if kind == "generate":
        return (request for _, request in generate_requests(stage, found))
    return (request for row in found for request in judge_requests(stage, row).values())


def write_log(kind: str, folder: Path, rows: int, missing: int) -> None:
    """The answers to all requests but `missing` of them, which lie evenly between."""
    subject = "Explain to a beginner what everybody should know about the subject number"
    levels = {"3": -0.1, "2": -2.4, "1": -9.0} if kind == "judge" else None
    with CompletionLog(folder / "store" / "completions", MODEL.identity) as log:
        for number, request in enumerate(requests(kind, folder, rows)):
            if number % (rows // missing):
                log.append(request.key(MODEL.identity), Answer(f"{subject} {number}.", "stop", 400, 12, levels))


def measure_asking(kind: str, folder: Path, rows: int) -> dict[str, float]:
    """Run a stage (or ask, and read all answers) in this process: what that took here, and in those that ask."""
    peaks, over = {"anonymous": 0.0, "asking": 0.0}, Event()

    def watch() -> None:
        while not over.wait(0.2):
            own, *others = (_anonymous(pid) for pid in tree(os.getpid()))
            peaks["anonymous"], peaks["asking"] = max(peaks["anonymous"], own), max(peaks["asking"], sum(others))

    Thread(target=watch, daemon=True).start()
    begun = time.monotonic()
    store, settings = Store(folder / "store"), from_environment()
    if kind == "ask":
        asked = ask(
            requests(kind, folder, rows), model=MODEL, name="writer", work_folder=folder, store=store,
            settings=settings, budget=None, report=lambda _: None,
        )  # fmt: skip
        calls, kept = asked.calls, sum(isinstance(asked.answer(r), Answer) for r in requests(kind, folder, rows))
    else:
        stage, artifact = asking_stage(kind), Artifact(folder / "made")
        store.start(artifact)
        given = {stage.inputs[0].kind: Artifact(folder)}
        outcome = run_stage(Work(stage, given, artifact, store, settings, lambda _: None))
        calls, kept = outcome.calls, outcome.kept
    over.set()
    return {"kept": kept, "calls": calls, "seconds": time.monotonic() - begun, **peaks}


def _anonymous(pid: int) -> float:
    """MiB that a process holds and no file stands for, its share of what forks hold together; 0 when it has ended."""
    with suppress(OSError):
        if found := re.search(r"Pss_Anon:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text()):
            return int(found[1]) / 1024
    return 0.0


def write_rows(folder: Path, rows: int, stage: StageKind) -> None:
    (folder / "data").mkdir()
    with pq.ParquetWriter(folder / "data" / "part-00000.parquet", schema(columns_after(stage))) as writer:
        for part in parts(rows):
            writer.write_table(part.select(writer.schema.names))


def main_asking(kind: str, sizes: list[int], missing: int) -> None:
    print("     rows     kept    calls  seconds  anonymous MB  asking MB", flush=True)
    for rows in sizes:
        with tempfile.TemporaryDirectory() as name, server("fixed", Path(name)) as url:
            if kind != "ask":
                write_rows(Path(name), rows, "dedup" if kind == "generate" else "generate")
            write_log(kind, Path(name), rows, missing)
            again = [sys.executable, "-m", "benchmarks.memory", "--stage", kind, "--measure", name, "--rows", str(rows)]
            environment = {**os.environ, "XIRECIPE_MODEL_URL": url}
            done = subprocess.run(again, stdout=subprocess.PIPE, text=True, check=True, env=environment)
            m = json.loads(done.stdout)
        line = (rows, m["kept"], m["calls"], m["seconds"], m["anonymous"], m["asking"])
        print("{:9,} {:8,} {:8,} {:8.1f} {:13,.0f} {:10,.0f}".format(*line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--stage", choices=("select", "ask", "generate", "judge"), default="select")
    parser.add_argument("--similarity", type=float)
    parser.add_argument("--missing", type=int, default=1_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = given.rows or [100_000]
    if given.measure:
        asks = given.stage != "select"
        found = (
            measure_asking(given.stage, given.measure, sizes[0]) if asks else measure(given.measure, given.similarity)
        )
        print(json.dumps(found))
        return
    if given.stage != "select":
        main_asking(given.stage, sizes, given.missing)
        return
    print("     rows     kept  seconds  anonymous MB  resident MB")
    for rows in sizes:
        with tempfile.TemporaryDirectory() as name:
            write_rows(Path(name), rows, "cluster")
            again = [sys.executable, "-m", "benchmarks.memory", "--measure", name]
            again += ["--similarity", str(given.similarity)] if given.similarity is not None else []
            done = subprocess.run(again, capture_output=True, text=True, check=True)
            m = json.loads(done.stdout)
        line = (rows, m["kept"], m["seconds"], m["anonymous"], m["resident"])
        print("{:9,} {:8,} {:8.1f} {:13,.0f} {:12,.0f}".format(*line), flush=True)


if __name__ == "__main__":
    main()
