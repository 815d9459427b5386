"""Rows on disk: parquet files in the columns of a stage, and the same with the outcome of rows that did not stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

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


def write(folder: Path, rows: Iterable[Row], columns: Sequence[Column], *, outcome: bool = False) -> int:
    """Write rows to `folder/part-00000.parquet`; absent columns are null. Returns how many. No file for no rows."""
    wanted = schema(columns, outcome=outcome)
    writer: pq.ParquetWriter | None = None
    count = 0
    batch: list[Row] = []

    def flush() -> None:
        nonlocal writer
        if batch:
            folder.mkdir(parents=True, exist_ok=True)
            writer = writer or pq.ParquetWriter(folder / "part-00000.parquet", wanted)
            writer.write_table(pa.Table.from_pylist(batch, schema=wanted))
            batch.clear()

    try:
        for row in rows:
            batch.append(row)
            count += 1
            if len(batch) >= BATCH_ROWS:
                flush()
        flush()
    finally:
        if writer is not None:
            writer.close()
    return count


def read(folder: Path, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Rows of all parquet files of a folder, in the order of the file names. None where the folder is empty."""
    for path in sorted(folder.glob("*.parquet")):
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns) if columns else None):
            yield from batch.to_pylist()


def batches(folder: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The same rows as Arrow batches: for columns that are too wide to become Python objects."""
    for path in sorted(folder.glob("*.parquet")):
        yield from pq.ParquetFile(path).iter_batches(batch_size=BATCH_ROWS, columns=list(columns) if columns else None)


def write_batches(folder: Path, found: Iterable[pa.RecordBatch], columns: Sequence[Column]) -> int:
    """Write batches in the columns of a stage, as `write` does. Returns how many rows. No file for no rows."""
    wanted = schema(columns)
    rows = 0
    writer: pq.ParquetWriter | None = None
    try:
        for batch in found:
            folder.mkdir(parents=True, exist_ok=True)
            writer = writer or pq.ParquetWriter(folder / "part-00000.parquet", wanted)
            writer.write_batch(batch.select(wanted.names).cast(wanted))
            rows += batch.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def count(folder: Path) -> int:
    """Rows in a folder, from the footers alone."""
    return sum(pq.ParquetFile(path).metadata.num_rows for path in sorted(folder.glob("*.parquet")))
