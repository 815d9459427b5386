"""Which files a local source is made of: one answer for hashing, counting, checking and reading."""

from __future__ import annotations

from pathlib import Path

from xirecipe.recipe.corpus import FileSource
from xirecipe.recipe.mixing import FileVersion

#: What may stand behind the format's own ending; the reader decompresses by it.
_COMPRESSION = ("", ".gz", ".zst")


def source_files(root: Path, source: FileSource | FileVersion) -> list[Path]:
    """The files of a source, sorted by their path: the one it names, or those of its format anywhere in its folder.

    Of a folder counts what is named `*.{format}`, also compressed (`web.jsonl.gz`); hidden files and what lies in
    hidden folders do not. Empty where there is none, also where `source.path` is missing. `root`: the recipe's folder.
    """
    path = root / source.path
    if path.is_file():
        return [path]
    found = [file for file in path.rglob("*") if is_format(file.name, source.format) and file.is_file()]
    visible = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    return sorted(visible, key=lambda file: file.relative_to(path).as_posix())


def may_be_listed(root: Path, source: FileSource | FileVersion) -> bool:
    """Whether a check may look into a source: a stranger's recipe must not make it walk other people's folders."""
    return (root / source.path).resolve().is_relative_to(root.resolve())


def is_format(name: str, format_: str) -> bool:
    """Whether a file is of a format by its name, compressed or not."""
    return name.lower().endswith(tuple(f".{format_}{ending}" for ending in _COMPRESSION))
