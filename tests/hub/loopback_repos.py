"""What a Hub keeps of a dataset repository: commits, branches, tags, pull requests, objects. No network in here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any


class Refused(Exception):
    """An answer other than 2xx: status, message, and the word the clients look for in `X-Error-Code`."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True)
class Entry:
    """A file in a tree. `sha256` names its object; `oid` is what git would call its content (or its LFS pointer)."""

    sha256: str
    oid: str
    size: int
    lfs: bool

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    author: str
    date: str
    tree: dict[str, Entry]


@dataclass
class Pull:
    """A pull request: the branch `refs/pr/<num>` and the commit of main it was opened on."""

    num: int
    title: str
    author: str
    base: str
    head: str
    status: str = "open"


@dataclass
class Objects:
    """Contents by sha256, as files of a folder."""

    folder: Path

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / digest).write_bytes(data)
        return digest

    def get(self, digest: str) -> bytes:
        return (self.folder / digest).read_bytes()

    def has(self, digest: str) -> bool:
        return (self.folder / digest).exists()


@dataclass
class Repository:
    """One dataset repository. Made with an initial commit, as the Hub does."""

    id: str
    objects: Objects
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Commit and message by tag."""
    pulls: dict[int, Pull] = field(default_factory=dict)

    def __post_init__(self) -> None:
        attributes = self.entry(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n", lfs=False)
        self.branches["main"] = self._add(None, "initial commit", "hub", {".gitattributes": attributes})

    def entry(self, data: bytes, *, lfs: bool) -> Entry:
        digest = self.objects.put(data)
        return self.lfs_entry(digest, len(data)) if lfs else Entry(digest, git_oid(data), len(data), lfs=False)

    def lfs_entry(self, digest: str, size: int) -> Entry:
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n"
        return Entry(digest, git_oid(pointer.encode()), size, lfs=True)

    def resolve(self, revision: str) -> Commit:
        """The commit of a branch, a tag, a ref or a (short) hash."""
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        if name in self.branches:
            return self.commits[self.branches[name]]
        if name in self.tags:
            return self.commits[self.tags[name][0]]
        if name.startswith("refs/pr/") and name.rpartition("/")[2].isdigit():
            pull = self.pulls.get(int(name.rpartition("/")[2]))
            if pull is not None:
                return self.commits[pull.head]
        found = [oid for oid in self.commits if len(revision) >= 7 and oid.startswith(revision)]
        if not found:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[found[0]]

    def commit(self, revision: str, operations: list[dict[str, Any]], author: str, create_pr: bool) -> dict[str, Any]:
        """Apply the lines of a commit request. Raises Refused and changes nothing when a part cannot be applied."""
        at = self.resolve(revision)
        header = next(line["value"] for line in operations if line["key"] == "header")
        parent = header.get("parentCommit")
        if parent is not None and not at.oid.startswith(parent):
            if not create_pr:
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
            at = self.resolve(parent)
        tree = dict(at.tree)
        for line in operations:
            self._apply(line["key"], line["value"], tree)
        oid = self._add(at.oid, header["summary"], author, tree)
        answer = {"commitUrl": f"/datasets/{self.id}/commit/{oid}", "commitOid": oid}
        if create_pr:
            pull = Pull(len(self.pulls) + 1, header["summary"], author, at.oid, oid)
            self.pulls[pull.num] = pull
            return answer | {"pullRequestUrl": f"/datasets/{self.id}/discussions/{pull.num}"}
        if revision.startswith("refs/pr/"):
            self.pulls[int(revision.rpartition("/")[2])].head = oid
        else:
            self.branches[revision] = oid
        return answer

    def _apply(self, key: str, value: dict[str, Any], tree: dict[str, Entry]) -> None:
        import base64

        match key:
            case "header":
                pass
            case "file":
                tree[value["path"]] = self.entry(base64.b64decode(value["content"]), lfs=False)
            case "lfsFile":
                if not self.objects.has(value["oid"]):
                    raise Refused(400, f"LFS object {value['oid']} was never uploaded")
                tree[value["path"]] = self.lfs_entry(value["oid"], len(self.objects.get(value["oid"])))
            case "deletedFile":
                if value["path"] not in tree:
                    raise Refused(400, f"{value['path']} is not there to delete")
                del tree[value["path"]]
            case _:
                raise Refused(400, f"unknown operation {key}")

    def merge(self, num: int) -> None:
        """Bring what a pull request changed onto main. A file that both changed is a conflict."""
        pull = self._pull(num)
        base, ours, theirs = self.commits[pull.base].tree, self.resolve("main").tree, self.commits[pull.head].tree
        merged = dict(ours)
        for path in {*base, *theirs}:
            if base.get(path) == theirs.get(path):
                continue
            if ours.get(path) not in (base.get(path), theirs.get(path)):
                raise Refused(409, f"{path} changed on main too")
            if path in theirs:
                merged[path] = theirs[path]
            else:
                merged.pop(path, None)
        self.branches["main"] = self._add(self.branches["main"], f"{pull.title} (#{num})", pull.author, merged)
        pull.status = "merged"

    def _pull(self, num: int) -> Pull:
        if num not in self.pulls:
            raise Refused(404, f"no discussion {num}")
        if self.pulls[num].status != "open":
            raise Refused(400, f"pull request {num} is {self.pulls[num].status}")
        return self.pulls[num]

    def tag(self, name: str, revision: str, message: str | None) -> None:
        target = self.resolve(revision).oid
        if name in self.tags:
            raise Refused(409, f"Tag {name} already exists")
        self.tags[name] = (target, message)

    def push(self, files: dict[str, bytes | None], title: str = "edited on the website") -> str:
        """Another person's commit on main; None deletes a file."""
        tree = dict(self.resolve("main").tree)
        for path, data in files.items():
            if data is None:
                del tree[path]
            else:
                tree[path] = self.entry(data, lfs=is_lfs(path, len(data)))
        self.branches["main"] = self._add(self.branches["main"], title, "somebody", tree)
        return self.branches["main"]

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """The contents at a revision, for a test to look at."""
        return {path: self.objects.get(entry.sha256) for path, entry in self.resolve(revision).tree.items()}

    def history(self, revision: str = "main") -> list[Commit]:
        """Commits, newest first."""
        found: list[Commit] = []
        at: str | None = self.resolve(revision).oid
        while at is not None:
            found.append(self.commits[at])
            at = self.commits[at].parent
        return found

    def _add(self, parent: str | None, title: str, author: str, tree: dict[str, Entry]) -> str:
        content = [parent, title, author, {path: entry.oid for path, entry in sorted(tree.items())}, len(self.commits)]
        oid = hashlib.sha1(json.dumps(content).encode(), usedforsecurity=False).hexdigest()
        date = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.commits[oid] = Commit(oid, parent, title, author, date, tree)
        return oid


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def is_lfs(path: str, size: int, patterns: tuple[str, ...] = ("*.parquet",)) -> bool:
    """Whether the Hub keeps a file as a large one; an empty file never is."""
    return size > 0 and any(fnmatch(path, pattern) for pattern in patterns)
