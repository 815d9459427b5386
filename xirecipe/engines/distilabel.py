"""Asking a model through distilabel. Runs as a process of its own: `python -m xirecipe.engines.distilabel FOLDER`.

Importing distilabel takes seconds, installs tracebacks that print local variables (keys among them), and takes over
signals; its own resume hangs. So it stays out of the run's process, its cache is off, and its output carries only keys
and outcomes: what counts is the completion log, which gets every answer at once.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from distilabel.models.llms import LLM
from distilabel.pipeline import Pipeline, base
from distilabel.steps import GeneratorStep
from distilabel.steps.tasks import Task

from xirecipe.engines.job import Job, Recorder
from xirecipe.engines.lifecycle import has_own_server, in_process, server_of, watch_worker
from xirecipe.engines.llms import ClientLLM, EmbeddedLLM, Place, VllmLLM, job_in
from xirecipe.models.leash import leash
from xirecipe.models.requests import FatalModelError
from xirecipe.recipe.models import EmbeddedModel, VllmModel

#: Rows a batch. distilabel's batch manager is quadratic in batches, and every batch waits for its slowest call: with
#: one that takes twenty times as long, 1,000 rows at 64 in flight are half waiting. A row is a key and an offset.
BATCH = 50_000
#: The same for the embedded model, which reads the requests of a batch at once to group the draws of a prompt.
GROUPED_BATCH = 1_000

#: distilabel looks every 2.5 seconds whether its steps have loaded; nothing is asked before it has seen it.
_LOOK_SECONDS = 0.05


class Requests(GeneratorStep):
    """Yields the places of a job's requests; ends early when the job is stopped."""

    folder: str
    rows_a_batch: int

    @property
    def outputs(self) -> list[str]:
        return ["key", "offset"]

    def process(self, offset: int = 0) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        job = job_in(self.folder)
        rows: list[dict[str, Any]] = []
        for key, place in job.places():
            if len(rows) == self.rows_a_batch:
                if job.end.exists():
                    break
                yield rows, False
                rows = []
            rows.append({"key": key, "offset": place})
        yield rows, True


class Ask(Task):
    """One request a row. Its row in the output says how it ended; the answer is in the completion log."""

    @property
    def inputs(self) -> list[str]:
        return ["key", "offset"]

    @property
    def outputs(self) -> list[str]:
        return ["outcome"]

    def format_input(self, input: dict[str, Any]) -> Place:
        return input["key"], input["offset"]

    def format_output(self, output: str | None, input: dict[str, Any] | None = None) -> dict[str, Any]:
        return {"outcome": output}


def run(job: Job) -> None:
    """Ask everything, or stop early with the reason in the job's folder. Raises FatalModelError without vLLM."""
    rows = GROUPED_BATCH if isinstance(job.model, EmbeddedModel) else BATCH
    with server_of(job), Pipeline(name="xirecipe", cache_dir=job.folder / "distilabel") as pipeline:
        requests = Requests(name="requests", folder=str(job.folder), rows_a_batch=rows, batch_size=rows)
        requests >> Ask(name="ask", llm=_llm(job), input_batch_size=rows, add_raw_output=False, add_raw_input=False)
        # This process runs one pipeline and ends: nobody else sees the other clock.
        vars(base)["time"] = SimpleNamespace(sleep=lambda seconds: time.sleep(_LOOK_SECONDS))
        pipeline.run(use_cache=False)


def _llm(job: Job) -> LLM:
    folder = str(job.folder)
    match job.model:
        case EmbeddedModel():
            return EmbeddedLLM(folder=folder)
        case VllmModel() as model if in_process(job):
            return VllmLLM(
                folder=folder,
                model=model.model,
                revision=model.revision,
                tokenizer_revision=model.revision,
                quantization=model.quantization,
                dtype=model.dtype,
                disable_cuda_device_placement=True,  # it would need pynvml; vLLM places itself
            )
        case _:
            return ClientLLM(folder=folder, own_server=has_own_server(job))


def main(folder: Path) -> int:
    # distilabel's import has replaced it by one that prints local variables.
    sys.excepthook = sys.__excepthook__
    leash()
    while not Job.written(folder):  # this process is started while its requests are being written
        time.sleep(_LOOK_SECONDS)
    job = Job.read(folder, dict(os.environ))
    threading.Thread(target=watch_worker, args=(job,), daemon=True).start()
    try:
        run(job)
    except FatalModelError as error:
        Recorder(job).fatal(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
