"""The completion log: every answer a model gave, appended at once, so that nothing is paid twice."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from xirecipe.digests import Digests
from xirecipe.disk import write_whole
from xirecipe.fingerprint import SHORT, digest
from xirecipe.models.requests import Answer

#: Bytes in which the end of a log is looked for.
_CHUNK = 1 << 16
#: Lines whose keys are held before they go into the index.
_AT_ONCE = 1 << 15


class LogWriter:
    """Appends to the log of one model, and knows nothing of what is in it."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        name = digest(identity)[:SHORT]
        self.path = folder / f"{name}.jsonl"
        self._identity_path = folder / f"{name}.model.json"
        self._identity = identity
        self._file: BinaryIO | None = None
        self.end = 0
        """Of the last whole line, in bytes; known after the first `append`."""

    def append(self, key: str, answer: Answer) -> int:
        """Write one answer through to the operating system before returning: a killed process loses nothing.

        Returns where it stands. Raises OSError when the disk is full; the log then ends with the answer before.
        """
        file = self._file or self._opened()
        line = (
            b'{"key":"'
            + key.encode("ascii")
            + b'",'
            + json.dumps({"answer": asdict(answer)}, ensure_ascii=False).encode("utf-8", "replace")[1:]
            + b"\n"
        )
        if file.write(line) != len(line):
            # A raw write ends short without a word when the disk is full. The next one must not continue this line.
            os.ftruncate(file.fileno(), self.end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        start, self.end = self.end, self.end + len(line)
        return start

    def _opened(self) -> BinaryIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._identity_path.exists():
            write_whole(self._identity_path, json.dumps(self._identity, ensure_ascii=False, indent=2) + "\n")
        file = self.path.open("a+b", buffering=0)
        size = file.seek(0, os.SEEK_END)
        self.end = _end_of_lines(file, size)
        if size > self.end:
            # A line without its end is left from a crash in the middle of a write.
            os.ftruncate(file.fileno(), self.end)
        self._file = file
        return file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


def _end_of_lines(file: BinaryIO, size: int) -> int:
    """Where the last line that has its end ends."""
    before = size
    while before:
        start = max(0, before - _CHUNK)
        file.seek(start)
        found = file.read(before - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        before = start
    return 0


class CompletionLog:
    """Answers of one model, by request key. A file of JSON lines that only grows.

    Keeps keys and offsets in memory (`Digests`), not answers. A last line cut off by a crash is ignored and overwritten
    by the next append. Of two answers to one request the first counts.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self._writer = LogWriter(folder, identity)
        self.path = self._writer.path
        self._offsets = Digests()
        self._end = 0
        self._reader: BinaryIO | None = None
        self.refresh()

    def refresh(self) -> int:
        """Read what another process has appended since the last look. Returns how many answers there are."""
        if not self.path.exists():
            return 0
        keys: list[bytes] = []
        offsets: list[int] = []
        with self.path.open("rb") as file:
            file.seek(self._end)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                # The key stands first in every line, at a fixed place: no JSON parsing to build the index.
                keys.append(line[8:72])
                offsets.append(self._end)
                self._end += len(line)
                if len(keys) == _AT_ONCE:
                    self._offsets.add_all(keys, offsets)
                    keys, offsets = [], []
        self._offsets.add_all(keys, offsets)
        return len(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets)

    def __contains__(self, key: str) -> bool:
        return key in self._offsets

    def get(self, key: str) -> Answer | None:
        offset = self._offsets.get(key)
        if offset is None:
            return None
        if self._reader is None:
            self._reader = self.path.open("rb")
        self._reader.seek(offset)
        record = json.loads(self._reader.readline())
        return Answer(**record["answer"])

    def append(self, key: str, answer: Answer) -> None:
        """As `LogWriter.append`, and it is found here at once."""
        start = self._writer.append(key, answer)
        self._offsets.add(key, start)
        if start == self._end:
            self._end = self._writer.end

    def close(self) -> None:
        self._writer.close()
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
