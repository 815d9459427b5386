"""The completion log: every answer a model gave, appended at once, so that nothing is paid twice."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from xirecipe.disk import write_whole
from xirecipe.fingerprint import SHORT, digest
from xirecipe.models.requests import Answer


class CompletionLog:
    """Answers of one model, by request key. A file of JSON lines that only grows.

    Keeps offsets in memory, not answers. A last line cut off by a crash is ignored and overwritten by the next append.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        name = digest(identity)[:SHORT]
        self.path = folder / f"{name}.jsonl"
        self._identity_path = folder / f"{name}.model.json"
        self._identity = identity
        self._offsets: dict[bytes, int] = {}
        self._end = 0
        self._reader: BinaryIO | None = None
        self._writer: BinaryIO | None = None
        self.refresh()

    def refresh(self) -> int:
        """Read what another process has appended since the last look. Returns how many answers there are."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as file:
            file.seek(self._end)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                # The key stands first in every line, at a fixed place: no JSON parsing to build the index.
                self._offsets[bytes.fromhex(line[8:72].decode("ascii"))] = self._end
                self._end += len(line)
        return len(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets)

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self._offsets

    def get(self, key: str) -> Answer | None:
        offset = self._offsets.get(bytes.fromhex(key))
        if offset is None:
            return None
        if self._reader is None:
            self._reader = self.path.open("rb")
        self._reader.seek(offset)
        record = json.loads(self._reader.readline())
        return Answer(**record["answer"])

    def append(self, key: str, answer: Answer) -> None:
        """Write one answer through to the operating system before returning: a killed process loses nothing."""
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._identity_path.exists():
                write_whole(self._identity_path, json.dumps(self._identity, ensure_ascii=False, indent=2) + "\n")
            self._writer = self.path.open("ab", buffering=0)
            if self._writer.tell() > self._end:
                # A line without its end is left from a crash in the middle of a write.
                os.ftruncate(self._writer.fileno(), self._end)
        line = (
            b'{"key":"'
            + key.encode("ascii")
            + b'",'
            + json.dumps({"answer": asdict(answer)}, ensure_ascii=False).encode("utf-8", "replace")[1:]
            + b"\n"
        )
        if self._writer.write(line) != len(line):
            # A raw write ends short without a word when the disk is full. The next one must not continue this line.
            os.ftruncate(self._writer.fileno(), self._end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._offsets[bytes.fromhex(key)] = self._end
        self._end += len(line)

    def close(self) -> None:
        for file in (self._reader, self._writer):
            if file is not None:
                file.close()
        self._reader = self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
