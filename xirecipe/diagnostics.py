"""What is wrong, where it is written, and what to try: diagnostics and their three renderings."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]
Format = Literal["text", "json", "github"]
#: How much of a line is quoted: a seed pair may be one line of thousands of characters.
MAX_QUOTED_CHARS = 160


@dataclass(frozen=True, order=True)
class Span:
    """A place in a file. `line` and `column` count from 1; `length` is in characters.

    Line 0: what `file` names has no lines, such as `--set select.rows=3`.
    """

    file: str
    line: int = 1
    column: int = 1
    length: int = 1


@dataclass(frozen=True)
class Diagnostic:
    """One problem: a stable `code`, what is wrong, where, and a hint that names a key, a value or a command."""

    code: str
    message: str
    span: Span | None = None
    hint: str | None = None
    notes: tuple[str, ...] = ()
    severity: Severity = "error"

    @property
    def sort_key(self) -> tuple[str, int, int, str, str]:
        span = self.span or Span("")
        return (span.file, span.line, span.column, self.code, self.message)


class UserError(Exception):
    """The user's input cannot be used. Carries every diagnostic found; the CLI prints them and exits 1."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__("; ".join(d.message for d in self.diagnostics))


def user_error(code: str, message: str, *, hint: str | None = None, span: Span | None = None) -> UserError:
    """A `UserError` of one diagnostic."""
    return UserError([Diagnostic(code, message, span, hint)])


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The closest known word as a hint, or the whole list where it is short, or nothing."""
    choices = sorted(set(known))
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    if 0 < len(choices) <= 12:
        return "known: " + ", ".join(f"`{choice}`" for choice in choices)
    return None


def shortened(value: object, limit: int = 60) -> str:
    """A value as one line of at most `limit` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


@dataclass
class Sources:
    """File texts by the name shown in spans, so that a diagnostic can quote its line."""

    texts: dict[str, str] = field(default_factory=dict)

    def line(self, span: Span) -> str | None:
        text = self.texts.get(span.file)
        if text is None:
            try:
                text = Path(span.file).read_text(encoding="utf-8")
            except (OSError, ValueError):
                return None
            self.texts[span.file] = text
        lines = text.splitlines()
        if not 0 < span.line <= len(lines) or span.column > MAX_QUOTED_CHARS:
            return None
        # One column each, and nothing that a terminal would obey.
        return "".join(
            c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in lines[span.line - 1][:MAX_QUOTED_CHARS]
        ).rstrip()


def render_text(diagnostics: Sequence[Diagnostic], sources: Sources | None = None) -> str:
    """All diagnostics sorted by place, each with its quoted line, and a last line that counts them."""
    sources = sources or Sources()
    blocks = [_block(d, sources) for d in sorted(diagnostics, key=lambda d: d.sort_key)]
    blocks.append(count_line(diagnostics))
    return "\n\n".join(blocks) + "\n"


def count_line(diagnostics: Sequence[Diagnostic]) -> str:
    errors = sum(d.severity == "error" for d in diagnostics)
    warnings = len(diagnostics) - errors
    parts = [f"{errors} error{'' if errors == 1 else 's'}"]
    if warnings:
        parts.append(f"{warnings} warning{'' if warnings == 1 else 's'}")
    return ", ".join(parts)


def _block(d: Diagnostic, sources: Sources) -> str:
    if d.span is None:
        lines = [f"{d.severity}[{d.code}]: {d.message}"]
        lines += [f"  = hint: {d.hint}"] if d.hint else []
    else:
        span = d.span
        place = f"{span.file}:{span.line}:{span.column}" if span.line else span.file
        lines = [f"{place}: {d.severity}[{d.code}]: {d.message}"]
        quoted = sources.line(span)
        number = str(span.line)
        gutter = " " * len(number)
        if quoted is None:
            lines += [f"{gutter} = hint: {d.hint}"] if d.hint else []
        else:
            carets = "^" * max(1, min(span.length, len(quoted) - span.column + 1))
            pointer = f"{gutter} | {' ' * (span.column - 1)}{carets}"
            lines += [f"{gutter} |", f"{number} | {quoted}", pointer + (f" {d.hint}" if d.hint else "")]
    return "\n".join(lines + [f"  = note: {note}" for note in d.notes])


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    """A JSON array, one object a diagnostic; `file`, `line` and `column` are null where there is no place."""
    rows = [
        {
            "code": d.code,
            "severity": d.severity,
            "message": d.message,
            "file": d.span.file if d.span else None,
            "line": d.span.line if d.span else None,
            "column": d.span.column if d.span else None,
            "hint": d.hint,
            "notes": list(d.notes),
        }
        for d in sorted(diagnostics, key=lambda d: d.sort_key)
    ]
    return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"


def render_github(diagnostics: Sequence[Diagnostic]) -> str:
    """GitHub workflow commands: each becomes an annotation on the line in the pull request."""
    lines = []
    for d in sorted(diagnostics, key=lambda d: d.sort_key):
        text = "\n".join([d.message, *([d.hint] if d.hint else []), *d.notes])
        properties = {"title": d.code}
        if d.span:
            properties = {
                "file": d.span.file,
                "line": str(d.span.line),
                "col": str(d.span.column),
                **properties,
            }
        pairs = ",".join(f"{key}={_escape_property(value)}" for key, value in properties.items())
        lines.append(f"::{d.severity} {pairs}::{_escape_data(text)}")
    return "".join(line + "\n" for line in lines)


def render(diagnostics: Sequence[Diagnostic], how: Format, sources: Sources | None = None) -> str:
    match how:
        case "text":
            return render_text(diagnostics, sources)
        case "json":
            return render_json(diagnostics)
        case "github":
            return render_github(diagnostics)


def _escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
