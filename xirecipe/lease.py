"""One run at a time on a store that several machines see: numbered leases, each created by one writer only.

A file lock ends with its process; an object store has none. So the holder writes down until when it may be taken for
alive, and renews that. Numbers only grow: who takes over a lease that has run out creates the next number, which only
one can, and the old holder sees the higher number at its next renewal and stops. Nothing is deleted that somebody else
may still hold. Clocks must agree within `ALIVE_SECONDS`; where they do not, two runs may overlap until the older
one's next renewal. That costs work and no rows: artifacts are named by their fingerprints, logs by their lease.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from xirecipe.diagnostics import UserError, user_error
from xirecipe.remote import Remote

#: How long a holder that says nothing is taken for alive, and how often it says something.
ALIVE_SECONDS = 60.0
RENEW_SECONDS = 15.0
FOLDER = "leases"


@dataclass
class Lease:
    """A lease this process holds: its number, and whether it was lost to another run."""

    remote: Remote
    number: int
    machine: str
    renewed: float = 0.0
    """By this machine's monotonic clock."""
    taken_by: int | None = None

    def renew(self) -> None:
        """Say that the holder lives. Raises UserError where the store does not answer."""
        highest = max(_numbers(self.remote), default=0)
        if highest > self.number:
            self.taken_by = highest
            return
        asked = time.monotonic()
        self.remote.write(_path(self.number), _content(self.machine, ALIVE_SECONDS))
        self.renewed = asked

    def check(self) -> None:
        """Raises UserError `lease-lost` when another run has taken over, or may have."""
        if self.taken_by is None and time.monotonic() - self.renewed > ALIVE_SECONDS / 2:
            self.renew()
        if self.taken_by is not None:
            raise user_error(
                "lease-lost",
                f"another run took over {self.remote.url} while this one could not reach it",
                hint="nothing was overwritten; run again when the other one has ended",
            )


@contextmanager
def held(remote: Remote, machine: str) -> Iterator[Lease]:
    """The lease on a store until the block ends, renewed from a thread.

    `machine` is a secretless name of the working copy, whose file lock the caller holds: a lease of the same name is
    of a dead process, and is taken over at once. Raises UserError `store-in-use` while another one holds it.
    """
    lease = _taken(remote, machine)
    over = Event()

    def renewing() -> None:
        while not over.wait(RENEW_SECONDS):
            try:
                lease.renew()
            except UserError:
                continue  # `check` tries again, and says so, before anything is written

    thread = Thread(target=renewing, daemon=True, name="lease")
    thread.start()
    try:
        yield lease
    finally:
        over.set()
        thread.join()
        if lease.taken_by is None:
            remote.write(_path(lease.number), _content(machine, 0.0))


def _taken(remote: Remote, machine: str) -> Lease:
    numbers = _numbers(remote)
    highest = max(numbers, default=0)
    if highest:
        holder = json.loads(remote.read(_path(highest)) or b"{}")
        if holder.get("machine") != machine and holder.get("until", 0.0) > time.time():
            raise _in_use(remote, holder)
    asked = time.monotonic()
    if not remote.create(_path(highest + 1), _content(machine, ALIVE_SECONDS)):
        raise _in_use(remote, json.loads(remote.read(_path(highest + 1)) or b"{}"))
    for number in numbers:
        remote.remove(_path(number))
    return Lease(remote, highest + 1, machine, asked)


def _in_use(remote: Remote, holder: dict[str, object]) -> UserError:
    who = f"process {holder['process']} on {holder['host']}" if "host" in holder else "another process"
    return user_error(
        "store-in-use",
        f"another run is using {remote.url}: {who}",
        hint=f"wait for it; if it was killed, its lease ends after {ALIVE_SECONDS:.0f} seconds",
    )


def _numbers(remote: Remote) -> list[int]:
    # Whoever syncs or lists a bucket may leave other files there.
    stems = (name.removesuffix(".json") for name in remote.names(FOLDER))
    return [int(stem) for stem in stems if stem.isdecimal()]


def _path(number: int) -> str:
    return f"{FOLDER}/{number:08d}.json"


def _content(machine: str, alive_seconds: float) -> bytes:
    holder = {"machine": machine, "host": socket.gethostname(), "process": os.getpid()}
    return json.dumps({**holder, "until": time.time() + alive_seconds}).encode()
