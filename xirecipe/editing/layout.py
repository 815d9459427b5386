"""`xirecipe fmt`: keys in the schema's order and two spaces a level, every comment where it belongs.

Works on the lines of the file. ruamel.yaml says where each value stands; values, flow mappings and comments are moved
as they were written. ruamel's own round trip would hang a comment between two keys on the first of them.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from xirecipe import yaml
from xirecipe.diagnostics import Diagnostic, Span, UserError
from xirecipe.editing.order import Schema
from xirecipe.overlay import KIND_KEYS

INDENT = 2
#: `>2-`: the header of a block scalar that says its indentation.
_INDICATED = re.compile(r"[|>][-+]?[1-9]")


def formatted(text: str, shown: str, schema: Schema) -> str:
    """The text in canonical layout. `shown` is the file's name in diagnostics.

    Keys that the schema does not know follow those that it knows, as they were written; so do all keys of a mapping in
    which an alias would come to stand before its anchor. What stands above the first key is the file's own comment,
    down to the last blank line if there is one; every other comment goes with the key below it, or, where it stands
    deeper than that key, with the section above.

    Raises UserError: as `yaml.parse` does, `duplicate-key`, `unusual-layout` where the same content would not come out.
    """
    document = yaml.parse(text, shown)
    if document.problems:
        raise UserError(document.problems)
    ending = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n").removeprefix("\ufeff")
    try:
        result = _Layout(plain).formatted(schema)
        same = yaml.parse(result, shown).data == document.data and _words(result) == _words(plain)
    except (_UnusualError, UserError):
        same = False
    if not same:
        message = f"{shown} is written in a way that `fmt` does not know"
        hint = "write its sections as `key: value`, one a line"
        raise UserError([Diagnostic("unusual-layout", message, Span(shown), hint)])
    return result.replace("\n", ending)


class _UnusualError(Exception):
    """A layout that the lines alone do not show: keys that share a line, text where an indentation is wanted."""


def _words(text: str) -> Counter[str]:
    """What is said in a text, wherever it stands: nothing of it may be lost."""
    return Counter(text.split())


@dataclass
class _Entry:
    """A key with its value, and the lines it takes: comments above, the key's line, up to the next entry."""

    key: str
    column: int
    line: int
    value: Node
    alias: bool
    first: int
    """The first line that goes with it."""
    end: int = 0
    """The line after the last one."""

    @property
    def is_whole(self) -> bool:
        """Whether the value is written on as it stands: a scalar, an alias, or a flow collection."""
        return self.alias or not isinstance(self.value, CollectionNode) or bool(self.value.flow_style)


class _Layout:
    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.seen: set[int] = set()
        """Nodes met before: a node met again is an alias."""

    def formatted(self, schema: Schema) -> str:
        root = YAML(typ="safe", pure=True).compose(self.text)
        if not isinstance(root, MappingNode) or root.flow_style:
            raise _UnusualError
        top = self._line(root.value[0][0].start_mark.index)
        blank = [number for number in range(top) if not self.lines[number].strip()]
        head = blank[-1] + 1 if blank else top
        body = self._mapping(root, schema, head, len(self.lines), 0)
        lines = [*(line.rstrip() for line in self.lines[:head]), *body]
        return "\n".join(lines).strip("\n") + "\n"

    def _mapping(
        self, node: MappingNode, schema: Schema, low: int, high: int, column: int, *, in_item: bool = False
    ) -> list[str]:
        """The lines from `low` to `high` at another column. `in_item`: its first key stands behind a dash."""
        entries, footer = self._entries(node.value, low, high, in_item)
        kinds = {
            key.value: value.value
            for key, value in node.value
            if key.value in KIND_KEYS and isinstance(value, ScalarNode)
        }
        was_first = entries[0]
        entries = self._ordered(entries, schema, kinds, in_item)
        result: list[str] = []
        for index, entry in enumerate(entries):
            lead = self._comments(range(entry.first, entry.line), column)
            if index == 0 and entry is not was_first:
                lead = lead[next((n for n, line in enumerate(lead) if line), 0) :]
            within = schema.under(entry.key, kinds)
            result += lead
            result += self._value(entry, within, column)
        return [*result, *self._comments(range(footer, high), column)]

    def _value(self, entry: _Entry, schema: Schema, column: int) -> list[str]:
        """A key's line and the lines of its value."""
        value, after = entry.value, entry.line + 1
        line = " " * column + self.lines[entry.line][entry.column :]
        if entry.is_whole:
            return [self._cut(line, entry), *self._moved(entry, column)]
        first = value.value[0][0] if isinstance(value, MappingNode) else value.value[0]
        start = self._line(first.start_mark.index)
        if start == entry.line or any(not self._is_comment(n) for n in range(after, start)):
            raise _UnusualError
        if isinstance(value, MappingNode):
            return [line.rstrip(), *self._mapping(value, schema, after, entry.end, column + INDENT)]
        assert isinstance(value, SequenceNode)
        return [line.rstrip(), *self._sequence(value, schema, after, entry.end, column + INDENT)]

    def _sequence(self, node: SequenceNode, schema: Schema, low: int, high: int, column: int) -> list[str]:
        """`schema`: of each item."""
        entries, footer = self._entries([(value, value) for value in node.value], low, high, False)
        result: list[str] = []
        for entry in entries:
            result += self._comments(range(entry.first, entry.line), column)
            value, inner = entry.value, column + INDENT
            if entry.is_whole:
                line = " " * inner + self.lines[entry.line][entry.column :]
                lines = [self._cut(line, entry), *self._moved(entry, inner)]
            elif isinstance(value, MappingNode):
                lines = self._mapping(value, schema, entry.line, entry.end, inner, in_item=True)
            else:
                # A list in a list; recipes have none.
                raise _UnusualError
            result += [" " * column + "- " + lines[0][inner:], *lines[1:]]
        return [*result, *self._comments(range(footer, high), column)]

    def _entries(self, pairs: list[tuple[Node, Node]], low: int, high: int, in_item: bool) -> tuple[list[_Entry], int]:
        """The entries of a block collection, and the line on which its last comments start."""
        entries: list[_Entry] = []
        for index, (key, value) in enumerate(pairs):
            is_item = key is value
            alias = id(value) in self.seen
            self.seen.add(id(value))
            start = key.start_mark.index
            line, column = self._place(start)
            before = self.lines[line][:column]
            expected = r" *- +" if is_item or (in_item and index == 0) else r" *"
            shares_line = bool(entries) and line <= entries[-1].line
            # An item's alias has no place of its own, and an empty item none at all.
            placeless = is_item and (alias or value.end_mark.index == start)
            explicit = not is_item and self.text[start : start + 1] in ("?", "*", "&", "!")
            if shares_line or placeless or explicit or line < low or not re.fullmatch(expected, before):
                raise _UnusualError
            # Comments compare with the column of the keys, or of the dashes.
            edge = before.index("-") if is_item else column
            entries.append(_Entry(str(key.value), column, line, value, alias, line))
        entries[0].first = low
        if not in_item and any(not self._is_comment(n) for n in range(low, entries[0].line)):
            raise _UnusualError
        for entry, later in pairwise(entries):
            entry.end = later.first = self._boundary(entry, later.line, edge)
        last = entries[-1]
        last.end = self._boundary(last, high, edge)
        return entries, last.end

    def _boundary(self, entry: _Entry, next_: int, edge: int) -> int:
        """The first line between an entry and the next one that goes with the next."""
        value = entry.value
        if entry.is_whole and not self._is_block_scalar(entry):
            # A value left out has its mark behind the comments that follow.
            here = entry.alias or value.start_mark.index == value.end_mark.index
            end = entry.line if here else max(entry.line, self._line(max(value.end_mark.index - 1, 0)))
            if any(not self._is_comment(number) for number in range(end + 1, next_)):
                raise _UnusualError
            return end + 1
        end = next_
        while end > entry.line + 1 and self._is_comment(end - 1) and self._depth(end - 1) <= edge:
            end -= 1
        return end

    def _depth(self, number: int) -> int:
        """The column of a line's first character; 0 for a blank line, which ends no search."""
        line = self.lines[number]
        return len(line) - len(line.lstrip(" ")) if line.strip() else 0

    def _ordered(self, entries: list[_Entry], schema: Schema, kinds: dict[str, Any], in_item: bool) -> list[_Entry]:
        known = {key: place for place, key in enumerate(schema.keys(kinds))}
        if schema.slots is not None and not schema.models:
            return entries
        ordered = sorted(entries, key=lambda entry: known.get(entry.key, len(known)))
        if in_item and any(entry.first < entry.line for entry in entries[1:]):
            # A comment cannot stand between a dash and its first key.
            return entries
        names = [self._names(entry) for entry in ordered]
        for index, (_, used) in enumerate(names):
            if used & {name for defined, _ in names[index + 1 :] for name in defined}:
                return entries
        return ordered

    def _names(self, entry: _Entry) -> tuple[set[str], set[str]]:
        """Anchors that an entry defines, and aliases in it; words in comments that look like them count as well."""
        text = "\n".join(self.lines[entry.line : entry.end])
        defined, used = (set(re.findall(rf"(?:^|[\s\[{{,:-])\{mark}([^\s,\]}}]+)", text)) for mark in "&*")
        return defined, used - defined

    def _moved(self, entry: _Entry, column: int) -> list[str]:
        """The lines of a scalar or a flow collection below its first one."""
        numbers = range(entry.line + 1, entry.end)
        shift = column - entry.column
        if not self._is_block_scalar(entry):
            # Deeper than the key in any case: a flow collection may end with a bracket of its own line.
            return [
                self._shifted(self.lines[n], max(shift, column + 1 - self._depth(n))) if shift else self.lines[n]
                for n in numbers
            ]
        header = self.lines[entry.line]
        content = next((self.lines[n] for n in numbers if self.lines[n].strip()), None)
        if content is not None and not _INDICATED.search(header.partition(" #")[0][entry.column :]):
            shift = column + INDENT - (len(content) - len(content.lstrip(" ")))
        return [self._shifted(self.lines[n], shift) for n in numbers]

    @staticmethod
    def _shifted(line: str, shift: int) -> str:
        if shift >= 0:
            return " " * shift + line if line.strip() else line and " " * shift + line
        return line[min(-shift, len(line) - len(line.lstrip(" "))) :]

    def _comments(self, numbers: range, column: int) -> list[str]:
        stripped = (self.lines[number].strip() for number in numbers)
        return [" " * column + line if line else "" for line in stripped]

    def _cut(self, line: str, entry: _Entry) -> str:
        """Without spaces at its end, where no text goes on behind them."""
        return line.rstrip() if entry.end == entry.line + 1 else line

    def _is_block_scalar(self, entry: _Entry) -> bool:
        return isinstance(entry.value, ScalarNode) and not entry.alias and entry.value.style in ("|", ">")

    def _is_comment(self, number: int) -> bool:
        return not (line := self.lines[number].strip()) or line.startswith("#")

    def _line(self, index: int) -> int:
        return bisect.bisect_right(self.starts, index) - 1

    def _place(self, index: int) -> tuple[int, int]:
        line = self._line(index)
        return line, index - self.starts[line]
