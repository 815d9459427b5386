"""The models that distilabel asks: a server, the small model or vLLM in this process.

What they have in common is the recorder: every outcome is kept at once, and distilabel gets a word for it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import traceback
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from distilabel.models.llms import LLM, AsyncLLM, vLLM
from pydantic import PrivateAttr

from xirecipe.engines.job import Job, Recorder
from xirecipe.engines.lifecycle import worker_file
from xirecipe.engines.vllm_engine import VllmEngine, engine_options
from xirecipe.models.client import Client, client_for, most_in_flight
from xirecipe.models.embedded_client import EmbeddedClient, groups
from xirecipe.models.requests import FatalModelError, Request
from xirecipe.models.vllm import require_vllm, start_failed
from xirecipe.models.weights import adapter_of
from xirecipe.recipe.models import EmbeddedModel, VllmModel

#: Outcome of a row after the job was stopped.
NOT_ASKED = "not asked"

Place = tuple[str, int]
"""A request as it travels through the pipeline: its key and where it lies in the job's file."""


@lru_cache(maxsize=1)
def job_in(folder: str) -> Job:
    """The job that lies in a folder, read once in each of the pipeline's processes."""
    return Job.read(Path(folder), dict(os.environ))


class Recording(LLM):
    """What every way of asking shares: the job, the recorder of its outcomes, and what a failed start means."""

    folder: str
    _recorder: Any = PrivateAttr(None)

    @property
    def model_name(self) -> str:
        return job_in(self.folder).name

    @property
    def recorder(self) -> Recorder:
        assert isinstance(self._recorder, Recorder), "load() comes first"
        return self._recorder

    def load(self) -> None:
        LLM.load(self)
        job = job_in(self.folder)
        self._recorder = Recorder(job)
        worker_file(job).write_text(str(os.getpid()), encoding="utf-8")
        try:
            self.connect(job)
        except Exception as error:
            self.recorder.broken(error)

    def unload(self) -> None:
        self.disconnect()
        worker_file(job_in(self.folder)).unlink(missing_ok=True)
        self.recorder.close()
        super().unload()

    @abstractmethod
    def connect(self, job: Job) -> None:
        """Get hold of the model. May raise FatalModelError: the job then ends, and nothing is asked."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the model, if `connect` got hold of it."""


class ClientLLM(Recording, AsyncLLM):
    """A server, asked with as many requests in flight as it may have, over the whole batch."""

    own_server: bool = False
    """Whether the server was started for this job: its URL, which the job has by then, does not say."""
    _client: Any = PrivateAttr(None)
    _in_flight: int = PrivateAttr(1)

    def connect(self, job: Job) -> None:
        self._in_flight = most_in_flight(job.settings, own_server=self.own_server)
        self._client = client_for(job.model, job.name, job.settings, own_server=self.own_server)

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
