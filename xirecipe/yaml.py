"""YAML read with positions: every key and value remembers its file, line and column."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from xirecipe.diagnostics import Diagnostic, Span, UserError

Path_ = tuple[str | int, ...]

#: A recipe is a page or two of text. Larger files are refused before parsing, so that a stranger's file cannot
#: make `check` slow.
MAX_BYTES = 1_000_000
#: Nodes after alias expansion: stops the "billion laughs" of nested aliases.
MAX_NODES = 20_000


@dataclass
class Document:
    """A parsed file: plain `data` (dict, list, scalars) and the spans of its keys and values by path."""

    file: str
    text: str
    data: Any
    keys: dict[Path_, Span] = field(default_factory=dict)
    values: dict[Path_, Span] = field(default_factory=dict)


def read(path: Path, shown: str) -> Document:
    """Read one YAML file. `shown` is the file's name in diagnostics.

    Raises UserError: missing file, not UTF-8, not YAML, duplicate key, not a mapping, aliases that explode.
    """
    top = Span(shown)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UserError([Diagnostic("missing-file", f"{shown} does not exist", top)]) from None
    except OSError as error:
        raise UserError([Diagnostic("unreadable-file", f"{shown}: {error.strerror}", top)]) from None
    if len(raw) > MAX_BYTES:
        raise UserError([Diagnostic("too-large", f"{shown} has {len(raw):,} bytes; {MAX_BYTES:,} is the limit", top)])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"byte {error.start} is not UTF-8"
        raise UserError([Diagnostic("not-utf-8", message, Span(shown, line), "save the file as UTF-8")]) from None
    return parse(text, shown)


@lru_cache(maxsize=256)
def parse(text: str, shown: str) -> Document:
    """Parse YAML text; the document is shared, so callers copy before they change. Raises UserError as `read` does."""
    parser = YAML(typ="rt", pure=True)
    parser.allow_duplicate_keys = False
    try:
        tree = parser.load(text)
    except DuplicateKeyError as error:
        mark = error.problem_mark
        key = str(error.problem).split('"')[1] if '"' in str(error.problem) else "key"
        span = Span(shown, mark.line + 1, mark.column + 1, len(key))
        message = f"`{key}` is written twice in one mapping"
        raise UserError([Diagnostic("duplicate-key", message, span, "keep one of the two")]) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        span = Span(shown, mark.line + 1, mark.column + 1) if mark else Span(shown)
        problem = " ".join(str(error.problem or error.context or "not YAML").split())
        raise UserError([Diagnostic("not-yaml", problem, span)]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())[:200]
        raise UserError([Diagnostic("not-yaml", problem, Span(shown))]) from None
    if not isinstance(tree, CommentedMap):
        message = "the file is empty" if tree is None else "the file must be a mapping of keys to values"
        raise UserError([Diagnostic("not-a-mapping", message, Span(shown))])
    document = Document(file=shown, text=text, data=None)
    document.data = _Flattener(document).plain(tree, ())
    return document


class _Flattener:
    """Turns ruamel's tree into plain values while noting where each one is written."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.lines = document.text.splitlines()
        self.nodes = 0
        self.open: set[int] = set()

    def plain(self, node: Any, path: Path_) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or id(node) in self.open:
            message = "aliases in this file repeat or contain themselves without end"
            raise UserError([Diagnostic("alias-explosion", message, Span(self.document.file))])
        if isinstance(node, CommentedMap):
            self.open.add(id(node))
            result = self._mapping(node, path)
            self.open.discard(id(node))
            return result
        if isinstance(node, CommentedSeq):
            self.open.add(id(node))
            items = []
            for index, item in enumerate(node):
                line, column = node.lc.item(index)
                self._note(self.document.values, (*path, index), line, column, item)
                items.append(self.plain(item, (*path, index)))
            self.open.discard(id(node))
            return items
        return _scalar(node)

    def _mapping(self, node: CommentedMap, path: Path_) -> dict[str, Any]:
        result = {}
        for key, value in node.items():
            name = key if isinstance(key, str) else str(key)
            here = (*path, name)
            # Keys merged in by `<<` have no position of their own; they keep their parent's.
            if key in node.lc.data:
                self._note(self.document.keys, here, *node.lc.key(key), name)
                self._note(self.document.values, here, *node.lc.value(key), value)
            result[name] = self.plain(value, here)
        return result

    def _note(self, table: dict[Path_, Span], path: Path_, line: int, column: int, value: Any) -> None:
        length = 1
        if not isinstance(value, (CommentedMap, CommentedSeq)):
            rest = self.lines[line][column:] if line < len(self.lines) else ""
            shown = str(value)
            length = len(shown) if rest.startswith(shown) else max(1, len(rest.split(" #")[0].rstrip()))
        table[path] = Span(self.document.file, line + 1, column + 1, max(1, length))


def _scalar(node: Any) -> Any:
    """ruamel keeps formatting in subclasses of str, int and float; the rest of the code wants the plain types."""
    if isinstance(node, bool) or node is None:
        return node
    for plain in (str, int, float):
        if isinstance(node, plain):
            return plain(node)
    # A bare date such as 2026-01-02 is text to a recipe; pydantic reports it where a string is not wanted.
    return str(node)
