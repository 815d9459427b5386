"""A corpus before it is read: files found, rows counted, work cut into tasks, all in the order of the recipe."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
from datatrove.io import get_datafolder

from xirecipe.diagnostics import UserError, user_error
from xirecipe.engines.readers import CsvRows, JsonlRows, ParquetRows, Piece, Row, Rows, Shard, zstd_library
from xirecipe.recipe.corpus import FileSource, HubSource
from xirecipe.source_files import is_format, source_files

HUB_HINT = "check `repository`, `revision` and `files`, the network, and HF_TOKEN where the dataset is gated"


class HubUnreachable(Exception):
    """A dataset repository could not be read. One string, so that it travels between processes."""


class HubRows(Rows):
    """Files of a dataset repository. Whatever fails in between is the network's or the address's: HubUnreachable."""

    def pieces(self, file: str, at_most: int | None) -> Iterator[Piece]:
        with _hub():
            yield from super().pieces(file, at_most)  # type: ignore[safe-super]  # the other base's

    def read_shard(self, shard: Shard) -> Iterator[tuple[int, Row]]:
        with _hub():
            yield from super().read_shard(shard)  # type: ignore[safe-super]  # the other base's


class HubParquetRows(HubRows, ParquetRows):
    """Parquet of a dataset repository."""

    name = "hub"


class HubJsonlRows(HubRows, JsonlRows):
    """JSON Lines of a dataset repository, plain or compressed as their names say."""

    name = "hub"


@contextmanager
def _hub() -> Iterator[None]:
    try:
        yield
    except (UserError, HubUnreachable):
        raise
    except Exception as error:  # fsspec, huggingface_hub and httpx have no common ancestor but this
        raise HubUnreachable(f"{type(error).__name__}: {error}") from None


def opened(sources: dict[str, FileSource | HubSource], root: Path, limit: int | None) -> tuple[list[Rows], list[Shard]]:
    """A reader for each source, and the tasks: its first `documents`, and of all together the first `limit`, in order.

    Raises UserError for a source that is missing, empty, cannot be read, or names its columns and not the text's.
    """
    readers: list[Rows] = []
    shards: list[Shard] = []
    for name, source in sources.items():
        with user_errors(name, source):
            if isinstance(source, FileSource) and not (root / source.path).exists():
                raise FileNotFoundError(root / source.path)
            done = sum(shard.rows for shard in shards)
            left = None if limit is None else limit - done
            if left == 0:
                continue
            if source.documents is not None:
                left = source.documents if left is None else min(left, source.documents)
            found = reader(name, source, root)
            if not found.files:
                raise FileNotFoundError("there is no file in it")
            cut = list(_cut(found, done, left))
            if not cut:
                raise user_error("empty-corpus", f"{_shown(source)} has no rows", hint="remove it, or fill it")
            readers.append(found)
            shards += cut
    for found in readers:
        found.shards = tuple(shards)
    return readers, shards


def _cut(found: Rows, ordinal: int, left: int | None) -> Iterator[Shard]:
    for file in found.files:
        if left == 0:
            return
        for piece in found.pieces(file, left):
            rows = piece.rows if left is None else min(piece.rows, left)
            yield Shard(found.source_name, file, ordinal, rows, piece.line, piece.offset, piece.row_groups)
            ordinal += rows
            left = None if left is None else left - rows


@contextmanager
def user_errors(name: str, source: FileSource | HubSource) -> Iterator[None]:
    """Whatever keeps a source from being read, as the user's to mend."""
    where = f"source `{name}` ({_shown(source)})"
    try:
        yield
    except UserError as error:
        raise UserError(replace(d, message=f"source `{name}`: {d.message}") for d in error.diagnostics) from None
    except HubUnreachable as error:
        raise user_error("hub-unreachable", f"{where} cannot be read: {error}", hint=HUB_HINT) from None
    except FileNotFoundError:
        hint = HUB_HINT if isinstance(source, HubSource) else "a path is relative to the recipe folder"
        raise user_error(
            "missing-corpus", f"{where}: there is no such file, or no file in that folder", hint=hint
        ) from None
    except PermissionError:
        raise user_error(
            "unreadable-corpus", f"{where} may not be read", hint="give yourself the right to read it"
        ) from None
    except _unreadable() as error:
        hint = f"is it {source.format}, and whole?"
        raise user_error("broken-file", f"{where} cannot be read: {error}", hint=hint) from None


def _unreadable() -> tuple[type[Exception], ...]:
    """What decompressors and parquet raise for a file that is broken, or something else than its name says."""
    library = zstd_library()
    return (OSError, EOFError, zlib.error, pa.ArrowException, *([library.ZstdError] if library else []))


def _shown(source: FileSource | HubSource) -> str:
    return source.path if isinstance(source, FileSource) else f"{source.repository}@{source.revision}/{source.files}"


def reader(name: str, source: FileSource | HubSource, root: Path) -> Rows:
    """The reader of a source, its files listed. Raises HubUnreachable, or the file system's errors."""
    match source:
        case HubSource():
            with _hub():
                folder = get_datafolder(hub_folder(source))
                glob = source.files
                files = tuple(folder.list_files(glob_pattern=glob)) if _has_magic(glob) else (glob,)
            return _hub_kind(source, files)(name, source, folder, files)
        case FileSource():
            path = root / source.path
            base = path if path.is_dir() else path.parent
            folder = get_datafolder(str(base))
            files = tuple(file.relative_to(base).as_posix() for file in source_files(root, source))
            kinds: dict[str, Callable[..., Rows]] = {"jsonl": JsonlRows, "parquet": ParquetRows, "csv": CsvRows}
            return kinds[source.format](name, source, folder, files)


def _hub_kind(source: HubSource, files: tuple[str, ...]) -> Callable[..., Rows]:
    """Who reads these files, by their names. Raises UserError where nobody does, or they are of two kinds."""
    if all(is_format(file, "parquet") for file in files):
        return HubParquetRows
    if all(is_format(file, "jsonl") for file in files):
        return HubJsonlRows
    strange = next((file for file in files if not is_format(file, "parquet")), files[0])
    hint = "`files` must match parquet, or JSON Lines (.jsonl, .jsonl.gz, .jsonl.zst), and not both"
    raise user_error("unknown-format", f"{_shown(source)}: {strange} is not read from the Hub", hint=hint)


def hub_folder(source: HubSource) -> str:
    """The fsspec address of a dataset repository at its pinned commit."""
    return f"hf://datasets/{source.repository}@{quote(source.revision, safe='')}/"


def _has_magic(pattern: str) -> bool:
    return any(char in pattern for char in "*?[")
