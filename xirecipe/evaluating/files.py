"""Rows out of the files a person evaluates: JSON Lines, parquet, CSV, release folders of parquet files, or several."""

from __future__ import annotations

import csv
import glob
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xirecipe.diagnostics import Diagnostic, Span, UserError, did_you_mean, user_error
from xirecipe.fingerprint import digest, file_digest
from xirecipe.loaded import shown_name
from xirecipe.tables import Row

ENDINGS = (".jsonl", ".parquet", ".csv")
#: Broken lines shown before the rest is only counted.
_MOST_PROBLEMS = 20
#: A cell of a CSV file may hold a long answer; Python's own limit is 131,072 characters.
_CSV_FIELD_CHARS = 1 << 26


@dataclass(frozen=True)
class Table:
    """Rows of one file or folder. `places` has each row's file and line (JSON Lines) or row number, from 1."""

    path: Path
    rows: list[Row]
    places: list[Span]
    sha256: str
    """Of the file's bytes; of a folder or a pattern, over names and hashes."""

    @property
    def columns(self) -> list[str]:
        """Every column that some row has, in the order of the first row that has it."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def column(self, names: Sequence[str]) -> str | None:
        """The first of `names` that is a column."""
        there = set(self.columns)
        return next((name for name in names if name in there), None)

    def required(self, names: Sequence[str], what: str) -> str:
        """The first of `names` that is a column. Raises UserError."""
        found = self.column(names)
        if found is None:
            wanted = " or ".join(f"`{name}`" for name in names)
            hint = f"rename the column that holds {what}; there are: {', '.join(self.columns) or 'no columns'}"
            raise user_error("missing-column", f"{shown_name(self.path)} has no column {wanted}", hint=hint)
        return found

    def broken(self, problems: Sequence[tuple[int, str]], code: str, hint: str | None = None) -> UserError:
        """An error with the place of each row that cannot be used; `problems` are (row, message)."""
        shown = [Diagnostic(code, message, self.places[row], hint) for row, message in problems[:_MOST_PROBLEMS]]
        if len(problems) > _MOST_PROBLEMS:
            left = len(problems) - _MOST_PROBLEMS
            shown.append(Diagnostic(code, f"{shown_name(self.path)}: {left:,} more rows like these"))
        return UserError(shown)


def read_table(path: Path) -> Table:
    """All rows of a file, or of the parquet files of a release folder (`data/`, else the folder itself).

    A path that is not there may be a pattern, such as `releases/*-sample`: then all rows of what it finds, by name.
    Raises UserError: not there, empty, another kind of file, a line that is no JSON object (with its place).
    """
    if path.is_dir():
        return _read_folder(path)
    # Path.glob starts at a folder, and a pattern may be of whole paths.
    if not path.is_file() and (found := sorted(glob.glob(str(path)))):  # noqa: PTH207
        return _together(path, [read_table(Path(each)) for each in found])
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*") if p.suffix in ENDINGS] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, siblings)
        raise user_error("missing-file", f"there is no file {shown_name(path)}", hint=hint)
    try:
        rows, places = _read_file(path)
        sha256 = file_digest(path)
    except OSError as error:
        raise user_error("unreadable-file", f"{shown_name(path)}: {error.strerror}") from None
    if not rows:
        raise user_error("empty-file", f"{shown_name(path)} has no rows", hint="one row for each answer")
    return Table(path, rows, places, sha256)


def _together(pattern: Path, tables: Sequence[Table]) -> Table:
    rows = [row for table in tables for row in table.rows]
    places = [place for table in tables for place in table.places]
    return Table(pattern, rows, places, digest([[table.path.name, table.sha256] for table in tables]))


def _read_folder(path: Path) -> Table:
    root = path / "data" if (path / "data").is_dir() else path
    files = sorted(root.rglob("*.parquet"))
    if not files:
        hint = "name a release folder, or one .jsonl, .parquet or .csv file"
        raise user_error("empty-folder", f"{shown_name(path)} has no parquet files", hint=hint)
    rows: list[Row] = []
    places: list[Span] = []
    for file in files:
        more, where = _parquet(file)
        rows += more
        places += where
    if not rows:
        raise user_error("empty-file", f"{shown_name(path)} has no rows")
    hashes = [[file.relative_to(path).as_posix(), file_digest(file)] for file in files]
    return Table(path, rows, places, digest(hashes))


def _read_file(path: Path) -> tuple[list[Row], list[Span]]:
    match path.suffix.lower():
        case ".jsonl":
            return _json_lines(path)
        case ".parquet":
            return _parquet(path)
        case ".csv":
            return _csv(path)
        case _:
            hint = f"known: {', '.join(ENDINGS)}, or a release folder"
            raise user_error("unknown-format", f"{shown_name(path)} is none of the files that are read", hint=hint)


def _json_lines(path: Path) -> tuple[list[Row], list[Span]]:
    shown = shown_name(path)
    rows: list[Row] = []
    places: list[Span] = []
    problems: list[Diagnostic] = []
    # Not splitlines(): U+2028 inside a JSON text ends no line.
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too deep"
            problems.append(Diagnostic("broken-json", f"not JSON: {reason}", Span(shown, number)))
            continue
        if not isinstance(row, dict):
            problems.append(Diagnostic("broken-json", "not a JSON object", Span(shown, number)))
            continue
        rows.append(row)
        places.append(Span(shown, number))
    if problems:
        left = len(problems) - _MOST_PROBLEMS
        more = [Diagnostic("broken-json", f"{shown}: {left:,} more lines like these")] if left > 0 else []
        raise UserError([*problems[:_MOST_PROBLEMS], *more])
    return rows, places


def _csv(path: Path) -> tuple[list[Row], list[Span]]:
    shown = shown_name(path)
    limit = csv.field_size_limit(_CSV_FIELD_CHARS)
    try:
        reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
        rows: list[Row] = []
        places: list[Span] = []
        for row in reader:
            place = Span(shown, reader.line_num)
            if None in row or None in row.values():
                message = f"the row has not as many cells as the header ({len(reader.fieldnames or ())})"
                raise user_error("broken-csv", message, span=place, hint="quote cells that hold commas or line ends")
            rows.append(dict(row))
            places.append(place)
        return rows, places
    except csv.Error as error:
        raise user_error("broken-csv", f"{error}", span=Span(shown, max(1, reader.line_num))) from None
    finally:
        csv.field_size_limit(limit)


def _parquet(path: Path) -> tuple[list[Row], list[Span]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    shown = shown_name(path)
    try:
        # Not pq.read_table: a folder named `split=train` would become a column.
        rows: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise user_error("broken-parquet", f"{shown} is no parquet file: {error}") from None
    return rows, [Span(shown, number) for number in range(1, len(rows) + 1)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        number = path.read_bytes().count(b"\n", 0, error.start) + 1
        message = f"byte {error.start} is not UTF-8"
        raise user_error(
            "not-utf-8", message, span=Span(shown_name(path), number), hint="save the file as UTF-8"
        ) from None


def text_problem(value: object) -> str | None:
    """Why a value is no text that can be asked about, or None where it is one. An empty text is a text."""
    if value is None:
        return "is missing"
    if not isinstance(value, str):
        return f"is not a text but {type(value).__name__}"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "has half of a surrogate pair, which is not text"
    return None
