"""Documents out of files: every row of every source is counted before the run and comes out of a reader exactly once.

datatrove's own readers log and skip broken lines and rows without text. These yield such rows too, with a verdict that
the first filter acts on.
"""

from __future__ import annotations

import csv
import io
import sys
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import islice
from types import ModuleType
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document, DocumentsPipeline
from datatrove.io import DataFolder
from datatrove.pipeline.readers.base import BaseReader
from fsspec.utils import infer_compression

from xirecipe.diagnostics import did_you_mean, user_error
from xirecipe.engines.explained import VERDICT, Verdict
from xirecipe.recipe.corpus import FileSource, HubSource

#: Rows of one datatrove task. Fixed, so that output does not hang on the number of workers; a task of this size takes
#: some seconds, its start some milliseconds.
TASK_ROWS = 5_000
#: How much of a line that is no JSON stays readable beside its reason, in characters.
_SHOWN_CHARS = 2_000
BROKEN_JSON = "read.broken_json"
NOT_UTF8 = "read.not_utf8"
NO_TEXT = "read.no_text"


@dataclass(frozen=True)
class Shard:
    """Consecutive rows of one file: what one datatrove task reads."""

    source: str
    file: str
    """Relative to the source's folder."""
    ordinal: int
    """The number of its first row in the whole corpus, from 0."""
    rows: int
    line: int = 1
    """The number of its first line (JSON Lines) or row (parquet, CSV) in the file, from 1."""
    offset: int = 0
    """Bytes before its first line. Only in JSON Lines that are not compressed."""
    row_groups: tuple[int, ...] = ()
    """Only in parquet."""


@dataclass(frozen=True)
class Piece:
    """A shard before its place in the corpus is known."""

    rows: int
    line: int = 1
    offset: int = 0
    row_groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class Unreadable:
    """A row that is no row: why, and what of it can be shown."""

    verdict: Verdict
    shown: str = ""


Row = dict[str, Any] | Unreadable


class Rows(BaseReader):
    """A source's reader. The task of rank n reads shard n if it is of this source, after what earlier readers yield.

    Documents carry `ordinal`, `source`, `url` in their metadata, and a Verdict where the row is no document.
    """

    def __init__(self, name: str, source: FileSource | HubSource, folder: DataFolder, files: tuple[str, ...]) -> None:
        super().__init__(text_key=source.text_column, id_key=source.id_column)
        self.data_folder = folder
        self.source_name = name
        self.url_key = source.url_column
        self.keys: tuple[str, ...] = tuple(dict.fromkeys((self.text_key, self.id_key, self.url_key)))
        """The columns that are read where a file names its columns."""
        self.files = files
        self.shards: tuple[Shard, ...] = ()

    @abstractmethod
    def pieces(self, file: str, at_most: int | None) -> Iterator[Piece]:
        """A file's rows, counted and cut; at least `at_most` rows where there are so many."""

    @abstractmethod
    def read_shard(self, shard: Shard) -> Iterator[tuple[int, Row]]:
        """Rows with their line numbers."""

    def opened(self, file: str) -> BinaryIO:
        """A file's bytes, decompressed as its name says. Raises UserError where the library for it is missing."""
        if infer_compression(file) == "zstd" and zstd_library() is None:
            raise user_error("missing-package", f"{file} is compressed with zstd", hint="pip install backports.zstd")
        stream: BinaryIO = self.data_folder.open(file, "rb", compression="infer")
        return stream

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        if data:
            yield from data
        shard = self.shards[rank]
        if shard.source != self.source_name:
            return
        for index, (line, row) in enumerate(islice(self.read_shard(shard), shard.rows)):
            yield self.document(shard, shard.ordinal + index, line, row)

    def document(self, shard: Shard, ordinal: int, line: int, row: Row) -> Document:
        place = f"{shard.source}:{line}" if len(self.files) == 1 else f"{shard.source}/{shard.file}:{line}"
        metadata: dict[str, Any] = {"ordinal": ordinal, "source": shard.source, "url": ""}
        if isinstance(row, Unreadable):
            return Document(row.shown, place, metadata=metadata | {VERDICT: row.verdict})
        text, url = row.get(self.text_key), row.get(self.url_key)
        metadata["url"] = url if isinstance(url, str) else ""
        if not isinstance(text, str):
            found = "no" if text is None else f"a {type(text).__name__} as"
            metadata[VERDICT] = Verdict(NO_TEXT, detail=f"{shard.file}:{line}: {found} `{self.text_key}`")
            text = ""
        return Document(text, _written_id(row.get(self.id_key)) or place, metadata=metadata)


class JsonlRows(Rows):
    """JSON Lines, plain or compressed as their names say. Blank lines are no rows."""

    name = "jsonl"

    def pieces(self, file: str, at_most: int | None) -> Iterator[Piece]:
        with self.opened(file) as stream:
            seekable = _is_plain(file)
            rows = total = offset = 0
            start = (1, 0)
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    if rows == TASK_ROWS and seekable:
                        yield Piece(rows, *start)
                        rows, start = 0, (number, offset)
                    rows += 1
                    total += 1
                    if total == at_most:
                        break
                offset += len(line)
            if rows:
                yield Piece(rows, *start)

    def read_shard(self, shard: Shard) -> Iterator[tuple[int, Row]]:
        with self.opened(shard.file) as stream:
            if shard.offset:
                stream.seek(shard.offset)
            for number, line in enumerate(stream, start=shard.line):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield number, _parsed(line, f"{shard.file}:{number}")


class CsvRows(Rows):
    """CSV with a header line. A quoted field may hold line ends, so a file is read in one task."""

    name = "csv"

    def pieces(self, file: str, at_most: int | None) -> Iterator[Piece]:
        with self.opened(file) as stream:
            rows = _csv(stream)
            check_columns(rows.fieldnames or (), self.text_key, file)
            count = sum(1 for _ in islice(rows, at_most))
        if count:
            yield Piece(count)

    def read_shard(self, shard: Shard) -> Iterator[tuple[int, Row]]:
        with self.opened(shard.file) as stream:
            for number, row in enumerate(_csv(stream), start=1):
                wanted = {key: row.get(key) for key in self.keys}
                joined = " ".join(value for value in wanted.values() if value)
                # Bytes that are no UTF-8 come out of the decoder as lone surrogates.
                if any("\udc80" <= char <= "\udcff" for char in joined):
                    detail = f"{shard.file}:{number}: not UTF-8"
                    yield number, _unreadable(NOT_UTF8, detail, joined.encode("utf-8", "surrogateescape"))
                else:
                    yield number, wanted


class ParquetRows(Rows):
    """Parquet, local or on the Hub; only the columns that are used are read."""

    name = "parquet"

    def pieces(self, file: str, at_most: int | None) -> Iterator[Piece]:
        with self.opened(file) as stream, pq.ParquetFile(stream) as parquet:
            check_columns(parquet.schema_arrow.names, self.text_key, file)
            sizes = [parquet.metadata.row_group(index).num_rows for index in range(parquet.num_row_groups)]
        groups: list[int] = []
        rows = before = 0
        for index, size in enumerate(sizes):
            groups.append(index)
            rows += size
            enough = at_most is not None and before + rows >= at_most
            if rows >= TASK_ROWS or enough or index == len(sizes) - 1:
                if rows:
                    yield Piece(rows, line=before + 1, row_groups=tuple(groups))
                if enough:
                    return
                before, rows, groups = before + rows, 0, []

    def read_shard(self, shard: Shard) -> Iterator[tuple[int, Row]]:
        number = shard.line
        # Fewer requests where each costs a way over the network; here it would hold all of a shard till its last row.
        ahead = not self.data_folder.is_local()
        with self.opened(shard.file) as stream, pq.ParquetFile(stream, pre_buffer=ahead) as parquet:
            there = set(parquet.schema_arrow.names)
            columns = [key for key in self.keys if key in there]
            for batch in parquet.iter_batches(batch_size=1_000, row_groups=list(shard.row_groups), columns=columns):
                for row in _rows(batch, shard.file, number):
                    yield number, row
                    number += 1


@cache
def zstd_library() -> ModuleType | None:
    """What fsspec prefers for .zst. Its second choice, zstandard, stops after the first frame without a word."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


def check_columns(names: Iterable[str], wanted: str, file: str) -> None:
    """Raises UserError when a file that names its columns has no text column."""
    known = list(names)
    if wanted not in known:
        hint = did_you_mean(wanted, known) or f"set `text_column`; columns: {', '.join(known[:12])}"
        raise user_error("missing-column", f"{file} has no column `{wanted}`", hint=hint)


def _parsed(line: bytes, place: str) -> Row:
    try:
        line.decode("utf-8")
        row = orjson.loads(line)
    except UnicodeDecodeError as error:
        return _unreadable(NOT_UTF8, f"{place}: byte {error.start + 1} is not UTF-8", line)
    except orjson.JSONDecodeError as error:
        return _unreadable(BROKEN_JSON, f"{place}: {error.msg}, at character {error.pos + 1}", line)
    if not isinstance(row, dict):
        return _unreadable(BROKEN_JSON, f"{place}: not an object but {type(row).__name__}", line)
    return row


def _unreadable(reason: str, detail: str, raw: bytes) -> Unreadable:
    return Unreadable(Verdict(reason, detail=detail), raw.decode("utf-8", "replace")[:_SHOWN_CHARS])


def _rows(batch: pa.RecordBatch, file: str, first: int) -> Iterator[Row]:
    """The rows of a batch; one by one where a string of the batch is not UTF-8, which parquet does not check."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist()[0]
            except UnicodeDecodeError as error:
                detail = f"{file}:{first + index}: byte {error.start + 1} is not UTF-8"
                yield Unreadable(Verdict(NOT_UTF8, detail=detail))


def _csv(stream: BinaryIO) -> csv.DictReader[str]:
    # The csv module refuses fields of more than 128 KiB unless told; documents are longer.
    csv.field_size_limit(sys.maxsize)
    return csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline=""))


def _is_plain(file: str) -> bool:
    """Whether a file is read as it lies, so that a task can start in its middle."""
    return infer_compression(file) is None


def _written_id(value: Any) -> str:
    """A row's own id as text; empty where it has none that can be written on one line."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
