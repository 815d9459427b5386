"""The recipe folder as plain files: of a git revision, or of the working tree, within limits and without links.

Nothing is checked out, no filter, hook or text conversion runs, and nothing is fetched: file contents are read from
git's objects, or copied. What is left out is said.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from xirecipe.diagnostics import did_you_mean, shortened, user_error
from xirecipe.fingerprint import file_digest

#: Files in a recipe folder; bytes of all of them; of one that is read as text; of one that holds rows.
MAX_FILES, MAX_TOTAL, MAX_TEXT, MAX_DATA = 2_000, 100_000_000, 200_000, 20_000_000
#: git's answers are short, or as large as the limits above.
TIMEOUT_SECONDS = 60
_DATA = (".jsonl", ".parquet", ".csv", ".gz", ".zst")
#: What git calls a revision, without ranges, paths, searches and reflogs; never an option.
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}((\^|~)[0-9]{0,3}){0,5}")
_UNKNOWN = re.compile(r"not a git repository", re.I)


@dataclass
class Snapshot:
    """A copy of a recipe folder. `digests` are of its files by path; `left_out` are (path, why)."""

    folder: Path
    digests: dict[str, str] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    _bytes: int = 0

    def room_for(self, path: str, size: int, mode: str) -> bool:
        """Whether a file may be copied; where not, it is noted. `mode`: git's."""
        limit = MAX_DATA if path.lower().endswith(_DATA) else MAX_TEXT
        why = None
        if mode not in ("100644", "100755"):
            why = "a link" if mode == "120000" else "not a file"
        elif not is_plain(path):
            why = "an odd name"
        elif size > limit:
            why = f"{size:,} bytes; {limit:,} are read in a review"
        elif len(self.digests) >= MAX_FILES:
            why = f"more than {MAX_FILES:,} files"
        elif self._bytes + size > MAX_TOTAL:
            why = f"more than {MAX_TOTAL:,} bytes together"
        if why:
            self.left_out.append((path, why))
            return False
        self._bytes += size
        return True

    def add(self, path: str, content: bytes) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self.digests[path] = file_digest(target)


def is_plain(path: str) -> bool:
    """Whether a path from a stranger is one below the folder, of a length that a file system takes."""
    parts = PurePosixPath(path).parts
    return (
        not path.startswith("/")
        and not any(part in ("..", ".git") or len(part.encode("utf-8", "replace")) > 200 for part in parts)
        and len(path) < 1000
        and path.isprintable()
    )


@dataclass(frozen=True)
class Repository:
    """The git repository that a recipe folder lies in."""

    folder: Path
    """The recipe folder."""
    prefix: str
    """Its path in the repository, `recipes/`; empty where it is the whole repository."""

    @classmethod
    def of(cls, folder: Path) -> Repository:
        """Raises UserError: `not-a-repository`, `no-git`."""
        return cls(folder, _git(folder, "rev-parse", "--show-prefix").decode().strip("\n"))

    def commit(self, revision: str) -> str:
        """The commit that a revision names. Raises UserError: `bad-revision`, `unknown-revision`."""
        if not _REVISION.fullmatch(revision) or ".." in revision:
            message = f"`{shortened(revision)}` is not the name of a revision"
            raise user_error("bad-revision", message, hint="a branch, a tag or a commit, such as `origin/main`")
        found = _git(self.folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", may_fail=True)
        if not found:
            names = _git(self.folder, "for-each-ref", "--count=1000", "--format=%(refname:short)").decode().split()
            hint = did_you_mean(revision, [*names, "HEAD"]) or "fetch it first: `git fetch origin`"
            raise user_error("unknown-revision", f"this repository has no revision `{revision}`", hint=hint)
        return found.decode().strip()

    def at(self, commit: str, to: Path) -> Snapshot:
        """The folder as it is in a commit, written below `to`; empty where the commit does not have it."""
        snapshot = Snapshot(to)
        listed = _git(self.folder, "ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--", self.prefix or ".")
        wanted: list[tuple[str, str, int]] = []
        for entry in _entries(listed):
            facts, _, path = entry.partition("\t")
            mode, _, name, size = facts.split()
            path = path.removeprefix(self.prefix)
            if snapshot.room_for(path, int(size) if size.isdigit() else 0, mode):
                wanted.append((path, name, int(size)))
                snapshot.digests[path] = ""
        for (path, _, _), content in zip(wanted, self._contents(wanted), strict=True):
            snapshot.add(path, content)
        return snapshot

    def _contents(self, wanted: Sequence[tuple[str, str, int]]) -> Iterator[bytes]:
        """The objects of some files, in order. Raises UserError `broken-repository` where one is not there."""
        asked = "".join(f"{name}\n" for _, name, _ in wanted).encode()
        answer = _git(self.folder, "cat-file", "--batch", given=asked)
        at = 0
        for path, _, size in wanted:
            end = answer.find(b"\n", at)
            if not answer[at:end].endswith(f" blob {size}".encode()):
                raise user_error("broken-repository", f"git does not have {path}", hint="fetch the whole history")
            yield answer[end + 1 : end + 1 + size]
            at = end + 1 + size + 1

    def working_tree(self, to: Path) -> Snapshot:
        """The folder as it is on the disk, without what git ignores, written below `to`."""
        snapshot = Snapshot(to)
        listed = _git(self.folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
        for path in sorted(set(_entries(listed))):
            source = self.folder / path
            try:
                # A file below a link would be somewhere else.
                whole = source.parent.resolve() == self.folder.resolve() / PurePosixPath(path).parent
                mode = "120000" if source.is_symlink() or not whole else "100644" if source.is_file() else "0"
                size = source.lstat().st_size
                if snapshot.room_for(path, size, mode):
                    with source.open("rb") as file:
                        snapshot.add(path, file.read(size))
            except FileNotFoundError:
                # Deleted and not yet committed: it is not in the working tree.
                continue
        return snapshot


def _entries(listed: bytes) -> Iterator[str]:
    return (entry.decode("utf-8", "replace") for entry in listed.split(b"\0") if entry)


def _git(folder: Path, *arguments: str, given: bytes | None = None, may_fail: bool = False) -> bytes:
    """What git says. Its environment is ours without what would point it elsewhere, fetch, ask or run anything."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {
        "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "",
        "GIT_LITERAL_PATHSPECS": "1", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C",
    }  # fmt: skip
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *arguments]
    try:
        ran = subprocess.run(
            command, cwd=folder, env=environment, input=given or b"", capture_output=True, check=False,
            timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
    except (FileNotFoundError, NotADirectoryError):
        if not folder.is_dir():
            raise user_error("missing-file", f"{folder} does not exist") from None
        raise user_error("no-git", "git is not installed", hint="revisions are read with it") from None
    except subprocess.TimeoutExpired:
        raise user_error("git-failed", f"git took more than {TIMEOUT_SECONDS} seconds") from None
    if ran.returncode and not may_fail:
        said = ran.stderr.decode("utf-8", "replace")
        if _UNKNOWN.search(said):
            hint = "revisions are of a recipe folder inside a git repository"
            raise user_error("not-a-repository", f"{folder} is in no git repository", hint=hint)
        raise user_error("git-failed", f"git {arguments[0]}: {shortened(said, 200)}")
    return ran.stdout if not ran.returncode else b""
