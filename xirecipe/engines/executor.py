"""datatrove's local executor, made quiet, with failures that travel between processes and progress that can be seen."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from threading import Event, Thread

import multiprocess
from datatrove.data import DocumentsPipeline
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.stats import PipelineStats
from loguru import logger

from xirecipe.work import Progress

_TICK_DOCUMENTS = 50
_LOOK_SECONDS = 0.5


class EngineFailure(Exception):
    """A task failed with an error that cannot be pickled; its type and message."""


class Executor(LocalPipelineExecutor):
    """Runs tasks in this process when there is one worker, else in a pool.

    datatrove's `run` does so, too, beside a process that hands out numbers for its log lines: a copy of this one.
    """

    pipeline: list[PipelineStep]

    def run(self) -> PipelineStats:
        ranks = self.get_incomplete_ranks()
        if self.workers > 1:
            context = multiprocess.get_context(self.start_method)
            # Imported once, where workers are forked off, and shared by all of them.
            context.set_forkserver_preload(["xirecipe.engines.datatrove"])
            with context.Pool(self.workers) as pool:
                return sum(pool.imap_unordered(self._run_for_rank, ranks), start=PipelineStats())
        total, pipeline = PipelineStats(), self.pipeline
        for rank in ranks:
            self.pipeline = deepcopy(pipeline)  # steps count what they see
            total += self._run_for_rank(rank)
        return total

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        # datatrove puts a handler on stderr for every task; what it has to say is in our manifest.
        logger.disable("datatrove")
        try:
            return super()._run_for_rank(rank, local_rank, node_rank)
        except Exception as error:
            # An exception that fails to unpickle kills the pool's result thread, and the run hangs for ever.
            if self.workers == 1 or _travels(error):
                raise
            raise EngineFailure(f"{type(error).__name__}: {error}") from None


class Ticks(PipelineStep):
    """Lets documents pass and leaves a byte in `folder/<rank>` for every 50: visible from any process."""

    name = "progress"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{rank:05d}").open("wb", buffering=0) as file:
            for count, document in enumerate(data, start=1):
                yield document
                if count % _TICK_DOCUMENTS == 0:
                    file.write(b".")


def execute(steps: Sequence[PipelineStep], *, tasks: int, workers: int, logs: Path) -> PipelineStats:
    """Run a pipeline over its tasks, in this process where there is one worker or one task, else in a pool.

    Returns what its steps counted, in their order.
    """
    logger.disable("datatrove")
    return Executor(list(steps), tasks=tasks, workers=max(1, min(workers, tasks)), logging_dir=str(logs)).run()


@contextmanager
def watched(ticks: Path, total: int, report: Callable[[Progress], None]) -> Iterator[None]:
    """Report what `Ticks` counted, from a thread, until the block ends; then the total if all went well."""
    over = Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            done = sum(path.stat().st_size for path in ticks.glob("*")) * _TICK_DOCUMENTS
            report(Progress(min(done, total), total, "documents"))

    thread = Thread(target=look, daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    report(Progress(total, total, "documents"))


def _travels(error: Exception) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:  # any failure to pickle means the same
        return False
