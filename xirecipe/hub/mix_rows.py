"""The rows of a mixing recipe's release: one config with every row and where it comes from, and one for each use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xirecipe.artifact import Artifact
from xirecipe.columns import MIX_COLUMNS, StageKind
from xirecipe.hub.rows import ALPACA, CONFIG, MESSAGE, Config, ReleaseColumn, ReleaseData, write_configs
from xirecipe.tables import Row, schema

_KNOWN = {column.name: column for column in MIX_COLUMNS}


def _copied(name: str, source: str | None = None, meaning: str | None = None) -> ReleaseColumn:
    column = _KNOWN[source or name]
    return ReleaseColumn(name, column.name, schema([column]).field(0).type, meaning or column.meaning, column.stage)


def _made(name: str, arrow: pa.DataType, meaning: str, stage: StageKind = "mix") -> ReleaseColumn:
    return ReleaseColumn(name, None, arrow, meaning, stage)


#: Of the config `default`, in which every row names its origin.
MIX_RELEASE_COLUMNS: tuple[ReleaseColumn, ...] = (
    _copied("instruction", "turn", "The instruction, with what names the answer's language; of a pair, its first text"),
    _copied("input"),
    _copied("output", "response", "The response; of a pair, its second text"),
    _made(
        "messages", pa.list_(MESSAGE),
        "The same as a conversation; the user's turn is instruction and input; null in pairs",
    ),
    _copied("document_id"), _copied("dataset"), _copied("part"), _copied("config"), _copied("shape"),
    _copied("direction"), _copied("instruction_language"), _copied("response_language"), _copied("draw"),
    _copied("made"), _copied("license"),
)  # fmt: skip
MIX_SCHEMA = pa.schema([(column.name, column.arrow) for column in MIX_RELEASE_COLUMNS])

_INSTRUCT = pa.schema([MIX_SCHEMA.field("messages"), *ALPACA])
_PAIRS = pa.schema([("anchor", pa.string()), ("positive", pa.string())])


def configs_of(kinds: Mapping[str, bool]) -> tuple[Config, ...]:
    """`default`, then those that the parts name, as their trainers read them. `kinds`: whether a config is of pairs.

    sentence-transformers takes every column of a pair for a text, so a contrastive config has its two texts and nothing
    else.
    """
    meaning = "every row and column, for choosing and for finding a row's origin"
    found = [Config(CONFIG, "data", MIX_SCHEMA, meaning, lambda rows: rows)]
    for name in sorted(kinds):
        if kinds[name]:
            found.append(
                Config(
                    name,
                    name,
                    _PAIRS,
                    "pairs of texts that mean the same (sentence-transformers)",
                    partial(_pairs, name),
                )
            )
        else:
            meaning = "as trainers read them: `messages` (TRL), or instruction, input and output (Alpaca)"
            found.append(Config(name, name, _INSTRUCT, meaning, partial(_instruct, name)))
    return tuple(found)


def _instruct(config: str, rows: pa.Table) -> pa.Table:
    return _of(rows, config).select(_INSTRUCT.names)


def _pairs(config: str, rows: pa.Table) -> pa.Table:
    own = _of(rows, config)
    return pa.table([own["instruction"], own["output"]], schema=_PAIRS)


def _of(rows: pa.Table, config: str) -> pa.Table:
    return rows.filter(pc.equal(rows["config"], config))


def release_row(row: Row) -> Row:
    """A row of the split stage in the columns of a release."""
    released = {column.name: row[column.source] for column in MIX_RELEASE_COLUMNS if column.source is not None}
    released["messages"] = (
        None
        if row["shape"] == "contrastive"
        else [
            {"role": "user", "content": row["content"]},
            {"role": "assistant", "content": row["response"]},
        ]
    )
    return {column.name: released[column.name] for column in MIX_RELEASE_COLUMNS}


def split_table(artifact: Artifact) -> pa.Table:
    """Rows of the split stage in the order of origin row, part and draw: the same for the same rows, always."""
    wanted = dict.fromkeys([c.source for c in MIX_RELEASE_COLUMNS if c.source] + ["split", "content", "instruction"])
    tables = [pq.read_table(path, columns=list(wanted)) for path in sorted(artifact.data.glob("*.parquet"))]
    if not tables:
        return schema([_KNOWN[name] for name in wanted]).empty_table()
    order = ("document_id", "part", "draw", "instruction_language", "response_language", "turn")
    return pa.concat_tables(tables).sort_by([(name, "ascending") for name in order])


def write_data(table: pa.Table, folder: Path) -> ReleaseData:
    """Write the rows of `split_table` below `folder` in every config."""
    rows = table.select(["config", "shape"]).to_pylist()
    kinds = {row["config"]: row["shape"] == "contrastive" for row in rows}
    return write_configs(table, folder, configs_of(kinds), release_row)
