"""The rows of a release: their columns, their parquet files, and the hash over them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xirecipe.columns import COLUMNS, StageKind
from xirecipe.fingerprint import canonical
from xirecipe.store import Artifact
from xirecipe.tables import Row, schema

SPLITS = ("train", "test")
#: Rows in one file: some hundred MB of text, the size the Hub's viewer and the clients are fast with.
SHARD_ROWS = 100_000

_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
_KNOWN = {column.name: column for column in COLUMNS}


@dataclass(frozen=True)
class ReleaseColumn:
    """A column as readers of the dataset see it. `source` is the column of the split stage it is copied from."""

    name: str
    source: str | None
    arrow: pa.DataType
    meaning: str
    stage: StageKind

    @property
    def shown_type(self) -> str:
        return "list of {role, content}" if self.source is None else str(self.arrow).replace("double", "float64")


def _copied(name: str, source: str | None = None, meaning: str | None = None) -> ReleaseColumn:
    column = _KNOWN[source or name]
    arrow = schema([column]).field(0).type
    return ReleaseColumn(name, column.name, arrow, meaning or column.meaning, column.stage)


RELEASE_COLUMNS: tuple[ReleaseColumn, ...] = (
    _copied("instruction"),
    _copied("response", "text", "The response: the document, cleaned and masked, in NFC; no model changed it"),
    ReleaseColumn(
        "messages", None, pa.list_(_MESSAGE),
        "The pair as a conversation: the user's turn is the instruction, and names the answer's language",
        "messages",
    ),
    _copied("document_id"), _copied("source"), _copied("url"), _copied("language"), _copied("language_score"),
    _copied("score"), _copied("rubric_score"), _copied("likelihood_gain"), _copied("similarity"), _copied("cluster"),
    _copied("round"), _copied("style"),
)  # fmt: skip

RELEASE_SCHEMA = pa.schema([(column.name, column.arrow) for column in RELEASE_COLUMNS])


@dataclass(frozen=True)
class DataFile:
    """One parquet file. `path` is relative to the release folder; `num_bytes` is uncompressed, `size` on disk."""

    split: str
    path: str
    num_rows: int
    num_bytes: int
    size: int


@dataclass(frozen=True)
class ReleaseData:
    """The data files of a release and the hash over their rows, which no change of the file format moves."""

    files: tuple[DataFile, ...]
    rows_sha256: str

    @property
    def splits(self) -> list[str]:
        return [split for split in SPLITS if any(file.split == split for file in self.files)]

    def rows(self, split: str | None = None) -> int:
        return sum(file.num_rows for file in self.files if split in (None, file.split))


def release_row(row: Row) -> Row:
    """A row of the split stage in the columns of a release."""
    released = {column.name: row[column.source] for column in RELEASE_COLUMNS if column.source is not None}
    released["messages"] = [
        {"role": "user", "content": row["prompt"]},
        {"role": "assistant", "content": row["text"]},
    ]
    return {column.name: released[column.name] for column in RELEASE_COLUMNS}


def row_digest(split: str, row: Row) -> str:
    """sha256 (hexadecimal) of a row's canonical JSON together with its split. A NaN counts as no value."""
    return hashlib.sha256(canonical({"split": split} | {k: _finite(v) for k, v in row.items()}).encode()).hexdigest()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def split_table(artifact: Artifact) -> pa.Table:
    """Rows of the split stage without embeddings, ordered by document id: the same order for the same rows, always."""
    wanted = [column.source for column in RELEASE_COLUMNS if column.source] + ["split", "masked", "prompt"]
    tables = [pq.read_table(path, columns=wanted) for path in sorted(artifact.data.glob("*.parquet"))]
    if not tables:
        return schema([_KNOWN[name] for name in wanted]).empty_table()
    return pa.concat_tables(tables).sort_by([("document_id", "ascending"), ("instruction", "ascending")])


def write_data(table: pa.Table, folder: Path) -> ReleaseData:
    """Write `data/<split>-<i>-of-<n>.parquet` below `folder`, only for splits that have rows.

    `table` is `split_table`'s. The same rows give the same bytes under the same pyarrow.
    """
    files: list[DataFile] = []
    digests: list[str] = []
    for split in SPLITS:
        rows = table.filter(pc.equal(table["split"], split))
        shards = math.ceil(rows.num_rows / SHARD_ROWS)
        for index in range(shards):
            part = rows.slice(index * SHARD_ROWS, SHARD_ROWS)
            released = [release_row(row) for row in _python_rows(part)]
            digests += [row_digest(split, row) for row in released]
            path = Path("data") / f"{split}-{index:05d}-of-{shards:05d}.parquet"
            (folder / path.parent).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(released, schema=RELEASE_SCHEMA), folder / path)
            files.append(_measured(split, path, folder))
    # Sorted, so that the hash says which rows there are and not in which order or file they stand.
    return ReleaseData(tuple(files), hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest())


def _python_rows(table: pa.Table) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=1_000):
        yield from batch.to_pylist()


def _measured(split: str, path: Path, folder: Path) -> DataFile:
    footer = pq.read_metadata(folder / path)
    num_bytes = sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
    return DataFile(split, path.as_posix(), footer.num_rows, num_bytes, (folder / path).stat().st_size)
