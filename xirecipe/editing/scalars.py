"""Values of a file replaced, every other character as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent, ScalarEvent

from xirecipe import yaml
from xirecipe.diagnostics import Diagnostic, Span, UserError


@dataclass(frozen=True)
class Scalar:
    """A value at the top of a file: what it says, and the characters it takes, quotes and anchor included."""

    value: str
    start: int
    end: int
    span: Span


def top_scalar(text: str, shown: str, key: str) -> Scalar:
    """The scalar under a key at the top of a file. `shown` is the file's name in diagnostics.

    Raises UserError: `missing-key`, `wrong-type` where it is an alias, a mapping or a list, and as `yaml.parse` does.
    """
    document = yaml.parse(text, shown)
    if document.problems:
        raise UserError(document.problems)
    if key not in document.data:
        hint = f"write `{key}:` into this file; a base's is not changed from here"
        raise UserError([Diagnostic("missing-key", f"{shown} has no `{key}` of its own", Span(shown), hint)])
    span = document.values[(key,)]
    found = _events(text).get(key)
    if not isinstance(found, ScalarEvent):
        message = f"`{key}` must be written out to be edited"
        raise UserError([Diagnostic("wrong-type", message, span, "an alias, a mapping or a list stands there")])
    return Scalar(str(found.value), found.start_mark.index, found.end_mark.index, span)


def replaced(text: str, scalar: Scalar, value: str) -> str:
    """The text with another value in the scalar's place, in the quotes that are there."""
    written = text[scalar.start : scalar.end]
    if written.count(scalar.value) != 1:
        message = f"`{scalar.value}` is written in a way that cannot be edited in place"
        raise UserError([Diagnostic("unusual-layout", message, scalar.span, "write it as plain text")])
    return text[: scalar.start] + written.replace(scalar.value, value) + text[scalar.end :]


def replaced_at(text: str, edits: Mapping[Span, tuple[str, str]]) -> str:
    """The text with a new value for the old one at each place, in the quotes that are there.

    A place that holds an alias is left: what it stands for is written elsewhere. Raises UserError `unusual-layout`
    where the old value does not stand as it is.
    """
    lines = text.splitlines(keepends=True)
    for span, (old, new) in sorted(edits.items(), reverse=True):
        line, start = lines[span.line - 1], span.column - 1
        written = line[start : start + span.length]
        if written.startswith("*"):
            continue
        if written.count(old) != 1:
            message = f"`{old}` is written in a way that cannot be edited in place"
            raise UserError([Diagnostic("unusual-layout", message, span, "write it as plain text")])
        lines[span.line - 1] = line[:start] + written.replace(old, new) + line[start + span.length :]
    return "".join(lines)


def _events(text: str) -> dict[str, NodeEvent]:
    """The first event of each value at the top, by its key."""
    found: dict[str, NodeEvent] = {}
    depth, key = 0, None
    for event in YAML(typ="safe", pure=True).parse(text):
        if depth == 1 and isinstance(event, NodeEvent):
            if key is None:
                key = str(getattr(event, "value", ""))
            else:
                found.setdefault(key, event)
                key = None
        if isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
    return found
