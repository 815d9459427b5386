"""A process of our own for an engine that must not live in the run's: started on a leash, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import xirecipe
from xirecipe.diagnostics import user_error
from xirecipe.disk import explained
from xirecipe.models.leash import kill_group
from xirecipe.settings import PREFIX, Settings

#: How a process ends whose own process with the model died.
MODEL_DIED = 70


@dataclass(frozen=True)
class Handover:
    """The folder that passes between the run and a process that works for it."""

    folder: Path

    @property
    def job(self) -> Path:
        """What is to be done. Written last: where it stands, everything else does."""
        return self.folder / "job.json"

    @property
    def end(self) -> Path:
        """Why the process stopped early."""
        return self.folder / "end.json"

    @property
    def log(self) -> Path:
        """Everything the engines print."""
        return self.folder / "engine.log"


@contextmanager
def child(
    module: str, given: Handover, settings: Settings, more: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module FOLDER` as the leader of a group that is killed when the block ends.

    Secrets reach it through its environment, never through a file or the command line. stdin is the leash, see
    `xirecipe.models.leash`; what it prints goes to the log. `more` are further environment variables.
    """
    own = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    path = [str(Path(xirecipe.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = own | dict(settings.environment) | {"PYTHONPATH": os.pathsep.join(path)} | dict(more)
    # -P: a file in the current folder must not stand in for a module.
    command = [sys.executable, "-P", "-m", module, str(given.folder.absolute())]
    with given.log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        kill_group(process)


def check_ended_well(process: subprocess.Popen[bytes], given: Handover, what: str) -> None:
    """RuntimeError for a process that ended with an error, which is our bug.

    UserError where the disk was full, or `process-died` where somebody killed it: the system, most often, for memory.
    """
    if process.returncode != 0:
        # A full disk kills whoever writes first; then the log says little.
        with explained(given.folder):
            (given.folder / "probe").write_bytes(bytes(1 << 16))
        if process.returncode in (-signal.SIGKILL, MODEL_DIED):
            hint = f"was there enough memory? what is finished is kept; its last words are in {given.log}"
            raise user_error("process-died", f"the {what} process was killed, or the one with its model", hint=hint)
        raise RuntimeError(f"the {what} process ended with code {process.returncode}\n{last_lines(given.log)}")


def last_lines(path: Path, count: int = 20) -> str:
    """The end of a log, for a message about our own bug."""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
