"""Writing to disk: files that are whole or not there, and errors that say what the disk lacks."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xirecipe.diagnostics import user_error


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
