"""A process on a Ray cluster that asks a model: shards of requests in, outcomes out as they come.

It writes nothing down; `xirecipe.engines.ray_asking` starts it and keeps what it says.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import xirecipe
from xirecipe.engines import cluster
from xirecipe.engines.job import Job
from xirecipe.engines.lifecycle import has_own_server, server_of
from xirecipe.models.client import Client, client_for
from xirecipe.models.embedded_client import EmbeddedClient, groups
from xirecipe.models.requests import Answer, Failure, FatalModelError, Request

Shard = dict[str, Request]
"""Requests by key."""
Outcome = tuple[str, Answer | Failure]


@dataclass(frozen=True)
class Fatal:
    """A FatalModelError on its way: exceptions with arguments of their own do not survive pickling."""

    code: str
    message: str
    hint: str | None


class Asker:
    """One of the processes that ask, on any machine. With a vLLM model it has a server of its own."""

    def __init__(self, version: str, job: Job, environment: dict[str, str], in_flight: int) -> None:
        self._version = version
        os.environ.update(environment)
        own = tempfile.TemporaryDirectory(prefix="xirecipe-asking-")
        self._held = ExitStack()
        self._held.enter_context(own)
        settings = replace(job.settings, workers=1, environment=dict(os.environ))
        self._job = replace(job, folder=Path(own.name), settings=settings)
        self._slots = asyncio.Semaphore(in_flight)
        self._client: Client | None = None
        self._starting = asyncio.Lock()
        self._fatal: FatalModelError | None = None

    async def ask(self, shard: Shard) -> AsyncIterator[list[Outcome] | Fatal]:
        """Outcomes as they come; when no request can succeed, those on their way, a Fatal, and nothing more."""
        try:
            async with self._starting:
                if self._client is None:
                    self._client = await asyncio.to_thread(self._connected)
            asking = self._together if isinstance(self._client, EmbeddedClient) else self._each
            async for outcomes in asking(shard):
                yield outcomes
            if self._fatal is not None:
                raise self._fatal
        except FatalModelError as error:
            yield Fatal(error.code, error.message, error.hint)

    async def stop(self, why: Fatal) -> None:
        """Begin no further request."""
        self._fatal = self._fatal or FatalModelError(why.code, why.message, why.hint)

    async def _together(self, shard: Shard) -> AsyncIterator[list[Outcome]]:
        """The small model in this process: one call for all draws of a prompt."""
        assert isinstance(self._client, EmbeddedClient)
        for group in groups(shard.items()):
            async with self._slots:
                if self._fatal is not None:
                    return
                requests = [request for _, request in group]
                answers = await asyncio.to_thread(self._client.answer_together, requests)
            yield [(key, answer) for (key, _), answer in zip(group, answers, strict=True)]

    async def _each(self, shard: Shard) -> AsyncIterator[list[Outcome]]:
        client = self._client
        assert client is not None

        async def one(key: str, request: Request) -> list[Outcome]:
            async with self._slots:
                try:
                    return [] if self._fatal else [(key, await client.answer(request))]
                except FatalModelError as error:
                    self._fatal = error
                    return []

        waiting = {asyncio.create_task(one(*each)) for each in shard.items()}
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                yield [outcome for task in done for outcome in task.result()]
        finally:
            for task in waiting:
                task.cancel()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
        self._held.close()

    def _connected(self) -> Client:
        if self._version != xirecipe.__version__:
            raise FatalModelError(*cluster.other_version(self._version))
        own_server = has_own_server(self._job)
        self._held.enter_context(server_of(self._job))
        settings = replace(self._job.settings, environment=dict(os.environ))
        return client_for(self._job.model, self._job.name, settings, own_server=own_server)
