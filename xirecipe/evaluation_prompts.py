"""Prompts of evaluations that a recipe names: what counts as one, and what is wrong with a file of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from xirecipe.diagnostics import Diagnostic, Span, did_you_mean
from xirecipe.recipe.corpus import FileSource

#: Broken rows shown of one file.
MOST_PROBLEMS = 20
#: A cell of a CSV file may hold a long prompt; Python's own limit is 131,072 characters.
_CSV_FIELD_CHARS = 1 << 26
_COMPRESSED = frozenset({".gz", ".zst", ".bz2", ".xz", ".zip"})


def prompts_in(value: Any) -> list[str]:
    """A prompt, or the turns of a conversation as a prompt each; empty where the value is neither."""
    turns = value if isinstance(value, list) else [value]
    if not all(isinstance(turn, str) and turn.strip() for turn in turns):
        return []
    return list(turns)


def broken_prompts(file: Path, source: FileSource, shown: str) -> list[Diagnostic]:
    """Rows of a file without a prompt, by line. Nothing in it is skipped: it is small, and a gap would go unseen.

    Of JSON Lines and CSV that are not compressed; parquet and the others are read when the stage runs.
    """
    if source.format == "parquet" or file.suffix.lower() in _COMPRESSED:
        return []
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.read_bytes().count(b"\n", 0, error.start) + 1
        message = f"byte {error.start} is not UTF-8"
        return [Diagnostic("not-utf-8", message, Span(shown, line), "save the file as UTF-8")]
    except OSError as error:
        return [Diagnostic("unreadable-evaluation", f"{shown}: {error.strerror}", Span(shown))]
    if not text.strip():
        return [Diagnostic("empty-evaluation", f"{shown} has no prompts", Span(shown))]
    found = _json_lines(text, source, shown) if source.format == "jsonl" else _csv(text, source, shown)
    return list(islice(found, MOST_PROBLEMS))


def _json_lines(text: str, source: FileSource, shown: str) -> Iterator[Diagnostic]:
    # Not splitlines(): U+2028 inside a JSON text ends no line.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        at = Span(shown, number)
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            yield Diagnostic("broken-evaluation", f"not JSON: {error.msg}", Span(shown, number, error.colno))
            continue
        except RecursionError:
            yield Diagnostic("broken-evaluation", "not JSON: nested too deeply", at)
            continue
        if not isinstance(row, dict):
            yield Diagnostic("broken-evaluation", "not a JSON object", at)
        elif not prompts_in(row.get(source.text_column)):
            yield _without_prompt(source, at, list(row))


def _csv(text: str, source: FileSource, shown: str) -> Iterator[Diagnostic]:
    csv.field_size_limit(_CSV_FIELD_CHARS)
    rows = csv.DictReader(io.StringIO(text, newline=""))
    names = list(rows.fieldnames or ())
    if source.text_column not in names:
        yield _without_prompt(source, Span(shown), names)
        return
    count = 0
    for row in rows:
        count += 1
        if not prompts_in(row[source.text_column]):
            yield _without_prompt(source, Span(shown, rows.line_num), names)
    if count == 0:
        yield Diagnostic("empty-evaluation", f"{shown} has no prompts", Span(shown))


def _without_prompt(source: FileSource, at: Span, names: list[str]) -> Diagnostic:
    hint = None
    if source.text_column not in names:
        hint = did_you_mean(source.text_column, names) or "set `text_column`"
    return Diagnostic("broken-evaluation", f"a row without a prompt in `{source.text_column}`", at, hint)
