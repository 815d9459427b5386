"""A folder registry: released versions of one dataset in a folder, for those without the Hub.

`v1.0.0/` and so on are whole release trees that are never changed again; `latest` is a link to the newest;
`index.json` says what is there. Folders are the truth, and the index is written again from them.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from xirecipe.diagnostics import UserError, user_error
from xirecipe.disk import explained, write_whole
from xirecipe.fingerprint import file_digest
from xirecipe.hub.candidate import Candidate, Released, candidate, other_content, version_of
from xirecipe.hub.current import MANIFEST, manifest_in
from xirecipe.hub.gates import check_gates, not_releasable
from xirecipe.hub.trees import FileChanges, RemoteFile, file_changes, local_tree
from xirecipe.hub.versions import Version, previous_of, versions_in
from xirecipe.plan import AnyPlan
from xirecipe.store import Store

INDEX, LATEST = "index.json", "latest"
LAYOUT = 1


class Registry:
    """The versions in a folder. Reading needs no lock: a version is there whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def at(cls, path: Path) -> Registry | None:
        """The registry in a folder; None where there is none."""
        return cls(path) if (path / INDEX).is_file() or versions_in(_folders(path)) else None

    def versions(self) -> list[Version]:
        return versions_in(_folders(self.root))

    def folder(self, version: Version) -> Path:
        return self.root / version.tag

    def tree(self, version: Version) -> dict[str, RemoteFile]:
        """What a version's folder holds, hashed now."""
        files = local_tree(self.folder(version))
        return {path: RemoteFile(file.size, file.sha256, file.git_sha1) for path, file in files.items()}

    def manifest_digest(self, version: Version) -> str | None:
        """sha256 of a version's manifest as the index has it; None where the index does not know the version."""
        entry = self._index().get("versions", {}).get(str(version), {})
        digest = entry.get("manifest_sha256")
        return digest if isinstance(digest, str) else None

    def _index(self) -> dict[str, Any]:
        try:
            found = json.loads((self.root / INDEX).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def require(self, name: str) -> None:
        """Raises UserError `other-registry`, `folder-not-empty` where another dataset or something else lies here.

        And `damaged` where a version has lost its manifest.
        """
        if not self.root.is_dir() or not any(self.root.iterdir()):
            return
        if Registry.at(self.root) is None:
            hint = "name a folder of its own"
            raise user_error("folder-not-empty", f"{self.root} holds something else than released versions", hint=hint)
        theirs = self._index().get("name", name)
        if theirs != name:
            raise user_error("other-registry", f"{self.root} holds versions of {theirs}", hint="one folder a dataset")
        # The index is written from all of them, after the new version is in place.
        for version in self.versions():
            if manifest_in(self.folder(version)) is None:
                message = f"{self.folder(version) / MANIFEST} is no manifest of a release"
                hint = "put it back as it was released, or take the version's folder away"
                raise user_error("damaged", message, hint=hint)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One release at a time; what a killed one left half written is cleared."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise user_error("registry-in-use", f"another release is writing to {self.root}") from None
            shutil.rmtree(self._partial, ignore_errors=True)
            yield

    @property
    def _partial(self) -> Path:
        return self.root / ".partial"

    def add(self, new: Candidate) -> None:
        """Put a version in place: copied whole, flushed to disk, read back, then renamed."""
        try:
            shutil.copytree(new.folder, self._partial)
            _flush(self._partial)
            written = local_tree(self._partial)
            wrong = [p for p, file in new.files.items() if p not in written or written[p].sha256 != file.sha256]
            if wrong:
                raise user_error("damaged", f"{self.root}: {', '.join(wrong[:5])} did not come out as written")
            self._partial.rename(self.folder(new.version))
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)
        _flush_folder(self.root)

    def finish(self, name: str) -> None:
        """Make `index.json` and `latest` say what the folders hold."""
        versions = self.versions()
        entries = {str(version): self._entry(version) for version in versions}
        index = {"layout": LAYOUT, "name": name, "latest": str(versions[-1]), "versions": entries}
        text = json.dumps(index, ensure_ascii=False, indent=2) + "\n"
        path = self.root / INDEX
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_whole(path, text)
        link = self.root / LATEST
        if not link.is_symlink() or link.readlink() != Path(versions[-1].tag):
            # A link cannot be changed in place; a rename over the old one leaves no moment without it.
            new = self.root / f".{LATEST}"
            new.unlink(missing_ok=True)
            new.symlink_to(versions[-1].tag)
            new.replace(link)
        _flush_folder(self.root)

    def _entry(self, version: Version) -> dict[str, Any]:
        path = self.folder(version) / MANIFEST
        manifest = json.loads(path.read_text(encoding="utf-8"))
        known = self._index().get("versions", {}).get(str(version), {})
        return {
            "folder": version.tag, "rows": manifest["rows"], "rows_sha256": manifest["rows_sha256"],
            "recipe_sha256": manifest["recipe_sha256"],
            # Kept from when the version was written: a manifest changed since is found out by it.
            "manifest_sha256": known.get("manifest_sha256") or file_digest(path),
        }  # fmt: skip


def release_to_folder(plan: AnyPlan, store: Store, to: Path, *, dry_run: bool = False) -> Released:
    """Release a finished plan as a version of the folder registry `to`.

    Raises UserError as `release_to_hub` does, and `other-registry`, `folder-not-empty`, `registry-in-use`, `disk-full`,
    `no-permission`. The version is there whole afterwards or not at all.
    """
    refused = not_releasable(plan)
    if refused:
        raise UserError(refused)
    registry = Registry(to)
    registry.require(plan.recipe.name)
    gates = tuple(check_gates(plan, store))
    version, notes = version_of(plan), list[str]()
    previous = previous_of(version, registry.versions())
    old = registry.folder(previous) if previous else None
    with candidate(plan, store, version, previous, old) as new:
        place = str(registry.folder(version))
        if version in registry.versions():
            files = _require_same(registry, new)
            if not dry_run:
                with explained(to), registry.locked():
                    registry.finish(plan.recipe.name)
            return Released("already released", version, place, previous, None, files, gates=gates)
        try:
            new.check_step()
        except UserError as error:
            if not dry_run:
                raise
            notes += [d.message for d in error.diagnostics]
        files = file_changes(new.files, registry.tree(previous) if previous else {})
        found = Released(
            "dry run", version, place, previous, new.difference, files, new.card, gates, tuple(notes)
        )  # fmt: skip
        if dry_run:
            return found
        with explained(to), registry.locked():
            if version in registry.versions():
                _require_same(registry, new)
            else:
                registry.add(new)
            registry.finish(plan.recipe.name)
        return replace(found, status="released")


def _require_same(registry: Registry, new: Candidate) -> FileChanges:
    changes = file_changes(new.files, registry.tree(new.version))
    if changes.count:
        raise other_content(new.version, str(registry.root), changes)
    return changes


def _folders(root: Path) -> list[str]:
    return [path.parents[1].name for path in root.glob(f"v*/{MANIFEST}")] if root.is_dir() else []


def _flush(folder: Path) -> None:
    """Wait until a folder and all that is in it is on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in (*(p for p in folder.rglob("*") if p.is_dir()), folder):
        _flush_folder(path)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
