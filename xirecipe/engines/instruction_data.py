"""read: one dataset's language versions, row for row, and which of them are versions of the same row."""

from __future__ import annotations

import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from xirecipe.column_path import ColumnPath, Field, WrongShape, column_path, is_same
from xirecipe.diagnostics import UserError, user_error
from xirecipe.engines.readers import ParquetRows, Rows, Shard, Unreadable, check_columns
from xirecipe.engines.sources import reader, user_errors
from xirecipe.recipe.corpus import FileSource, HubSource
from xirecipe.recipe.mixing import ROW_NUMBER, Columns, Dataset, FileVersion, Version
from xirecipe.tables import Row, read, write
from xirecipe.work import Outcome, Progress, Work

NO_ID, REPEATED_ID = "read.no_id", "read.repeated_id"
#: A row that is not there in every language.
MISSING = "align_on.missing"
#: Ids named of rows that are missing on one side, for the manifest and the card.
NAMED = 20


def run_read(work: Work) -> Outcome:
    """Rows of every language version in; kept are those that stand in all of them, where the dataset is aligned.

    Rows are counted and dropped one by one: a row that lacks its Finnish version costs its English row, and each is
    written down with the languages that it is missing in. A line that cannot be read fails.
    """
    stage, dataset = work.stage, work.stage.config
    assert isinstance(dataset, Dataset)
    reading = work.output.folder / "reading"
    ids: dict[str, list[str]] = {}
    lost: list[Row] = []
    failed: list[Row] = []
    total = 0
    for code, version in dataset.versions.items():
        seen: dict[str, None] = {}
        name = f"{stage.dataset}/{code}"

        def rows(
            version: Version = version, code: str = code, name: str = name, seen: dict[str, None] = seen
        ) -> Iterator[Row]:
            nonlocal total
            for row in _rows(stage.dataset, dataset, code, version, name, stage.root):
                total += 1
                if total % 1_000 == 0:
                    work.report(Progress(total, None, "rows"))
                if row["reason"] is None and row["document_id"] in seen:
                    row["reason"], row["detail"] = REPEATED_ID, f"an earlier row of {code} has this id"
                if row["reason"] is None:
                    seen[row["document_id"]] = None
                    yield row
                else:
                    (failed if row.pop("failed") else lost).append(row)
                if dataset.align_on is None and len(seen) == stage.limit:
                    return

        if not write(reading / code, rows(), stage.columns):
            raise user_error("empty-dataset", f"dataset `{name}` has no row to read", hint="see its file and `where`")
        ids[code] = list(seen)
    return _aligned(work, dataset, reading, ids, lost, failed)


def _aligned(
    work: Work, dataset: Dataset, reading: Path, ids: dict[str, list[str]], lost: list[Row], failed: list[Row]
) -> Outcome:
    stage = work.stage
    among: set[str] | None = None
    if dataset.align_on is not None and stage.limit is not None:
        # A trial takes the first rows of the first language, and whatever the others have of them.
        among = set(next(iter(ids.values()))[: stage.limit])
        lost = [row for row in lost if row["document_id"] in among]
    missing = {} if dataset.align_on is None else _missing(ids, among)

    def kept() -> Iterator[Row]:
        for code in ids:
            for row in read(reading / code):
                if among is not None and row["document_id"] not in among:
                    continue
                if (without := missing.get(row["document_id"])) is None:
                    yield row
                else:
                    detail = f"not in {', '.join(without)}"
                    lost.append(
                        {**row, "reason": MISSING, "value": float(len(without)), "threshold": 0.0, "detail": detail}
                    )

    count = write(work.output.data, kept(), stage.columns)
    write(work.output.dropped, lost, stage.columns, outcome=True)
    write(work.output.failed, failed, stage.columns, outcome=True)
    shutil.rmtree(reading)
    rows_in = count + len(lost) + len(failed)
    facts = {
        "rows": {code: sum(among is None or name in among for name in names) for code, names in ids.items()},
        "misaligned": {
            code: {"count": len(absent), "ids": absent[:NAMED]}
            for code in ids
            if (absent := [name for name, without in missing.items() if code in without])
        },
    }
    dropped = dict(Counter(row["reason"] for row in lost))
    return Outcome(rows_in, rows_in, count, dropped, dict(Counter(row["reason"] for row in failed)), facts=facts)


def _missing(ids: dict[str, list[str]], among: set[str] | None) -> dict[str, list[str]]:
    """Id -> the languages that do not have it, for ids that some language lacks."""
    sets = {code: set(names) for code, names in ids.items()}
    every = dict.fromkeys(name for names in ids.values() for name in names if among is None or name in among)
    shared = set.intersection(*sets.values())
    return {name: [code for code in sets if name not in sets[code]] for name in every if name not in shared}


def _rows(dataset: str, config: Dataset, code: str, version: Version, name: str, root: Path) -> Iterator[Row]:
    """The rows of one version, each with the `reason` for which it cannot stay, or None, and whether it `failed`."""
    columns = version.columns or config.columns
    license_ = version.license or config.license
    number = 0
    for shard_row in _lines(name, config, columns, version, license_, root):
        if not isinstance(shard_row, Unreadable) and not _wanted(version, shard_row):
            continue
        number += 1
        place = f"{code}:{number}"
        row: Row = {
            "dataset": dataset, "language": code, "instruction": "", "input": "", "response": "", "license": license_,
            "made": "written", "reason": None, "value": None, "threshold": None, "detail": None, "failed": False,
        }  # fmt: skip
        if isinstance(shard_row, Unreadable):
            verdict = shard_row.verdict
            yield {
                **row, "document_id": f"{dataset}/{place}", "instruction": shard_row.shown, "reason": verdict.reason,
                "detail": verdict.detail, "failed": True,
            }  # fmt: skip
            continue
        found = _id(config, columns, shard_row, number)
        if config.align_on is None:
            row["document_id"] = f"{dataset}/{code}/{found or number}"
        else:
            row["document_id"] = f"{dataset}/{found or place}"
            if found is None:
                row["reason"], row["detail"] = NO_ID, f"row {number} of {code} has no `{config.align_on}`"
        for field in ("instruction", "input", "response"):
            column = getattr(columns, field)
            text, problem = ("", None) if column is None else _text(column_path(column), shard_row)
            row[field] = text
            if problem is not None and row["reason"] is None:
                row["reason"], row["detail"] = f"read.no_{field}", f"row {number}: {problem}"
        yield row


def _wanted(version: Version, row: Row) -> bool:
    """Whether a row has all that `where` asks for."""
    try:
        return all(is_same(column_path(path).value_in(row), value) for path, value in version.where.items())
    except WrongShape:
        return False


def _text(path: ColumnPath, row: Row) -> tuple[str, str | None]:
    """The text that a path leads to, empty where there is none, and what keeps it from being text."""
    try:
        value = path.value_in(row)
    except WrongShape as error:
        return "", str(error)
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value).strip(), None
    return "", None if value is None else f"`{path.text}` is a {type(value).__name__}, not text"


def _id(config: Dataset, columns: Columns, row: Row, number: int) -> str | None:
    if config.align_on == ROW_NUMBER:
        return str(number)
    try:
        value = column_path(config.align_on or columns.id).value_in(row)
    except WrongShape:
        return None
    written = isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip()
    return str(value).strip() if written else None


def _lines(
    name: str, config: Dataset, columns: Columns, version: Version, license_: str, root: Path
) -> Iterator[Row | Unreadable]:
    """Rows of a version's files in order. Raises UserError for a file that is missing, broken, or lacks a column."""
    aligned = None if config.align_on == ROW_NUMBER else config.align_on
    written = [columns.instruction, columns.input, columns.response, aligned, *version.where]
    needed = [column_path(path) for path in written if path is not None]
    text_column, id_column = needed[0].column, column_path(aligned or columns.id).column
    source: FileSource | HubSource
    if isinstance(version, FileVersion):
        source = FileSource(
            format=version.format, path=version.path, license=license_, text_column=text_column, id_column=id_column
        )  # fmt: skip
    else:
        source = HubSource(
            format="hub", repository=version.repository, revision=version.revision, files=version.files,
            license=license_, text_column=text_column, id_column=id_column,
        )  # fmt: skip
    with user_errors(name, source):
        found = reader(name, source, root)
        if not found.files:
            raise FileNotFoundError(name)
        found.keys = tuple(dict.fromkeys([*(path.column for path in needed), id_column]))
        for file in found.files:
            if isinstance(found, ParquetRows):
                _require(found, file, needed)
            for piece in found.pieces(file, None):
                shard = Shard(name, file, 0, piece.rows, piece.line, piece.offset, piece.row_groups)
                for _, row in islice(found.read_shard(shard), piece.rows):
                    yield row


def _require(found: Rows, file: str, needed: list[ColumnPath]) -> None:
    """Raises UserError where a parquet file's own schema has no such column, or nothing behind it to step into."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with found.opened(file) as stream, pq.ParquetFile(stream) as parquet:
        schema = parquet.schema_arrow
    for path in needed:
        check_columns(schema.names, path.column, file)
        kind, way = schema.field(path.column).type, path.column
        for step in path.steps:
            in_list = not isinstance(step, Field)
            if in_list and not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
                raise _no_way(file, path, f"`{way}` is no list but {kind}")
            if in_list:
                kind, way = kind.value_type, f"{way}[]"
            name = getattr(step, "name", getattr(step, "key", None))
            if name is None:
                continue
            if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
                raise _no_way(file, path, f"`{way}` has no `{name}`: it is {kind}")
            if not in_list:
                kind, way = kind.field(name).type, f"{way}.{name}"


def _no_way(file: str, path: ColumnPath, message: str) -> UserError:
    return user_error("missing-column", f"{file} has nothing at `{path.text}`", hint=message)
