"""The store: all artifacts and the completion log under one folder, for one run at a time."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from xirecipe.artifact import Artifact
from xirecipe.columns import StageKind
from xirecipe.diagnostics import user_error
from xirecipe.disk import explained, write_whole
from xirecipe.fingerprint import SHORT, digest

if TYPE_CHECKING:
    from xirecipe.mirror import Mirror
    from xirecipe.settings import Settings

#: Changes when the layout of a store changes; a store of another layout is refused, never guessed at.
LAYOUT = 1


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
