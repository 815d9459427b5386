"""A command measured from outside: wall time, CPU time, and the peak memory of its whole process tree."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Looking costs some milliseconds a process.
_LOOK_SECONDS = 0.5
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Measured:
    """One run of a command."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    """Of all its processes together; what they share counts once."""
    output: str


class Failed(Exception):
    """A measured command ended with an error; the last lines of what it said."""


def measured(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Measured:
    """Run a command to its end. Raises Failed when it fails. Linux only: memory is read from /proc."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    process = subprocess.Popen(
        list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    with peak_of(process.pid) as memory:
        output, errors = process.communicate()
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise Failed(f"{' '.join(command)}: code {process.returncode}\n" + "\n".join(errors.splitlines()[-15:]))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu, memory.mib, output)


class Peak:
    """The most memory seen so far."""

    mib = 0.0


@contextmanager
def peak_of(root: int | None = None, *, children: bool = False) -> Iterator[Peak]:
    """Watch the processes under `root` (this one where not given) until the block ends. `children`: without `root`."""
    root = root or os.getpid()
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            seen = tree(root)[1 if children else 0 :]
            peak.mib = max(peak.mib, sum(map(_bytes, seen)) / 2**20)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            # The name, in brackets, may hold spaces.
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # it has ended
        children.setdefault(parent, []).append(int(path.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _bytes(pid: int) -> int:
    """Proportional set size where the kernel gives it: forked workers share most of their parent's pages."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0  # it has ended
