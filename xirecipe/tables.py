"""Rows on disk: parquet files in the columns of a stage, and the same with the outcome of rows that did not stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from xirecipe.columns import OUTCOME_COLUMNS, Column, ColumnType

Row = dict[str, Any]

_TYPES: dict[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "list<float32>": pa.list_(pa.float32()),
    "list<string>": pa.list_(pa.string()),
}
#: Rows written at a time: bounds memory, large enough for good compression.
BATCH_ROWS = 5_000


def schema(columns: Sequence[Column], *, outcome: bool = False) -> pa.Schema:
    fields = [(column.name, _TYPES[column.type]) for column in columns]
    fields += [(name, _TYPES[kind]) for name, kind in OUTCOME_COLUMNS] if outcome else []
    return pa.schema(fields)


class Writer:
    """Rows as they come, into `folder/part-00000.parquet`; absent columns are null. No file for no rows."""

    def __init__(self, folder: Path, columns: Sequence[Column], *, outcome: bool = False) -> None:
        self._folder, self._schema = folder, schema(columns, outcome=outcome)
        self._file: pq.ParquetWriter | None = None
        self._batch: list[Row] = []
        self.rows = 0

    def add(self, row: Row) -> None:
        self._batch.append(row)
        self.rows += 1
        if len(self._batch) >= BATCH_ROWS:
            self._flush()

    def add_table(self, table: pa.Table) -> None:
        """Rows that are in columns already; columns of other names are left out."""
        self._flush()
        there = set(table.column_names)
        columns = [
            table[field.name].cast(field.type) if field.name in there else pa.nulls(len(table), field.type)
            for field in self._schema
        ]
        if len(table):
            self._write(pa.table(columns, schema=self._schema))
            self.rows += len(table)

    def close(self) -> None:
        try:
            self._flush()
        finally:
            if self._file is not None:
                self._file.close()
            # What Arrow keeps for later rows would count again in every process that is forked after this.
            pa.default_memory_pool().release_unused()

    def _flush(self) -> None:
        if self._batch:
            self._write(pa.Table.from_pylist(self._batch, schema=self._schema))
            self._batch.clear()

    def _write(self, table: pa.Table) -> None:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Dictionaries and compression find nothing in vectors, and looking takes three times as long as writing.
            vectors = [field.name for field in self._schema if field.type == _TYPES["list<float32>"]]
            others = [name for name in self._schema.names if name not in vectors]
            codecs = dict.fromkeys(others, "snappy") | {f"{name}.list.element": "none" for name in vectors}
            path = self._folder / "part-00000.parquet"
            self._file = pq.ParquetWriter(path, self._schema, use_dictionary=others, compression=codecs)
        self._file.write_table(table, row_group_size=BATCH_ROWS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def write(folder: Path, rows: Iterable[Row], columns: Sequence[Column], *, outcome: bool = False) -> int:
    """Write all rows of a folder. Returns how many. See `Writer`."""
    with Writer(folder, columns, outcome=outcome) as writer:
        for row in rows:
            writer.add(row)
    return writer.rows


def read(folder: Path, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Rows of all parquet files of a folder, in the order of the file names. None where the folder is empty."""
    return read_files(sorted(folder.glob("*.parquet")), columns)


def read_files(files: Iterable[Path], columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Rows of parquet files, one file after the other."""
    for batch in _batches(files, columns):
        yield from batch.to_pylist()


def batches(folder: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of `read` as Arrow batches: for columns that are too wide to become Python objects."""
    return _batches(sorted(folder.glob("*.parquet")), columns)


def _batches(files: Iterable[Path], columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    for path in files:
        # A buffer made beforehand would hold the whole file until its last row is read.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns) if columns else None)


def write_batches(folder: Path, found: Iterable[pa.RecordBatch], columns: Sequence[Column]) -> int:
    """Write Arrow batches in the columns of a stage, as `write` does. Returns how many rows."""
    with Writer(folder, columns) as writer:
        for batch in found:
            writer.add_table(pa.Table.from_batches([batch]))
    return writer.rows


def count(folder: Path) -> int:
    """Rows in a folder, from the footers alone."""
    return sum(pq.ParquetFile(path).metadata.num_rows for path in sorted(folder.glob("*.parquet")))
