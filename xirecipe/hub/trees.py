"""A released tree as files with hashes: here and on the Hub, and what would have to move to make them equal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xirecipe.hub.rows import CONFIGS

#: Folders that belong to a release: what lies there and is not in the new version is stale, and goes with it.
OWN_FOLDERS = frozenset({"recipe", "provenance", *(config.folder for config in CONFIGS)})


@dataclass(frozen=True)
class LocalFile:
    """A file of a release folder: its size in bytes and both hashes by which a Hub may know it."""

    path: Path
    size: int
    sha256: str
    git_sha1: str


@dataclass(frozen=True)
class RemoteFile:
    """A file of a tree on the Hub. `sha256` is given for large files, `git_sha1` for those that travel in commits."""

    size: int
    sha256: str | None
    git_sha1: str | None

    def holds(self, local: LocalFile) -> bool:
        """Whether it has the content of a local file."""
        if self.size != local.size:
            return False
        return self.sha256 == local.sha256 if self.sha256 else self.git_sha1 == local.git_sha1


@dataclass(frozen=True)
class FileChanges:
    """Paths that make the Hub's tree the local one. `foreign` are files that no release wrote; they are left alone."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    same: int = 0
    foreign: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.added) + len(self.changed) + len(self.removed)

    def part(self, size: int) -> FileChanges:
        """The first `size` changes; what is new before what goes."""
        marked = [(p, "added") for p in self.added] + [(p, "changed") for p in self.changed]
        marked = (marked + [(p, "removed") for p in self.removed])[:size]
        added, changed, removed = (
            tuple(p for p, own in marked if own == kind) for kind in ("added", "changed", "removed")
        )
        return FileChanges(added, changed, removed)


def local_tree(folder: Path) -> dict[str, LocalFile]:
    """Every file below a folder by its path there, each read once."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _hashed(path) for path in paths}


def _hashed(path: Path) -> LocalFile:
    size = path.stat().st_size
    sha256 = hashlib.sha256()
    # How git names a content; no security hangs on it.
    sha1 = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            sha256.update(piece)
            sha1.update(piece)
    return LocalFile(path, size, sha256.hexdigest(), sha1.hexdigest())


def file_changes(local: Mapping[str, LocalFile], remote: Mapping[str, RemoteFile]) -> FileChanges:
    """What to add, replace and delete so that the tree on the Hub holds this release and nothing of an older one."""
    folders = OWN_FOLDERS | {path.split("/")[0] for path in local if "/" in path}
    others = sorted(path for path in remote if path not in local)
    removed = tuple(path for path in others if "/" in path and path.split("/")[0] in folders)
    shared = sorted(path for path in local if path in remote)
    changed = tuple(path for path in shared if not remote[path].holds(local[path]))
    return FileChanges(
        added=tuple(sorted(path for path in local if path not in remote)),
        changed=changed,
        removed=removed,
        same=len(shared) - len(changed),
        foreign=tuple(path for path in others if path not in removed),
    )
