"""The rows of a release: their columns, the configs they are written in, their parquet files, and the hash over them.

A config is one shape of the same rows: every config has the same splits with the same rows in the same order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xirecipe.artifact import Artifact
from xirecipe.columns import COLUMNS, StageKind
from xirecipe.fingerprint import canonical
from xirecipe.tables import Row, schema

SPLITS = ("train", "test")
#: Rows in one file: some hundred MB of text, the size the Hub's viewer and the clients are fast with.
SHARD_ROWS = 100_000
#: The config with every column; what is said of "the rows" of a release is said of its rows.
CONFIG = "default"

#: Columns that say where a row stands among the others, and nothing of the row itself.
RENUMBERED = frozenset({"cluster"})

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
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
        "messages", None, pa.list_(MESSAGE),
        "The pair as a conversation: the user's turn is the instruction, and names the answer's language",
        "messages",
    ),
    _copied("document_id"), _copied("source"), _copied("url"), _copied("language"), _copied("language_score"),
    _copied("score"), _copied("rubric_score"), _copied("likelihood_gain"), _copied("similarity"), _copied("cluster"),
    _copied("round"), _copied("style"),
)  # fmt: skip

RELEASE_SCHEMA = pa.schema([(column.name, column.arrow) for column in RELEASE_COLUMNS])


@dataclass(frozen=True)
class Config:
    """One shape of the rows, by the name under which `datasets` loads it; its files lie in `folder`.

    `shape` makes its table, of schema `arrow`, out of the default config's: no config knows what that one does not.
    """

    name: str
    folder: str
    arrow: pa.Schema
    meaning: str
    shape: Callable[[pa.Table], pa.Table]

    @property
    def columns(self) -> list[str]:
        return list(self.arrow.names)

    def pattern(self, split: str) -> str:
        """The glob that finds a split's files."""
        return f"{self.folder}/{split}-*.parquet"


def _messages(rows: pa.Table) -> pa.Table:
    return rows.select(["messages"])


def _alpaca(rows: pa.Table) -> pa.Table:
    # The whole user's turn and not the column `instruction`: an Alpaca prompt has no other place for the answer's
    # language, and `input` is for a text that the instruction is about, which no row has.
    user = pc.struct_field(pc.list_element(rows["messages"], 0), "content")
    return pa.table([user, pa.repeat("", rows.num_rows), rows["response"]], schema=ALPACA)


ALPACA = pa.schema([("instruction", pa.string()), ("input", pa.string()), ("output", pa.string())])

CONFIGS: tuple[Config, ...] = (
    Config(CONFIG, "data", RELEASE_SCHEMA, "every column, for choosing and looking up rows", lambda rows: rows),
    Config("messages", "messages", pa.schema([RELEASE_SCHEMA.field("messages")]),
           "the pair as a conversation, as trainers with a chat template read it (TRL)", _messages),
    Config("alpaca", "alpaca", ALPACA,
           "the user's turn, an empty input and the response, as Alpaca-style trainers read them", _alpaca),
)  # fmt: skip


@dataclass(frozen=True)
class DataFile:
    """One parquet file. `path` is relative to the release folder; `num_bytes` is uncompressed, `size` on disk."""

    config: str
    split: str
    path: str
    num_rows: int
    num_bytes: int
    size: int


@dataclass(frozen=True)
class ReleaseData:
    """The data files of a release, and the hash over the default config's rows, which no change of format moves."""

    files: tuple[DataFile, ...]
    rows_sha256: str

    @property
    def splits(self) -> list[str]:
        return self.splits_of(CONFIG)

    def splits_of(self, config: str) -> list[str]:
        """The splits in which a config has rows."""
        return [split for split in SPLITS if self.of(config, split)]

    def of(self, config: str, split: str | None = None) -> list[DataFile]:
        """The files of a config, or of one of its splits."""
        return [file for file in self.files if file.config == config and split in (None, file.split)]

    def rows(self, split: str | None = None, config: str = CONFIG) -> int:
        return sum(file.num_rows for file in self.of(config, split))


def release_row(row: Row) -> Row:
    """A row of the split stage in the columns of a release."""
    released = {column.name: row[column.source] for column in RELEASE_COLUMNS if column.source is not None}
    released["messages"] = [
        {"role": "user", "content": row["prompt"]},
        {"role": "assistant", "content": row["text"]},
    ]
    return {column.name: released[column.name] for column in RELEASE_COLUMNS}


def row_digest(split: str, row: Row) -> str:
    """sha256 (hexadecimal) of a row's canonical JSON together with its split. A NaN counts as no value.

    Without RENUMBERED: more texts give every cluster another number, and no row another content.
    """
    content = {name: _finite(value) for name, value in row.items() if name not in RENUMBERED}
    return hashlib.sha256(canonical({"split": split} | content).encode()).hexdigest()


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
    """Write the rows of `split_table` below `folder` in every config."""
    return write_configs(table, folder, CONFIGS, release_row)


def write_configs(
    table: pa.Table, folder: Path, configs: Sequence[Config], released_row: Callable[[Row], Row]
) -> ReleaseData:
    """Write `<config's folder>/<split>-<i>-of-<n>.parquet` below `folder`, only for splits that have rows.

    The first config is the one with every row and column; `released_row` makes its rows out of those of `table`, which
    have a `split`. The same rows give the same bytes under the same pyarrow.
    """
    files: list[DataFile] = []
    digests: list[str] = []
    for split in SPLITS:
        rows = table.filter(pc.equal(table["split"], split))
        shards = math.ceil(rows.num_rows / SHARD_ROWS)
        for index in range(shards):
            part = rows.slice(index * SHARD_ROWS, SHARD_ROWS)
            released = [released_row(row) for row in _python_rows(part)]
            digests += [row_digest(split, row) for row in released]
            whole = pa.Table.from_pylist(released, schema=configs[0].arrow)
            for config in configs:
                path = Path(config.folder) / f"{split}-{index:05d}-of-{shards:05d}.parquet"
                shaped = config.shape(whole)
                if not shaped.num_rows:
                    continue
                (folder / path.parent).mkdir(parents=True, exist_ok=True)
                pq.write_table(shaped, folder / path)
                files.append(_measured(config.name, split, path, folder))
    # Sorted, so that the hash says which rows there are and not in which order or file they stand.
    return ReleaseData(tuple(files), hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest())


def _python_rows(table: pa.Table) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=1_000):
        yield from batch.to_pylist()


def _measured(config: str, split: str, path: Path, folder: Path) -> DataFile:
    footer = pq.read_metadata(folder / path)
    num_bytes = sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
    return DataFile(config, split, path.as_posix(), footer.num_rows, num_bytes, (folder / path).stat().st_size)
