"""Artifacts: one folder per stage and fingerprint, its manifest written last."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from xirecipe.columns import StageKind
from xirecipe.diagnostics import user_error
from xirecipe.fingerprint import SHORT

#: Changes when the layout of a store changes; a store of another layout is refused, never guessed at.
LAYOUT = 1


@dataclass(frozen=True)
class Manifest:
    """What a stage did. Its existence means the stage is done.

    Counts are rows; `asked` is how many rows the stage owed an outcome for (documents x draws for generate), so
    asked = kept + sum(dropped) + sum(failed).
    """

    stage: StageKind
    fingerprint: str
    payload: dict[str, Any]
    """What was hashed into the fingerprint, kept so that a later change can be explained."""
    rows_in: int
    asked: int
    kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    """Model answers received while this artifact was made; answers found in the completion log are `reused`."""
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    """What else the engine measured, for card and report."""
    recipe: str = ""
    tool: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    finished: str = ""

    @property
    def label(self) -> str:
        """What people call the stage: its kind, and which round it was, which dataset it was for, or whom it taught."""
        identity = self.payload.get("identity", {})
        which = identity.get("round") or identity.get("dataset") or identity.get("role")
        return f"{self.stage} {which}" if which else self.stage

    @property
    def balanced(self) -> bool:
        return self.asked == self.kept + sum(self.dropped.values()) + sum(self.failed.values())

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Artifact:
    """The folder of a finished or unfinished stage."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def dropped(self) -> Path:
        return self.folder / "dropped"

    @property
    def failed(self) -> Path:
        return self.folder / "failed"

    @property
    def adapter(self) -> Path:
        """Of a train stage: the trained adapter, as a PEFT folder."""
        return self.folder / "adapter"

    @property
    def manifest_path(self) -> Path:
        return self.folder / "manifest.json"

    @property
    def done(self) -> bool:
        return self.manifest_path.exists()

    def manifest(self) -> Manifest:
        """Raises UserError when the manifest cannot be read: the artifact must then be made again."""
        try:
            return Manifest.from_json(self.manifest_path.read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise user_error(
                "broken-manifest",
                f"{self.manifest_path} cannot be read: {error}",
                hint=f"remove {self.folder} and run again; answers in the completion log are kept",
            ) from None

    def write_manifest(self, manifest: Manifest) -> None:
        """Write it whole or not at all: a temporary file, flushed to disk, then renamed."""
        if not manifest.balanced:
            raise AssertionError(f"{manifest.stage}: rows do not add up: {manifest}")
        write_whole(self.manifest_path, manifest.to_json())


class Store:
    """All artifacts and the completion log, under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def artifact(self, stage: StageKind, fingerprint: str) -> Artifact:
        return Artifact(self.root / f"{stage}-{fingerprint[:SHORT]}")

    def checkpoints(self, fingerprint: str) -> Path:
        """Where a training that has not ended keeps what it goes on from."""
        return self.root / "checkpoints" / fingerprint[:SHORT]

    @property
    def completions(self) -> Path:
        return self.root / "completions"

    def artifacts(self, stage: StageKind) -> list[Artifact]:
        """Finished artifacts of a stage, newest first."""
        found = [Artifact(path) for path in self.root.glob(f"{stage}-*") if (path / "manifest.json").exists()]
        return sorted(found, key=lambda a: a.manifest_path.stat().st_mtime, reverse=True)

    def check_layout(self) -> None:
        """Raises UserError when another version's layout lies here."""
        marker = self.root / "layout"
        if not marker.exists():
            return
        found = marker.read_text(encoding="utf-8", errors="replace").strip()
        if found != str(LAYOUT):
            raise user_error(
                "other-store",
                f"{self.root} has store layout {found}; this xirecipe writes layout {LAYOUT}",
                hint="set XIRECIPE_STORE to another folder, or run the version that made it",
            )

    def start(self, artifact: Artifact) -> None:
        """An empty folder for a stage that starts: what an interrupted run left there is removed."""
        shutil.rmtree(artifact.folder, ignore_errors=True)
        for folder in (artifact.data, artifact.dropped, artifact.failed):
            folder.mkdir(parents=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One run at a time on a store. The kernel frees the lock when the process ends, however it ends."""
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            self.check_layout()
            if not (self.root / "layout").exists():
                write_whole(self.root / "layout", f"{LAYOUT}\n")
            handle = (self.root / "lock").open("w")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise user_error(
                    "store-in-use", f"another run is using {self.root}", hint="wait for it, or set XIRECIPE_STORE"
                ) from None
            yield


def write_whole(path: Path, text: str) -> None:
    """Replace a file's content so that a crash leaves either the old or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Disk errors as the user's: no space, no permission, read-only. Others pass."""
    known = {
        errno.ENOSPC: ("disk-full", "no space left on the disk"),
        errno.EDQUOT: ("disk-full", "the disk quota is used up"),
        errno.EACCES: ("no-permission", "no permission to write"),
        errno.ENOENT: ("no-folder", "the folder cannot be made there"),
        errno.EROFS: ("no-permission", "the file system is read-only"),
        errno.ENOTDIR: ("not-a-folder", "a file stands where a folder is wanted"),
        errno.EEXIST: ("not-a-folder", "a file stands where a folder is wanted"),
    }
    try:
        yield
    except OSError as error:
        if error.errno not in known:
            raise
        code, what = known[error.errno]
        raise user_error(
            code, f"{path}: {what}", hint="what is finished is kept; `xirecipe run` goes on from there"
        ) from error
