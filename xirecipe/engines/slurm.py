"""A pipeline's tasks as a Slurm job array, submitted by datatrove and waited for here.

The job outlives the command that waits for it: run again, the command goes on waiting, or submits what is missing.
The working folder, the recipe's sources and the Python environment lie on a file system that the nodes share.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.io import get_datafolder
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.stats import PipelineStats
from loguru import logger

import xirecipe
from xirecipe.diagnostics import user_error
from xirecipe.disk import write_whole
from xirecipe.settings import PREFIX, Slurm

#: Between two looks at the job. Slurm asks people not to look more often.
LOOK_SECONDS = 10.0
#: A shared file system may show a marker this much later than the job ends.
_GRACE_SECONDS = 30.0


class SlurmExecutor(SlurmPipelineExecutor):
    """datatrove's, without its second job for statistics, and with failures that the waiting side can read."""

    def launch_merge_stats(self) -> None:
        """Nothing: what was measured stands in our manifest."""

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        try:
            return super()._run_for_rank(rank, local_rank, node_rank)
        except Exception as error:
            with self.logging_dir.open(f"failures/{rank:05d}", "w") as file:
                file.write(f"{type(error).__name__}: {error}")
            raise


def run_on_slurm(
    steps: Sequence[PipelineStep], *, tasks: int, logs: str, folder: Path, name: str, settings: Slurm
) -> None:
    """Run the tasks that are not done yet, and wait for them. `folder` remembers the job between two commands.

    Raises UserError: no partition is set, there is no `sbatch`, it refuses, or tasks of the job failed.
    """
    logger.disable("datatrove")
    executor = _executor(steps, tasks, logs, folder, name, settings)
    if not executor.get_incomplete_ranks():
        return
    record = folder / f"{name}.job.json"
    job = json.loads(record.read_text(encoding="utf-8"))["job"] if record.exists() else None
    if job is None or not _alive(job):
        job = _submitted(executor)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(record, json.dumps({"job": job, "tasks": tasks, "logs": logs}) + "\n")
    try:
        _wait(executor, job)
    except KeyboardInterrupt:
        print(f"Slurm job {job} goes on; run the same command to wait for it, or `scancel {job}`", file=sys.stderr)
        raise


def _executor(
    steps: Sequence[PipelineStep], tasks: int, logs: str, folder: Path, name: str, settings: Slurm
) -> SlurmExecutor:
    if not settings.partition:
        raise user_error(
            "bad-setting", f"{PREFIX}EXECUTOR is `slurm`, and no partition is set",
            hint=f"export {PREFIX}SLURM_PARTITION=...; `sinfo` lists them",
        )  # fmt: skip
    # The nodes run this very code with this very Python.
    path = [str(Path(xirecipe.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    setup = [
        *([settings.setup] if settings.setup else []),
        f"export PATH={Path(sys.executable).parent}:$PATH",
        f"export PYTHONPATH={os.pathsep.join(path)}",
    ]
    return SlurmExecutor(
        list(steps),
        tasks=tasks,
        time=settings.time,
        partition=settings.partition,
        cpus_per_task=settings.cpus_per_task,
        mem_per_cpu_gb=settings.memory_per_cpu_gb,
        workers=settings.tasks_at_once or -1,
        tasks_per_job=settings.tasks_per_job,
        job_name=f"xirecipe-{name}",
        qos=settings.qos,
        env_command="; ".join(setup),  # on one line: datatrove takes the indentation of the whole script away
        sbatch_args=settings.more,
        logging_dir=logs,
        slurm_logs_folder=str(folder / f"{name}.logs"),
    )


def _submitted(executor: SlurmExecutor) -> str:
    if shutil.which("sbatch") is None:
        raise user_error(
            "no-slurm",
            "there is no `sbatch` here",
            hint="run on a login node of the cluster, or unset XIRECIPE_EXECUTOR",
        )
    failures = executor.logging_dir
    if failures.isdir("failures"):
        failures.rm("failures", recursive=True)
    try:
        executor.run()
    except subprocess.CalledProcessError as error:
        raise user_error(
            "slurm-refused", f"sbatch ended with code {error.returncode}; what it said stands above",
            hint=f"see the {PREFIX}SLURM_ settings",
        ) from None  # fmt: skip
    return str(executor.job_id)


def _wait(executor: SlurmExecutor, job: str) -> None:
    """Until every task has left its mark, or the job is gone and they have not."""
    gone: float | None = None
    while left := executor.get_incomplete_ranks():
        if _alive(job):
            gone = None
        elif gone is None:
            gone = time.monotonic()
        elif time.monotonic() - gone > _GRACE_SECONDS or _failed(executor) is not None:
            reason = _failed(executor) or f"see {executor.slurm_logs_folder}"
            raise user_error(
                "slurm-job-failed",
                f"Slurm job {job} ended, and {len(left):,} of {executor.tasks:,} tasks are not done: {reason}",
                hint="mend that and run again: only those tasks are submitted",
            )
        time.sleep(LOOK_SECONDS)


def _failed(executor: SlurmExecutor) -> str | None:
    """What the first task that failed said."""
    folder = get_datafolder(executor.logging_dir)
    for file in sorted(folder.list_files("failures")):
        with folder.open(file, "r") as said:
            text: str = said.read()
        return text
    return None


def _alive(job: str) -> bool:
    """Whether Slurm still knows the job as waiting or running; yes where nobody can be asked."""
    if shutil.which("squeue") is None:
        return True
    asked = subprocess.run(["squeue", "--noheader", f"--jobs={job}"], capture_output=True, text=True, check=False)
    # It answers "Invalid job id" and an error for a job that it has forgotten.
    return asked.returncode == 0 and bool(asked.stdout.strip())
