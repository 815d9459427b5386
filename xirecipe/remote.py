"""A folder on any fsspec file system: the few operations that a store needs of it, each failure the user's to read.

What a store relies on: a file is replaced whole (`write`), a reader sees what was written before (S3 since 2020, GCS,
Azure), and of two writers only one creates a file (`create`; S3 since 2024 by `If-None-Match`, GCS, Azure).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from xirecipe.diagnostics import UserError, user_error

Answer = TypeVar("Answer")


class Remote:
    """The folder at `url`, such as `s3://bucket/prefix`. Paths are relative to it.

    Every method raises UserError `store-unreachable` where the other side does not answer or refuses, and
    `missing-package` where nothing installed speaks the protocol. fsspec is imported with the first of them.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def __repr__(self) -> str:
        return f"Remote({self.url!r})"

    def at(self, path: str) -> str:
        """The whole address of a path."""
        return f"{self.url}/{path}"

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no file."""
        try:
            found: bytes = self._asked(lambda: self._files.cat_file(self._at(path)))
        except FileNotFoundError:
            return None
        return found

    def write(self, path: str, data: bytes) -> None:
        """Replace a file whole."""
        self._written(lambda: self._files.pipe_file(self._at(path), data))

    def create(self, path: str, data: bytes) -> bool:
        """Write a file that is not there yet; False, and nothing written, where it is."""
        try:
            self._written(lambda: self._files.pipe_file(self._at(path), data, mode="create"))
        except FileExistsError:
            return False
        return True

    def names(self, path: str = "") -> list[str]:
        """What lies directly in a folder, sorted; nothing where there is no folder."""
        try:
            found = self._asked(lambda: self._files.ls(self._at(path), detail=False))
        except (FileNotFoundError, NotADirectoryError):
            return []
        own = self._at(path).rstrip("/")
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found if name.rstrip("/") != own)

    def files(self, path: str) -> list[str]:
        """All files under a folder, relative to it, sorted."""
        own = self._at(path).rstrip("/") + "/"
        found = self._asked(lambda: self._files.find(own))
        return sorted(name.removeprefix(own) for name in found if name.startswith(own))

    def remove(self, path: str) -> None:
        """Take a file or a folder away; nothing where there is none."""
        try:
            self._asked(lambda: self._files.rm(self._at(path), recursive=True))
        except FileNotFoundError:
            return

    def upload(self, local: Sequence[Path], paths: Sequence[str]) -> None:
        """Write files, several at a time where the protocol allows."""
        if local:
            self._written(lambda: self._files.put(list(map(str, local)), list(map(self._at, paths))))

    def download(self, paths: Sequence[str], local: Sequence[Path]) -> None:
        """Fetch files into folders that exist."""
        if paths:
            self._asked(lambda: self._files.get(list(map(self._at, paths)), list(map(str, local))))

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    @property
    def _files(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        protocol = self.url.partition("://")[0]
        try:
            files, root = url_to_fs(self.url)
        except ImportError as error:
            hint = 'pip install "xirecipe[s3]"' if protocol in ("s3", "s3a") else "install what fsspec needs for it"
            raise user_error("missing-package", f"{self.url}: {error}", hint=hint) from None
        except ValueError as error:
            hint = "a folder, or an address that fsspec knows, such as s3://bucket/prefix"
            raise user_error("bad-setting", f"XIRECIPE_STORE is `{self.url}`: {error}", hint=hint) from None
        return files, root.rstrip("/")

    def _written(self, operation: Callable[[], None]) -> None:
        try:
            self._asked(operation)
        except FileNotFoundError as error:
            raise user_error("store-unreachable", f"{self.url}: {error}", hint="does the bucket exist?") from None

    def _asked(self, operation: Callable[[], Answer]) -> Answer:
        """The file system's answer. What is there or not is for the caller to know; everything else is explained."""
        self._files.invalidate_cache()  # another machine may have written since
        try:
            return operation()
        except (UserError, FileNotFoundError, FileExistsError, NotADirectoryError):
            raise
        except PermissionError as error:
            hint = "may these credentials list, read, write and delete there?"
            raise user_error("no-permission", f"{self.url}: {error}", hint=hint) from None
        except Exception as error:  # each protocol's client has exceptions of its own
            message = f"{self.url}: {type(error).__name__}: {error}"
            hint = "is the address right, and are the credentials there? what is finished is kept"
            raise user_error("store-unreachable", message, hint=hint) from None
