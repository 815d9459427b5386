"""A process of our own for an engine that must not live in the run's: started on a leash, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import xirecipe
from xirecipe.settings import PREFIX, Settings


@contextmanager
def child(
    module: str, folder: Path, log: Path, settings: Settings, more: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module FOLDER` as the leader of a group that is killed when the block ends.

    Secrets reach it through its environment, never through a file or the command line. stdin is the leash, see
    `lifecycle.leash`; what it prints goes to `log`. `more` are further environment variables.
    """
    own = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    path = [str(Path(xirecipe.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = own | dict(settings.environment) | {"PYTHONPATH": os.pathsep.join(path)} | dict(more)
    # -P: a file in the current folder must not stand in for a module.
    command = [sys.executable, "-P", "-m", module, str(folder.absolute())]
    with log.open("wb") as output:
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
        _kill_group(process)


def last_lines(path: Path, count: int = 20) -> str:
    """The end of a log, for a message about our own bug."""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Nothing that the process started outlives it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # the whole group has ended
    finally:
        process.wait()
        if process.stdin:
            process.stdin.close()
