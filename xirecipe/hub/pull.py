"""Fetching a released version: pinned, checked against its own manifest, with the recipe that made it."""

from __future__ import annotations

import errno
import glob
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from xirecipe.diagnostics import did_you_mean, user_error
from xirecipe.disk import explained
from xirecipe.fingerprint import file_digest
from xirecipe.hub.checking import Replanned, check_rows, read_manifest, replan, wrong_files
from xirecipe.hub.current import MANIFEST
from xirecipe.hub.diffing import layout
from xirecipe.hub.registry import Registry
from xirecipe.hub.remote import HubRepository
from xirecipe.hub.rows import CONFIG
from xirecipe.hub.trees import RemoteFile, local_tree
from xirecipe.hub.versions import Version, wanted_version

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pulled:
    """What `pull` fetched. `rows` by split are None where only another config was asked for."""

    place: str
    version: Version
    pinned: str
    """The commit, or the folder of the registry."""
    folder: Path
    files: int
    rows: dict[str, int] | None
    plan: Replanned | None
    was_there: bool


class Shelf(Protocol):
    """Where released versions lie."""

    place: str

    def versions(self) -> list[Version]: ...

    def pinned(self, version: Version) -> str:
        """What the version is, in a word that cannot come to mean another content."""

    def fetch(self, version: Version, paths: list[str], *, again: bool = False) -> Path:
        """A folder with these files of a version; `again` distrusts what was fetched before."""

    def is_intact(self, version: Version, manifest: Path) -> bool:
        """Whether a manifest is the one that was released."""

    def sizes(self, version: Version) -> dict[str, int]: ...


@dataclass
class HubShelf:
    """A repository on the Hub. Versions are resolved to commits once, and everything is fetched by commit."""

    place: str

    def __post_init__(self) -> None:
        self._hub = HubRepository(self.place)
        self._commits: dict[Version, tuple[str, dict[str, RemoteFile]]] = {}

    def versions(self) -> list[Version]:
        state = self._hub.state()
        if state.head is None:
            message = f"{self._hub.api.endpoint} has no dataset {self.place} that you may read"
            raise user_error("unknown-repository", message, hint="for a private one, log in with `hf auth login`")
        return list(state.versions)

    def pinned(self, version: Version) -> str:
        return self._at(version)[0]

    def fetch(self, version: Version, paths: list[str], *, again: bool = False) -> Path:
        # The Hub's client takes patterns, and a recipe's file may be called `a[1].j2`.
        patterns = [glob.escape(path) for path in paths]
        folder = self._hub.fetch(self.pinned(version), patterns)
        if again:
            for path in paths:
                # A file that somebody put in the place of the cache's link would not be replaced.
                (folder / path).unlink(missing_ok=True)
            folder = self._hub.fetch(self.pinned(version), patterns, again=True)
        return folder

    def is_intact(self, version: Version, manifest: Path) -> bool:
        listed = self._at(version)[1].get(MANIFEST)
        return listed is not None and listed.holds(local_tree(manifest.parent)[manifest.name])

    def sizes(self, version: Version) -> dict[str, int]:
        return {path: file.size for path, file in self._at(version)[1].items()}

    def _at(self, version: Version) -> tuple[str, dict[str, RemoteFile]]:
        if version not in self._commits:
            commit = self._hub.commit_of(version.tag)
            self._commits[version] = commit, self._hub.tree(commit)
        return self._commits[version]


@dataclass
class FolderShelf:
    """A folder registry."""

    place: str
    registry: Registry

    def versions(self) -> list[Version]:
        return self.registry.versions()

    def pinned(self, version: Version) -> str:
        return str(self.registry.folder(version))

    def fetch(self, version: Version, paths: list[str], *, again: bool = False) -> Path:
        return self.registry.folder(version)

    def is_intact(self, version: Version, manifest: Path) -> bool:
        return self.registry.manifest_digest(version) in (None, file_digest(manifest))

    def sizes(self, version: Version) -> dict[str, int]:
        folder = self.registry.folder(version)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def pull(asked: str, to: Path | None = None, config: str | None = None, *, say: Say = lambda text: None) -> Pulled:
    """Fetch `REPO[@VERSION]`, a Hub repository or a folder registry, into `to` (`<name>-vX.Y.Z` when not given).

    Raises UserError: `unknown-place`, `unknown-repository`, `unknown-version`, `no-versions`, `unknown-config`,
    `not-a-release`, `wrong-version`, `tampered`, `row-count`, `row-hash`, `folder-not-empty`,
    `not-a-folder`, `disk-full`, `hub-unreachable`. The folder is there whole afterwards or not at all.
    """
    place, _, word = asked.rpartition("@") if "@" in asked and not Path(asked).exists() else (asked, "", "")
    shelf = _shelf(place)
    version = wanted_version("" if word == "latest" else word, shelf.versions(), place)
    target = to or Path(f"{Path(place).resolve().name}-{version.tag}")
    if target.name in ("", ".."):
        raise user_error("not-a-folder", f"{target} cannot be pulled into", hint="name a folder of its own with --to")
    say(f"fetching {version.tag} of {place}")
    with _disk(target):
        manifest, head = _manifest(shelf, version)
        paths = _paths(head, manifest, config)
        there = _already(target, manifest, head, paths)
        if not there:
            _require_space(target, shelf.sizes(version), paths)
            with _placed(_fetched(shelf, version, manifest, paths), paths, target) as folder:
                rows = _rows(folder, manifest, config)
        else:
            rows = _rows(target, manifest, config)
    plan = replan(target, manifest)
    return Pulled(place, version, shelf.pinned(version), target, len(paths), rows, plan, there)


def _shelf(place: str) -> Shelf:
    if Path(place).is_dir():
        registry = Registry.at(Path(place))
        if registry is None:
            hint = "a registry is what `xirecipe release --to DIR` makes"
            raise user_error("unknown-place", f"the folder {place} holds no released versions", hint=hint)
        return FolderShelf(place, registry)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", place):
        return HubShelf(place)
    raise user_error("unknown-place", f"{place} is neither a folder nor `owner/name` on the Hub")


def _manifest(shelf: Shelf, version: Version) -> tuple[dict[str, Any], Path]:
    """The manifest, proved to be the released one, and the folder in which it and the card lie."""
    where = f"{version.tag} of {shelf.place}"
    for again in (False, True):
        head = shelf.fetch(version, ["README.md", MANIFEST], again=again)
        manifest = read_manifest(head, where)
        if shelf.is_intact(version, head / MANIFEST):
            break
    else:
        raise user_error("tampered", f"{where}: {MANIFEST} is not what was released")
    if manifest["version"] != str(version):
        hint = "the tag was moved, or a cache is wrong; ask whoever released it"
        raise user_error("wrong-version", f"{where} holds version {manifest['version']}", hint=hint)
    return manifest, head


def _paths(head: Path, manifest: dict[str, Any], config: str | None) -> list[str]:
    """What to fetch: everything the release wrote, of the data only one config's where one was asked for."""
    names = sorted(_safe(name) for name in manifest["files"])
    if config is None:
        return [*names, MANIFEST]
    configs = layout(head, names)
    if config not in configs:
        hint = did_you_mean(config, configs)
        raise user_error("unknown-config", f"this version has no config {config}", hint=hint)
    data = {path for splits in configs.values() for files in splits.values() for path in files}
    wanted = {path for files in configs[config].values() for path in files}
    return [*(name for name in names if head / name not in data - wanted), MANIFEST]


def _safe(name: str) -> str:
    """A path out of a stranger's manifest, which must not lead out of the folder it is written to."""
    if name.startswith("/") or "\\" in name or ".." in name.split("/"):
        raise user_error("tampered", f"the manifest names {name!r}, which leaves the dataset's folder")
    return name


def _already(target: Path, manifest: dict[str, Any], head: Path, paths: list[str]) -> bool:
    """Whether the target holds this very version. Raises UserError `folder-not-empty` for anything else in it."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    same = (target / MANIFEST).is_file() and file_digest(target / MANIFEST) == file_digest(head / MANIFEST)
    if not same:
        hint = "name another folder with --to"
        raise user_error("folder-not-empty", f"{target} holds something else", hint=hint)
    wrong = wrong_files(target, manifest, paths)
    if wrong:
        hint = f"remove {target} and pull again"
        raise user_error("tampered", f"{target}: changed since it was pulled: {', '.join(wrong[:5])}", hint=hint)
    return True


def _fetched(shelf: Shelf, version: Version, manifest: dict[str, Any], paths: list[str]) -> Path:
    """A folder in which every wanted file has the hash of the manifest.

    A file in a cache may be damaged, or of another version (datasets issue 7928): such files are fetched once more.
    """
    folder = shelf.fetch(version, paths)
    wrong = wrong_files(folder, manifest, paths)
    if wrong:
        folder = shelf.fetch(version, wrong, again=True)
        wrong = wrong_files(folder, manifest, paths)
    if wrong:
        message = f"{version.tag} of {shelf.place}: not what was released: {', '.join(wrong[:5])}"
        raise user_error("tampered", message, hint="do not use it; ask whoever released it")
    return folder


@contextmanager
def _placed(source: Path, paths: list[str], target: Path) -> Iterator[Path]:
    """A copy that becomes `target` when the block ends well, and is gone otherwise."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for path in paths:
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, partial / path)
        yield partial
        # Only over an empty folder: rename refuses any other.
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _rows(folder: Path, manifest: dict[str, Any], config: str | None) -> dict[str, int] | None:
    return check_rows(folder, manifest) if config in (None, CONFIG) else None


def _require_space(target: Path, sizes: dict[str, int], paths: list[str]) -> None:
    """Raises UserError `disk-full` before anything is fetched for which there is no room."""
    parent = next(folder for folder in target.absolute().parents if folder.exists())
    needed, free = sum(sizes.get(path, 0) for path in paths), shutil.disk_usage(parent).free
    if needed > free:
        message = f"{target} would take {needed / 1e6:,.1f} MB and {free / 1e6:,.1f} MB are free"
        raise user_error("disk-full", message, hint="free some space, or name a folder on another disk with --to")


@contextmanager
def _disk(target: Path) -> Iterator[None]:
    with explained(target):
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            hint = "nothing is left behind there; free some space and pull again"
            raise user_error("disk-full", f"{target}: no space left on the disk", hint=hint) from error
