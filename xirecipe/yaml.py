"""YAML read with positions: every key and value remembers its file, line and column.

Built on ruamel.yaml's events, not on its objects: a recipe needs mappings, lists, text, numbers, booleans and null, and
nothing that a tag could make. Plain scalars are read by the core schema of YAML 1.2: `yes` and `2026-01-02` are text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, MappingStartEvent, NodeEvent, ScalarEvent, SequenceStartEvent

from xirecipe.diagnostics import Diagnostic, Span, UserError

Path_ = tuple[str | int, ...]

#: A recipe is a page or two of text. Larger files are refused before parsing, so that a stranger's file cannot
#: make `check` slow.
MAX_BYTES = 200_000
#: Nodes after alias expansion: stops the "billion laughs" of nested aliases.
MAX_NODES = 20_000
#: Mappings and lists inside one another. The deepest key of a recipe is at 7.
MAX_DEPTH = 40

_NULL = re.compile(r"(?:|~|null|Null|NULL)")
_TRUE = re.compile(r"(?:true|True|TRUE)")
_FALSE = re.compile(r"(?:false|False|FALSE)")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
#: Characters that no file name and no UTF-8 text can hold; escapes in quotes could write them.
_UNUSABLE = re.compile("[\0\ud800-\udfff]")


@dataclass
class Document:
    """A parsed file: plain `data` (dict, list, scalars) and the spans of its keys and values by path."""

    file: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    keys: dict[Path_, Span] = field(default_factory=dict)
    values: dict[Path_, Span] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)
    """Keys written twice. The last one counts, so that the rest of the file can be checked as well."""


def read(path: Path, shown: str) -> Document:
    """Read one YAML file. `shown` is the file's name in diagnostics.

    Raises UserError: missing file, not UTF-8, too large, or as `parse` does.
    """
    top = Span(shown)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError([Diagnostic("missing-file", f"{shown} does not exist", top)]) from None
    except OSError as error:
        raise UserError([Diagnostic("unreadable-file", f"{shown}: {error.strerror}", top)]) from None
    if len(raw) > MAX_BYTES:
        hint = "texts belong into files that the recipe names"
        raise UserError([Diagnostic("too-large", f"{shown} has more than {MAX_BYTES:,} bytes", top, hint)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"byte {error.start} is not UTF-8"
        raise UserError([Diagnostic("not-utf-8", message, Span(shown, line), "save the file as UTF-8")]) from None
    return parse(text, shown)


@lru_cache(maxsize=256)
def parse(text: str, shown: str) -> Document:
    """Parse YAML text; the document is shared, so callers copy before they change.

    Raises UserError: not YAML, not a mapping, a tag, a number out of range, aliases that explode.
    """
    parser = YAML(typ="safe", pure=True)
    try:
        root = _Nodes(parser.parse(text), shown, text).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        span = Span(shown, mark.line + 1, mark.column + 1) if mark else Span(shown)
        problem = " ".join(str(error.problem or error.context or "not YAML").split())
        problem = problem.replace("'\\x00'", "the end of the file")
        hint = "inside `{ }` and `[ ]`, put a value with brackets in quotes" if "got '['" in problem else None
        raise UserError([Diagnostic("not-yaml", problem, span, hint)]) from None
    except (YAMLError, ValueError) as error:
        problem = " ".join(str(error).split()).replace('in "<unicode string>", position', "at character")
        raise UserError([Diagnostic("not-yaml", problem[:200], Span(shown))]) from None
    if not isinstance(root.content, Mapping_):
        message = "the file is empty" if root.content is None else "the file must be a mapping of keys to values"
        raise UserError([Diagnostic("not-a-mapping", message, Span(shown))])
    document = Document(shown, text)
    plain = _Plain(document)
    document.data = plain.of(root, ())
    document.problems = plain.duplicates
    return document


@dataclass
class Node:
    """A value of the file and where it stands."""

    content: Any
    """A scalar, a list of nodes, or a Mapping_."""
    span: Span


class Mapping_(list[tuple[str, Span, Node]]):
    """The entries of a mapping as they are written."""


class _Nodes:
    """Events to nodes. An alias shares its anchor's content and has a place of its own."""

    def __init__(self, events: Iterator[Any], shown: str, text: str) -> None:
        self._events = events
        self._shown = shown
        self._lines = text.splitlines()
        self._anchors: dict[str, Node] = {}
        self._depth = 0

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, NodeEvent):
                if root is not None:
                    message = "a second document starts here"
                    raise self._refused(self._span(event), "not-yaml", message, "keep one of them")
                root = self._node(event)
        return root or Node(None, Span(self._shown))

    def _node(self, event: Any) -> Node:
        span = self._span(event)
        if isinstance(event, AliasEvent):
            target = self._anchors.get(event.anchor)
            if target is None:
                raise self._refused(span, "not-yaml", f"`*{event.anchor}` names no value that ended before it")
            return Node(target.content, span)
        if getattr(event, "tag", None) is not None:
            shown = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            message = f"`{shown}` is a tag; recipes have none"
            raise self._refused(span, "tag", message, "write the plain value")
        match event:
            case ScalarEvent():
                node = Node(self._scalar(event, span), span)
            case SequenceStartEvent():
                node = Node([self._node(e) for e in self._inside(span)], span)
            case MappingStartEvent():
                entries = Mapping_()
                inside = self._inside(span)
                for key in inside:
                    name, at, value = self._key(key), self._span(key), next(inside)
                    # A value left out has no place; what is said about it is said at its key.
                    empty = isinstance(value, ScalarEvent) and value.start_mark.index == value.end_mark.index
                    found = self._node(value)
                    entries.append((name, at, Node(None, at) if empty and found.content is None else found))
                node = Node(entries, span)
            case _:
                raise AssertionError(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _inside(self, span: Span) -> Iterator[Any]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._refused(span, "too-deep", f"more than {MAX_DEPTH} levels inside one another")
        for event in self._events:
            if not isinstance(event, NodeEvent):
                break
            yield event
        self._depth -= 1

    def _key(self, event: Any) -> str:
        span = self._span(event)
        content = self._node(event).content
        if isinstance(content, list):
            raise self._refused(span, "not-yaml", "a key must be text")
        # A label such as `3:` or `true:` is text to a recipe, as it is written.
        return content if isinstance(content, str) else str(getattr(event, "value", content))

    def _scalar(self, event: ScalarEvent, span: Span) -> Any:
        text = str(event.value)
        if _UNUSABLE.search(text):
            raise self._refused(span, "bad-character", "a NUL or half of a surrogate pair is not text")
        if event.style not in (None, ""):
            return text
        if _NULL.fullmatch(text):
            return None
        if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
            return bool(_TRUE.fullmatch(text))
        if _INT.fullmatch(text):
            if len(text) > 20:
                raise self._refused(span, "out-of-range", "a whole number with more than 20 digits")
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if _ENDLESS.fullmatch(text) or (_FLOAT.fullmatch(text) and math.isinf(float(text))):
            raise self._refused(span, "out-of-range", f"`{text[:40]}` is not a finite number")
        return float(text) if _FLOAT.fullmatch(text) else text

    def _span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        line = self._lines[start.line] if start.line < len(self._lines) else ""
        length = 1
        if isinstance(event, (ScalarEvent, AliasEvent)):
            length = (end.column if end.line == start.line else len(line.rstrip())) - start.column
        return Span(self._shown, start.line + 1, start.column + 1, max(1, length))

    def _refused(self, span: Span, code: str, message: str, hint: str | None = None) -> UserError:
        return UserError([Diagnostic(code, message, span, hint)])


class _Plain:
    """Nodes to plain values, with the place of each by its path."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0
        self._duplicates: dict[Span, Diagnostic] = {}
        """By place: an alias shows the same mapping again at another path."""

    @property
    def duplicates(self) -> list[Diagnostic]:
        return list(self._duplicates.values())

    def of(self, node: Node, path: Path_) -> Any:
        self._count(1)
        if isinstance(node.content, Mapping_):
            return self._mapping(node.content, path)
        if isinstance(node.content, list):
            items = []
            for index, item in enumerate(node.content):
                self._document.values[(*path, index)] = item.span
                items.append(self.of(item, (*path, index)))
            return items
        return node.content

    def _mapping(self, entries: Mapping_, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, span, value in self._merged(entries):
            here = (*path, name)
            if name in result:
                message = f"`{name}` is written twice in one mapping"
                notes = (f"the first is at line {self._document.keys[here].line}",)
                duplicate = Diagnostic("duplicate-key", message, span, "keep one of the two", notes)
                self._duplicates[span] = duplicate
            self._document.keys[here] = span
            self._document.values[here] = value.span
            result[name] = self.of(value, here)
        return result

    def _merged(self, entries: Mapping_) -> Mapping_:
        """The entries, after those that `<<` brings from other mappings and that are not written here."""
        self._count(1)
        own = {name for name, _, _ in entries}
        if "<<" not in own:
            return entries
        merged = Mapping_()
        for name, span, value in entries:
            if name != "<<":
                continue
            several = isinstance(value.content, list) and not isinstance(value.content, Mapping_)
            for source in value.content if several else [value]:
                if not isinstance(source.content, Mapping_):
                    message = "`<<` takes a mapping, or a list of mappings"
                    raise UserError([Diagnostic("not-yaml", message, span)])
                found = self._merged(source.content)
                self._count(len(found))
                known = own | {n for n, _, _ in merged}
                merged += [entry for entry in found if entry[0] not in known]
        return Mapping_([*merged, *(entry for entry in entries if entry[0] != "<<")])

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            message = f"more than {MAX_NODES:,} values, aliases followed"
            raise UserError([Diagnostic("alias-explosion", message, Span(self._document.file))])
