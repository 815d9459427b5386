"""Asking a model from the machines of a Ray cluster. The log has one writer, the run's own process.

distilabel's Ray pipeline does not hold for this: its actors would each write to a log on their own machine, and it does
not look whether they live, so that after one has died the run waits for its batch for ever. Here requests travel to
actors in shards, and outcomes travel back as they come and are logged at once; what an actor that died still owed is
asked by another.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import xirecipe
from xirecipe.engines import cluster
from xirecipe.engines.job import Job, Recorder
from xirecipe.engines.lifecycle import has_own_server
from xirecipe.engines.ray_asker import Asker, Fatal, Outcome, Shard
from xirecipe.models.client import most_in_flight
from xirecipe.models.requests import FatalModelError
from xirecipe.recipe.models import EmbeddedModel
from xirecipe.settings import PREFIX

#: Requests that travel together. An actor has two shards at a time, so that it never waits for the slowest of one.
SHARD = 256
_SHARDS_EACH = 2
_LOOK_SECONDS = 0.2
#: Longer than a vLLM server has to stop.
_CLOSE_SECONDS = 30


@dataclass(eq=False)
class Owing:
    """A shard that an actor has, and its stream of outcomes."""

    actor: Any
    outcomes: Any
    left: Shard


def ask_on_ray(job: Job, ticked: Callable[[], None]) -> None:
    """Ask everything, or stop early with the reason in the job's folder, as the process of `distilabel.py` does.

    `ticked` is called again and again meanwhile.
    """
    # With a count of its own: the run adds what was spent when the asking is over.
    recorder = Recorder(replace(job, spending=deepcopy(job.spending)))
    try:
        with _Askers(job) as askers:
            _asked(job, askers, recorder, ticked)
    except Exception as error:
        recorder.broken(error)
    finally:
        recorder.close()


def _asked(job: Job, askers: _Askers, recorder: Recorder, ticked: Callable[[], None]) -> None:
    places = job.places()
    returned: deque[Shard] = deque()
    looked = 0.0
    while True:
        while askers.free and not recorder.stopped and askers.fatal is None:
            shard = returned.popleft() if returned else {}
            if not shard:
                shard, places = _next(places, recorder)
            if not shard:
                break
            askers.give(shard)
        if not askers.busy and askers.fatal is not None:
            raise askers.fatal
        if not askers.busy and (recorder.stopped or not returned):
            # Nothing is on its way, so that no budget is held back: what was not given is not there.
            ticked()
            return
        for key, outcome in askers.outcomes(returned):
            recorder.record(key, outcome)
        if time.monotonic() - looked > _LOOK_SECONDS:
            ticked()
            looked = time.monotonic()


def _next(places: Iterator[tuple[str, int]], recorder: Recorder) -> tuple[Shard, Iterator[tuple[str, int]]]:
    """The next requests that the budget allows, and the places that are left."""
    shard: Shard = {}
    for place in places:
        if not recorder.start():
            return shard, chain([place], places)
        shard[place[0]] = recorder.request(place[1])
        if len(shard) == SHARD:
            break
    return shard, places


class _Askers:
    """The actors of one job, as many as the cluster has room for; those that die are replaced."""

    def __init__(self, job: Job) -> None:
        cpus = cluster.connect(job.settings)
        import ray

        # An actor has no engine in its process: vLLM is a server beside it, whatever the setting says.
        job = replace(job, settings=replace(job.settings, vllm="served"))
        own_server = has_own_server(job)
        gpus = job.settings.ray_gpus if own_server else 0.0
        room = int(ray.cluster_resources().get("GPU", 0) // gpus) if gpus else cpus
        if not room:
            raise FatalModelError(
                "no-gpu", f"the Ray cluster has fewer than {gpus:g} GPUs, which each vLLM server is given",
                f"set {PREFIX}RAY_GPUS; 0 for vLLM on CPUs",
            )  # fmt: skip
        wanted = most_in_flight(job.settings, own_server=own_server)
        at_once = room if isinstance(job.model, EmbeddedModel) or own_server else min(room, wanted)
        # A server that all share gets as many requests as from one machine; each machine's own model as many each.
        share = 1 if isinstance(job.model, EmbeddedModel) else wanted if own_server else -(-wanted // at_once)
        self._job, self._count, self._share, self._gpus = job, at_once, share, gpus
        self._actors: list[Any] = []
        self._owing: list[Owing] = []
        self._deaths = 0
        #: Why no request can succeed. What was on its way then still comes back.
        self.fatal: FatalModelError | None = None

    def __enter__(self) -> _Askers:
        self._actors = [self._started() for _ in range(self._count)]
        return self

    def __exit__(self, *error: object) -> None:
        import ray
        from ray.exceptions import RayError

        with suppress(RayError):  # dead or deaf: it is killed now
            ray.get([actor.close.remote() for actor in self._actors], timeout=_CLOSE_SECONDS)
        for actor in self._actors:
            ray.kill(actor)

    def _started(self) -> Any:
        import ray

        bare = replace(self._job.settings, environment={})
        # Secrets reach the actor as its arguments, never through a file.
        own = {name: value for name, value in self._job.settings.environment.items() if name.startswith(PREFIX)}
        actor = ray.remote(num_cpus=1, num_gpus=self._gpus, scheduling_strategy="SPREAD")(Asker)
        return actor.remote(xirecipe.__version__, replace(self._job, settings=bare), own, self._share)

    @property
    def busy(self) -> bool:
        return bool(self._owing)

    @property
    def free(self) -> bool:
        return len(self._owing) < _SHARDS_EACH * len(self._actors)

    def give(self, shard: Shard) -> None:
        """Hand requests to the actor that has least."""
        load = {id(actor): sum(owing.actor is actor for owing in self._owing) for actor in self._actors}
        actor = min(self._actors, key=lambda each: load[id(each)])
        outcomes = actor.ask.options(num_returns="streaming").remote(shard)
        self._owing.append(Owing(actor, outcomes, dict(shard)))

    def outcomes(self, returned: deque[Shard]) -> Iterator[Outcome]:
        """What has come since the last look. Requests of an actor that died go to `returned`.

        `fatal` has what the model says to end it all. Raises FatalModelError `workers-lost` when actors keep dying.
        """
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        streams = [owing.outcomes for owing in self._owing]
        ray.wait(streams, num_returns=1, timeout=_LOOK_SECONDS)
        ready, _ = ray.wait(streams, num_returns=len(streams), timeout=0)
        for owing in [owing for owing in self._owing if any(owing.outcomes is stream for stream in ready)]:
            try:
                batch: list[Outcome] | Fatal = ray.get(next(owing.outcomes))
            except StopIteration:
                self._owing.remove(owing)
            except RayTaskError as error:
                raise error.cause from None
            except RayActorError:
                self._owing.remove(owing)
                returned.append(owing.left)
                self._replace(owing.actor)
            else:
                if isinstance(batch, Fatal):
                    self._stop(batch)
                    continue
                for key, outcome in batch:
                    del owing.left[key]
                    yield key, outcome

    def _stop(self, why: Fatal) -> None:
        if self.fatal is None:
            self.fatal = FatalModelError(why.code, why.message, why.hint)
            for actor in self._actors:
                actor.stop.remote(why)

    def _replace(self, actor: Any) -> None:
        if actor not in self._actors:
            return  # another of its shards said so already
        self._deaths += 1
        if self._deaths > cluster.RETRIES * self._count:
            raise FatalModelError(
                "workers-lost", f"processes of the Ray cluster that ask the model died {self._deaths} times",
                "is there enough memory on its machines?",
            )  # fmt: skip
        self._actors[self._actors.index(actor)] = self._started()
