"""Artifacts: one folder per stage and fingerprint, its manifest written last."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from xirecipe.columns import StageKind
from xirecipe.diagnostics import user_error
from xirecipe.fingerprint import SHORT, digest

if TYPE_CHECKING:
    from xirecipe.mirror import Mirror
    from xirecipe.settings import Settings

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
    """The folder of a finished or unfinished stage; of a mirrored store, what is asked for is brought first."""

    folder: Path
    mirror: Mirror | None = field(default=None, repr=False, compare=False)

    @property
    def data(self) -> Path:
        return self._part("data")

    @property
    def dropped(self) -> Path:
        return self._part("dropped")

    @property
    def failed(self) -> Path:
        return self._part("failed")

    def _part(self, name: str) -> Path:
        if self.mirror is not None:
            self.mirror.fetch(self.folder.name, name)
        return self.folder / name

    def address(self, part: str) -> str:
        """Where other machines find a part of a finished artifact; of a local store, if they share the file system."""
        if self.mirror is not None:
            return self.mirror.remote.at(f"{self.folder.name}/{part}")
        return str((self.folder / part).absolute())

    @property
    def adapter(self) -> Path:
        """Of a train stage: the trained adapter, as a PEFT folder."""
        return self._part("adapter")

    @property
    def manifest_path(self) -> Path:
        if self.mirror is not None:
            self.mirror.look(self.folder.name)
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
        text = manifest.to_json()
        if self.mirror is not None:
            self.mirror.publish(self.folder.name, text)
        write_whole(self.folder / "manifest.json", text)

    def forget(self) -> None:
        """Say that it is not done. Its rows stay until `Store.start`."""
        if self.mirror is not None:
            self.mirror.forget(self.folder.name)
        (self.folder / "manifest.json").unlink(missing_ok=True)


class Store:
    """All artifacts and the completion log, under one folder; with a `mirror`, a copy of a store elsewhere."""

    def __init__(self, root: Path, mirror: Mirror | None = None) -> None:
        self.root = root
        self.mirror = mirror
        self._mine = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The store that the settings name. Reaches nothing yet."""
        if settings.remote_store is None:
            return cls(settings.store)
        from xirecipe.mirror import Mirror
        from xirecipe.remote import Remote

        return cls(settings.store, Mirror(Remote(settings.remote_store), settings.store))

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.mirror.remote.url if self.mirror is not None else str(self.root)

    def artifact(self, stage: StageKind, fingerprint: str) -> Artifact:
        return Artifact(self.root / f"{stage}-{fingerprint[:SHORT]}", self.mirror)

    def checkpoints(self, fingerprint: str) -> Path:
        """Where a training that has not ended keeps what it goes on from."""
        return self.root / "checkpoints" / fingerprint[:SHORT]

    @property
    def completions(self) -> Path:
        return self.root / "completions"

    def artifacts(self, stage: StageKind) -> list[Artifact]:
        """Finished artifacts of a stage, newest first."""
        if self.mirror is not None:
            names = self.mirror.artifacts(f"{stage}-")
        else:
            names = [path.name for path in self.root.glob(f"{stage}-*")]
        found = [artifact for name in names if (artifact := Artifact(self.root / name, self.mirror)).done]
        return sorted(found, key=lambda a: a.manifest_path.stat().st_mtime, reverse=True)

    def fetch_log(self, identity: dict[str, Any]) -> None:
        """Bring the answers of the model of this identity, where the store lies elsewhere and no run is adding any."""
        if self.mirror is None:
            return
        with self._lock() as free:
            # While a run on this machine appends to it, the log here is ahead of the one there.
            if free:
                self.mirror.pull_log(digest(identity)[:SHORT])

    def send_log(self, identity: dict[str, Any], *, now: bool = False) -> None:
        """Send new answers of this model, where the store lies elsewhere: from time to time, or `now`."""
        if self.mirror is not None:
            self.mirror.push_log(digest(identity)[:SHORT], now=now)

    def keep(self, path: Path) -> None:
        """Send a finished file or folder of `root`, where the store lies elsewhere."""
        if self.mirror is not None:
            self.mirror.keep(path)

    def bring(self, path: Path) -> None:
        """Fetch a folder of `root` that is not here, where the store lies elsewhere."""
        if self.mirror is not None and not path.exists():
            self.mirror.bring(path.relative_to(self.root).as_posix())

    def check_layout(self) -> None:
        """Raises UserError when another version's layout lies here."""
        found = self._layout()
        if found is not None and found != str(LAYOUT):
            raise user_error(
                "other-store",
                f"{self.shown} has store layout {found}; this xirecipe writes layout {LAYOUT}",
                hint="set XIRECIPE_STORE to another folder, or run the version that made it",
            )

    def start(self, artifact: Artifact) -> None:
        """An empty folder for a stage that starts: what an interrupted run left there is removed."""
        shutil.rmtree(artifact.folder, ignore_errors=True)
        for folder in (artifact.data, artifact.dropped, artifact.failed):
            folder.mkdir(parents=True)

    def _layout(self) -> str | None:
        if self.mirror is not None:
            there = self.mirror.remote.read("layout")
            return None if there is None else there.decode(errors="replace").strip()
        marker = self.root / "layout"
        return marker.read_text(encoding="utf-8", errors="replace").strip() if marker.exists() else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One run at a time on a store.

        On this machine the kernel frees the lock when the process ends, however it ends; a store elsewhere has a lease
        besides (`xirecipe.lease`).
        """
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            self.check_layout()
            if self._layout() is None:
                if self.mirror is not None:
                    self.mirror.remote.write("layout", f"{LAYOUT}\n".encode())
                else:
                    write_whole(self.root / "layout", f"{LAYOUT}\n")
        with self._lock() as free:
            if not free:
                raise user_error(
                    "store-in-use", f"another run is using {self.shown}", hint="wait for it, or set XIRECIPE_STORE"
                )
            with self.mirror.leased() if self.mirror is not None else nullcontext():
                self._mine = True
                try:
                    yield
                finally:
                    self._mine = False

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        """Whether no other process holds the lock on this folder; if none does, this one until the block ends."""
        if self._mine:
            yield True
            return
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            handle = (self.root / "lock").open("w")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


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
