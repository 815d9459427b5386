"""Laying one YAML tree over another while every value remembers the file and line it came from."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from xirecipe.diagnostics import Span
from xirecipe.recipe.learning import SEEDS_PLACES
from xirecipe.yaml import Document, Path_

#: Keys that say what kind of thing a mapping is. An overlay that names another kind replaces the mapping: the keys of
#: a Hub source mean nothing to a file.
KIND_KEYS = ("format", "engine", "method")
#: Mappings of freely named slots, where `name: null` takes a slot away.
SLOTS: tuple[Path_, ...] = (
    ("corpus", "sources"), ("models",), ("rates",), ("decontaminate", "evaluations"), ("datasets",), ("translate",),
    ("mix", "parts"), ("mix", "choices"), *SEEDS_PLACES,
)  # fmt: skip


@dataclass
class Tree:
    """Merged plain data, and the span of each key and value by path."""

    data: dict[str, Any] = field(default_factory=dict)
    keys: dict[Path_, Span] = field(default_factory=dict)
    values: dict[Path_, Span] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Document) -> Tree:
        return cls(copy.deepcopy(document.data), dict(document.keys), dict(document.values))

    def under(self, *path: str | int) -> Tree:
        """This tree moved below `path`, to be laid where it belongs."""
        data: Any = self.data
        for part in reversed(path):
            data = {part: data}
        return Tree(data, *({(*path, *p): s for p, s in table.items()} for table in (self.keys, self.values)))

    def part(self, *path: str | int) -> Tree:
        """What stands at `path`, as a tree of its own; empty where there is no mapping."""
        data: Any = self.data
        for key in path:
            data = data.get(key) if isinstance(data, dict) else None
        if not isinstance(data, dict):
            return Tree()
        n = len(path)
        keys, values = (
            {p[n:]: s for p, s in table.items() if len(p) > n and p[:n] == path} for table in (self.keys, self.values)
        )
        return Tree(copy.deepcopy(data), keys, values)

    def without(self, *keys: str) -> Tree:
        data = {k: v for k, v in self.data.items() if k not in keys}
        return Tree(data, *({p: s for p, s in table.items() if p[0] not in keys} for table in (self.keys, self.values)))

    def span(self, path: Path_) -> Span | None:
        """Where the value at `path` is written; of the nearest enclosing key where it has no place of its own."""
        for end in range(len(path), 0, -1):
            found = self.values.get(path[:end]) if end == len(path) else self.keys.get(path[:end])
            if found:
                return found
        return None

    def key_span(self, path: Path_) -> Span | None:
        for end in range(len(path), 0, -1):
            found = self.keys.get(path[:end]) or self.values.get(path[:end])
            if found:
                return found
        return None


def lay(base: Tree, over: Tree) -> Tree:
    """`over` on top of `base`: mappings merge, everything else replaces."""
    result = Tree(copy.deepcopy(base.data), dict(base.keys), dict(base.values))
    _Laying(result, over).merge(result.data, over.data, ())
    return result


class _Laying:
    """One tree being laid over another, with the places of both by what they stand in: a file may have 20,000."""

    def __init__(self, result: Tree, over: Tree) -> None:
        self._result, self._over = result, over
        self._old, self._new = _by_owner(result), _by_owner(over)

    def merge(self, into: dict[str, Any], new: dict[str, Any], path: Path_) -> None:
        result, over = self._result, self._over
        for key, value in new.items():
            here = (*path, key)
            old = into.get(key)
            if isinstance(value, dict) and isinstance(old, dict) and not _other_kind(old, value):
                for table, source in ((result.keys, over.keys), (result.values, over.values)):
                    if here in source:
                        table.setdefault(here, source[here])
                self.merge(old, value, here)
                continue
            gone, come = list(_below(self._old, here)), list(_below(self._new, here))
            for table, source in ((result.keys, over.keys), (result.values, over.values)):
                for known in gone:
                    table.pop(known, None)
                table.update((place, source[place]) for place in come if place in source)
            if value is None and path in SLOTS:
                into.pop(key, None)
            else:
                into[key] = copy.deepcopy(value)


def _by_owner(tree: Tree) -> dict[Path_, dict[Path_, None]]:
    """Every path of a tree under the path that it stands in."""
    found: dict[Path_, dict[Path_, None]] = {}
    for path in (*tree.keys, *tree.values):
        for end in range(len(path), 0, -1):
            siblings = found.setdefault(path[: end - 1], {})
            if path[:end] in siblings:
                break
            siblings[path[:end]] = None
    return found


def _below(owners: dict[Path_, dict[Path_, None]], path: Path_) -> Iterator[Path_]:
    """The path itself and all that stands in it."""
    yield path
    for inner in owners.get(path, ()):
        yield from _below(owners, inner)


def _other_kind(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return any(kind in new and new[kind] != old.get(kind) for kind in KIND_KEYS)
