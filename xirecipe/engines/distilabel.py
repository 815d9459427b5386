"""Asking a model through distilabel. Runs as a process of its own: `python -m xirecipe.engines.distilabel FOLDER`.

Importing distilabel takes seconds, installs tracebacks that print local variables (keys among them), and takes over
signals; its own resume hangs. So it stays out of the run's process, its cache is off, and its output carries only keys
and outcomes: what counts is the completion log, which gets every answer at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from distilabel.models.llms import LLM, AsyncLLM, vLLM
from distilabel.pipeline import Pipeline, base
from distilabel.steps import GeneratorStep
from distilabel.steps.tasks import Task
from pydantic import PrivateAttr

from xirecipe.engines.job import Job, Recorder
from xirecipe.engines.lifecycle import in_process, leash, server_of, watch_worker, worker_file
from xirecipe.engines.vllm_engine import VllmEngine, engine_options
from xirecipe.models.client import Client, client_for
from xirecipe.models.embedded_client import EmbeddedClient, groups
from xirecipe.models.requests import FatalModelError, Request
from xirecipe.models.vllm import require_vllm, start_failed
from xirecipe.models.weights import adapter_of
from xirecipe.recipe.models import EmbeddedModel, VllmModel

#: Rows a batch. distilabel's batch manager is quadratic in batches, and every batch waits for its slowest call: with
#: one that takes twenty times as long, 1,000 rows at 64 in flight are half waiting. A row is a key and an offset.
BATCH = 50_000
#: The same for the embedded model, which reads the requests of a batch at once to group the draws of a prompt.
GROUPED_BATCH = 1_000

#: distilabel looks every 2.5 seconds whether its steps have loaded; nothing is asked before it has seen it.
_LOOK_SECONDS = 0.05

#: Outcome of a row after the job was stopped.
NOT_ASKED = "not asked"

Place = tuple[str, int]
"""A request as it travels through the pipeline: its key and where it lies in the job's file."""


class Requests(GeneratorStep):
    """Yields the places of a job's requests; ends early when the job is stopped."""

    folder: str
    rows_a_batch: int

    @property
    def outputs(self) -> list[str]:
        return ["key", "offset"]

    def process(self, offset: int = 0) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        job = _job(self.folder)
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


class Recording(LLM):
    """What every way of asking shares: the job, the recorder of its outcomes, and what a failed start means."""

    folder: str
    _recorder: Any = PrivateAttr(None)

    @property
    def model_name(self) -> str:
        return _job(self.folder).name

    @property
    def recorder(self) -> Recorder:
        assert isinstance(self._recorder, Recorder), "load() comes first"
        return self._recorder

    def load(self) -> None:
        LLM.load(self)
        job = _job(self.folder)
        self._recorder = Recorder(job)
        worker_file(job).write_text(str(os.getpid()), encoding="utf-8")
        try:
            self.connect(job)
        except Exception as error:
            self.recorder.broken(error)

    def unload(self) -> None:
        self.disconnect()
        worker_file(_job(self.folder)).unlink(missing_ok=True)
        self.recorder.close()
        super().unload()

    @abstractmethod
    def connect(self, job: Job) -> None:
        """Get hold of the model. May raise FatalModelError: the job then ends, and nothing is asked."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the model, if `connect` got hold of it."""


class ClientLLM(Recording, AsyncLLM):
    """A server, asked with as many requests in flight as the settings allow, over the whole batch."""

    _client: Any = PrivateAttr(None)
    _in_flight: int = PrivateAttr(1)

    def connect(self, job: Job) -> None:
        self._in_flight = job.settings.requests_in_flight
        self._client = client_for(job.model, job.name, job.settings)

    def disconnect(self) -> None:
        if self._client is not None:
            self.event_loop.run_until_complete(self._client.close())

    def generate(self, inputs: list[Place], num_generations: int = 1) -> list[dict[str, Any]]:
        # Not distilabel's own, which makes a task of every row at once.
        return self.event_loop.run_until_complete(self._generate(inputs))

    async def _generate(self, inputs: list[Place]) -> list[dict[str, Any]]:
        found = [_generation(NOT_ASKED)] * len(inputs)
        waiting = iter(enumerate(inputs))

        async def ask_on() -> None:
            for number, place in waiting:
                found[number] = await self.agenerate(place)

        await asyncio.gather(*(ask_on() for _ in range(self._in_flight)))
        return found

    async def agenerate(self, input: Place, num_generations: int = 1) -> dict[str, Any]:
        """One row. Whatever happens to it stays with it: an exception would spoil the rows of its whole batch."""
        try:
            return _generation(await self._ask(*input))
        except Exception as error:
            self.recorder.broken(error)
            return _generation(NOT_ASKED)

    async def _ask(self, key: str, offset: int) -> str:
        while not self.recorder.start():
            if self.recorder.stopped:
                return NOT_ASKED
            await asyncio.sleep(0.02)
        client: Client = self._client
        return self.recorder.record(key, await client.answer(self.recorder.request(offset)))


class EmbeddedLLM(Recording):
    """The small model in this process: one call for all draws of a prompt."""

    _client: Any = PrivateAttr(None)

    def connect(self, job: Job) -> None:
        assert isinstance(job.model, EmbeddedModel)
        self._client = EmbeddedClient(job.model, job.settings)

    def disconnect(self) -> None:
        if self._client is not None:
            asyncio.run(self._client.close())

    def generate(self, inputs: list[Place], num_generations: int = 1) -> list[dict[str, Any]]:
        outcomes: dict[str, str] = {}
        # The recorder's files and counts are for one thread at a time; the model's own calls are not.
        turn = threading.Lock()

        def ask(group: list[tuple[str, Request]]) -> None:
            # The budget may let only a part of a group start, or none while others are in flight.
            while group and not self.recorder.stopped:
                with turn:
                    members = group[: self.recorder.start(len(group))]
                if not members:
                    time.sleep(0.02)
                    continue
                answers = self._client.answer_together([request for _, request in members])
                with turn:
                    for (key, _), outcome in zip(members, answers, strict=True):
                        outcomes[key] = self.recorder.record(key, outcome)
                group = group[len(members) :]

        try:
            if not self.recorder.stopped:
                shared = groups((key, self.recorder.request(offset)) for key, offset in inputs)
                with ThreadPoolExecutor(self._client.workers) as pool:
                    list(pool.map(ask, shared))
        except Exception as error:
            self.recorder.broken(error)
        return [_generation(outcomes.get(key, NOT_ASKED)) for key, _ in inputs]


class VllmLLM(Recording, vLLM):
    """vLLM in this process. distilabel's class is for an older vLLM: loading is its, asking and unloading are ours."""

    _engine: Any = PrivateAttr(None)

    def connect(self, job: Job) -> None:
        assert isinstance(job.model, VllmModel)
        require_vllm()
        adapter = adapter_of(job.model)
        try:
            self.extra_kwargs = engine_options(job.model, job.settings)
            vLLM.load(self)
            self._engine = VllmEngine(self._model, chat=job.model.prompt_format == "chat", adapter=adapter)
        except FatalModelError:
            raise
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            raise start_failed("vLLM did not start", job.log) from error

    def disconnect(self) -> None:
        if self._engine is not None:
            self._engine.shut_down()
        self._engine = self._model = None

    def generate(self, inputs: list[Place], num_generations: int = 1) -> list[dict[str, Any]]:
        outcomes: dict[str, str] = {}
        recorder, engine = self.recorder, self._engine

        try:
            waiting = list(reversed(inputs))
            while engine is not None and ((waiting and not recorder.stopped) or engine.in_flight):
                while waiting and engine.in_flight < engine.room and recorder.start():
                    key, offset = waiting.pop()
                    if failure := engine.add(key, recorder.request(offset)):
                        outcomes[key] = recorder.record(key, failure)
                for key, answer in engine.step() if engine.in_flight else ():
                    outcomes[key] = recorder.record(key, answer)
        except Exception as error:
            recorder.broken(error)
        return [_generation(outcomes.get(key, NOT_ASKED)) for key, _ in inputs]


def _generation(outcome: str) -> dict[str, Any]:
    """distilabel's form of one generation."""
    return {"generations": [outcome], "statistics": {"input_tokens": [0], "output_tokens": [0]}}


@lru_cache(maxsize=1)
def _job(folder: str) -> Job:
    return Job.read(Path(folder), dict(os.environ))


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
            return ClientLLM(folder=folder)


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
