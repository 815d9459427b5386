"""Where a datatrove pipeline's tasks run, and the folder that they share with the run that gathers their rows.

Ray: datatrove's own executor (0.10) forks a pool inside its actor, waits for ever when the forked process is killed,
and goes on without a word after a task that failed. So only its tasks, markers and folders are used here, and its
tasks are Ray tasks, which Ray starts again when their worker dies.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from datatrove.pipeline.base import PipelineStep
from datatrove.utils.stats import MetricStatsDict, PipelineStats

import xirecipe
from xirecipe.engines import cluster
from xirecipe.engines.executor import Executor, Ticks, execute
from xirecipe.work import Work


class Scratch:
    """What tasks leave for the run: a folder of the stage on this disk, or where the store lies, if that is elsewhere.

    Tasks on other machines see the latter only, or a file system that all machines share.
    """

    def __init__(self, work: Work) -> None:
        """Empties it: what an earlier run left may be of other code. A Slurm job is let work on."""
        place = work.output.folder / "engine"
        if work.settings.executor == "slurm":
            # Not inside the stage's folder, which is emptied when the command starts again to wait for its job.
            place = work.store.root / "slurm" / work.output.folder.name
        self.folder = place.absolute()
        self._mirror = None if work.settings.executor == "local" else work.output.mirror
        self._name = place.relative_to(work.store.root).as_posix()
        made_by = self.folder / "made-by"
        if work.settings.executor != "slurm" or not made_by.exists() or made_by.read_text() != xirecipe.__version__:
            self.remove()
        if work.settings.executor == "slurm":
            self.folder.mkdir(parents=True, exist_ok=True)
            made_by.write_text(xirecipe.__version__)

    def at(self, *parts: str) -> str:
        """The address of a folder in it, for a task."""
        if self._mirror is not None:
            return self._mirror.remote.at("/".join((self._name, *parts)))
        return str(self.folder.joinpath(*parts))

    def gathered(self, *parts: str) -> Path:
        """A folder in it, brought to this disk."""
        if self._mirror is not None:
            self._mirror.bring("/".join((self._name, *parts)))
        return self.folder.joinpath(*parts)

    def ticks(self) -> list[PipelineStep]:
        """The step that shows progress; none where files cannot grow byte by byte."""
        return [Ticks(self.folder / "ticks")] if self._mirror is None else []

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._mirror is not None:
            self._mirror.remote.remove(self._name)


class RayExecutor(Executor):
    """Runs the tasks that are not done yet as Ray tasks of one CPU each."""

    def __init__(self, work: Work, steps: Sequence[PipelineStep], *, tasks: int, logs: str) -> None:
        # Failures of one worker are raised as they are; these have to travel.
        super().__init__(list(steps), tasks=tasks, workers=2, logging_dir=logs)
        self._settings = work.settings

    def run_on_cluster(self) -> None:
        ranks = self.get_incomplete_ranks(range(self.world_size))
        for _ in cluster.in_order(_run_rank, self, ranks, self._settings):
            continue

    def __getstate__(self) -> dict[str, object]:
        # The settings hold the environment, and with it keys.
        return {name: value for name, value in self.__dict__.items() if name != "_settings"}


def _run_rank(executor: RayExecutor, rank: int) -> None:
    # Not the first of a machine: that one would print.
    executor._run_for_rank(rank, local_rank=1)


def spread(
    work: Work, scratch: Scratch, steps: Sequence[PipelineStep], *, tasks: int, logs: str = "logs"
) -> PipelineStats:
    """Run a pipeline's tasks where the settings say; `logs` is a name in `scratch`. Raises what a task raises.

    Returns what the steps counted, in their order.
    """
    match work.settings.executor:
        case "local":
            return execute(steps, tasks=tasks, workers=work.settings.workers, logs=scratch.folder / logs)
        case "ray":
            RayExecutor(work, steps, tasks=tasks, logs=scratch.at(logs)).run_on_cluster()
        case "slurm":
            from xirecipe.engines.slurm import run_on_slurm

            name = work.stage.kind if logs == "logs" else f"{work.stage.kind}-{logs}"
            run_on_slurm(
                steps, tasks=tasks, logs=scratch.at(logs), folder=scratch.folder, name=name,
                settings=work.settings.slurm,
            )  # fmt: skip
        case _:
            assert_never(work.settings.executor)
    stats = PipelineStats()
    counted = scratch.gathered(logs, "stats")
    for rank in range(tasks):
        stats += _counted((counted / f"{rank:05d}.json").read_text(encoding="utf-8"))
    return stats


def _counted(text: str) -> PipelineStats:
    stats = PipelineStats.from_json(json.loads(text))
    for step in stats.stats:
        # `from_json` leaves plain numbers where MetricStats belong, until the stats of two tasks are added.
        step.stats = MetricStatsDict.from_dict(step.stats)
    return stats
