"""A store on another file system, and the working copy of it on this machine's disk.

Engines read and write local files, and the rest of the program reads local files; this module moves them. The far side
is the truth: a stage is done when its manifest lies there, and it is written there after everything that it describes.

What holds on every file system: a manifest never stands without its rows; a killed run goes on from what was finished;
on the same machine every answer that a model gave is kept (the working copy has it). What another machine sees of
answers may lag by `PUSH_SECONDS`: object stores cannot append, so the log travels in segments.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from xirecipe.digests import Digests
from xirecipe.lease import Lease, held
from xirecipe.remote import Remote

#: Answers of this many seconds go into one segment of a completion log.
PUSH_SECONDS = 10.0
MANIFEST = "manifest.json"
PARTS = ("data", "dropped", "failed", "adapter")
COMPLETIONS = "completions"


@dataclass
class Mirror:
    """`root` is the working copy of `remote`. One object a process: it remembers what it has looked at."""

    remote: Remote
    root: Path
    _looked: set[str] = field(default_factory=set)
    """Artifacts whose manifest here is the one there."""
    _lease: Lease | None = None
    _pushed: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def leased(self) -> Iterator[None]:
        """Be the one that writes. Raises UserError `store-in-use`. The caller holds the working copy's file lock."""
        with held(self.remote, self._machine()) as self._lease:
            self._looked.clear()
            try:
                yield
            finally:
                self._lease = None

    def look(self, artifact: str) -> None:
        """Bring the manifest of an artifact; an artifact that was made anew elsewhere is no longer kept here."""
        if artifact in self._looked:
            return
        there = self.remote.read(f"{artifact}/{MANIFEST}")
        path = self.root / artifact / MANIFEST
        here = path.read_bytes() if path.exists() else None
        if there != here:
            shutil.rmtree(path.parent, ignore_errors=True)
            if there is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                _replace(path, there)
                # The newest artifact of a stage is found by this time. Of a broken manifest is told when it is read.
                with suppress(ValueError, KeyError, TypeError):
                    finished = datetime.fromisoformat(json.loads(there)["finished"]).timestamp()
                    os.utime(path, (finished, finished))
        self._looked.add(artifact)

    def fetch(self, artifact: str, part: str) -> None:
        """Bring the rows of a finished artifact, whole or not at all, if they are not here."""
        self.look(artifact)
        folder = self.root / artifact / part
        if folder.exists() or not (self.root / artifact / MANIFEST).exists():
            return
        self.bring(f"{artifact}/{part}")

    def bring(self, path: str) -> None:
        """Bring a folder, whole or not at all. Nothing where it is not there."""
        files = self.remote.files(path)
        if not files:
            return
        partial = self.root / f"{path}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for file in files:
            (partial / file).parent.mkdir(parents=True, exist_ok=True)
        self.remote.download([f"{path}/{file}" for file in files], [partial / file for file in files])
        target = self.root / path
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)

    def forget(self, artifact: str) -> None:
        """Say that an artifact is not done, there first."""
        self._writing()
        self.look(artifact)
        if (self.root / artifact / MANIFEST).exists():
            self.remote.remove(f"{artifact}/{MANIFEST}")

    def publish(self, artifact: str, manifest: str) -> None:
        """Write a finished artifact there: its rows, then its manifest. What an earlier run left there goes first."""
        self._writing()
        self.remote.remove(artifact)
        folder = self.root / artifact
        files = [path for part in PARTS for path in sorted((folder / part).rglob("*")) if path.is_file()]
        self.remote.upload(files, [path.relative_to(self.root).as_posix() for path in files])
        self._writing()
        self.remote.write(f"{artifact}/{MANIFEST}", manifest.encode())
        self._looked.add(artifact)

    def artifacts(self, prefix: str) -> list[str]:
        """Names of artifacts there, finished or not, that begin so."""
        return [name for name in self.remote.names() if name.startswith(prefix)]

    def keep(self, path: Path) -> None:
        """Write a file or folder of the working copy there, if it has changed since this was last done."""
        name = path.relative_to(self.root).as_posix()
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        states = [(p.relative_to(self.root).as_posix(), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
        state = sha256(json.dumps(states).encode()).hexdigest()
        record = self.root / "kept.json"
        known: dict[str, str] = json.loads(record.read_bytes()) if record.exists() else {}
        if known.get(name) == state:
            return
        self.remote.remove(name)
        self.remote.upload(files, [file for file, _, _ in states])
        _replace(record, json.dumps(known | {name: state}).encode())

    def pull_log(self, name: str) -> None:
        """Bring the answers of a completion log that other machines have added.

        Answers there win over answers here, which are then only those that were never sent. Nobody may be appending.
        """
        segments = self._segments(name)
        record = self._sent(name)
        if segments == record["segments"]:
            return
        log = self._log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        incoming = log.parent / f"{name}.incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
        parts = [incoming / segment for segment in segments]
        self.remote.download([f"{COMPLETIONS}/{name}/{segment}" for segment in segments], parts)
        identity = self.remote.read(f"{COMPLETIONS}/{name}.model.json")
        if identity is not None:
            _replace(log.with_name(f"{name}.model.json"), identity)
        seen = Digests()
        merged = incoming / "merged"
        with merged.open("wb") as file:
            sent = 0
            for source in (*parts, log):
                for line in _whole_lines(source):
                    # The key stands first in every line, at a fixed place.
                    if seen.add(line[8:72]):
                        file.write(line)
                if source is not log:
                    sent = file.tell()
            file.flush()
            os.fsync(file.fileno())
        merged.replace(log)
        shutil.rmtree(incoming)
        self._record(name, segments, sent)

    def push_log(self, name: str, *, now: bool = False) -> None:
        """Send answers that were appended since the last time, as one segment; at most every `PUSH_SECONDS`."""
        begun = time.monotonic()
        if not now and begun - self._pushed.get(name, 0.0) < PUSH_SECONDS:
            return
        self._pushed[name] = begun
        log, record = self._log(name), self._sent(name)
        if not log.exists() or log.stat().st_size <= record["bytes"]:
            return
        with log.open("rb") as file:
            file.seek(record["bytes"])
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        if not new:
            return
        self._writing()
        if not record["segments"]:
            self.remote.write(f"{COMPLETIONS}/{name}.model.json", log.with_name(f"{name}.model.json").read_bytes())
        # Sorted by name is sorted by time: lease numbers only grow.
        lease = self._lease.number if self._lease else 0
        segment = f"{lease:08d}-{len(record['segments']):08d}.jsonl"
        self.remote.write(f"{COMPLETIONS}/{name}/{segment}", new)
        self._record(name, [*record["segments"], segment], record["bytes"] + len(new))

    def _writing(self) -> None:
        if self._lease is None:
            raise AssertionError("a store is written to without its lease")
        self._lease.check()

    def _log(self, name: str) -> Path:
        return self.root / COMPLETIONS / f"{name}.jsonl"

    def _segments(self, name: str) -> list[str]:
        return self.remote.names(f"{COMPLETIONS}/{name}")

    def _sent(self, name: str) -> dict[str, Any]:
        """Segments that the log here holds, and how many of its bytes they are."""
        path = self.root / COMPLETIONS / f"{name}.sent.json"
        if not path.exists() or not self._log(name).exists():
            return {"segments": [], "bytes": 0}
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found

    def _record(self, name: str, segments: list[str], sent: int) -> None:
        content = json.dumps({"segments": segments, "bytes": sent}).encode()
        _replace(self.root / COMPLETIONS / f"{name}.sent.json", content)

    def _machine(self) -> str:
        """A name of this working copy."""
        path = self.root / "machine"
        if not path.exists():
            _replace(path, uuid.uuid4().hex.encode())
        return path.read_text(encoding="utf-8")


def _whole_lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with path.open("rb") as file:
        yield from (line for line in file if line.endswith(b"\n"))


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
