"""Where in a row a value stands: `response`, `conversations[0]`, `prompt.replies[rank=0].text`. Pure.

A column, then any number of steps into what stands there: `.name` into a mapping, `[0]` to a place of a list (from
0), `[name=value]` to the first mapping of a list with that value. Names hold none of `.`, `[` and `]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

GRAMMAR = "a column, then `.name`, `[0]` or `[name=value]`: `messages[role=user].content`"

_NAME = re.compile(r"[^.\[\]]+")
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+)\]|\[(?P<key>[^.\[\]=]+)=(?P<value>[^\[\]]*)\]")


class WrongShape(Exception):
    """A step leads into something that is no mapping or no list; its text says what, for the person who reads a row."""


@dataclass(frozen=True)
class Field:
    """`.name`: a value of a mapping."""

    name: str


@dataclass(frozen=True)
class Place:
    """`[0]`: a value of a list."""

    index: int


@dataclass(frozen=True)
class First:
    """`[key=value]`: the first mapping of a list that has this value."""

    key: str
    value: str


Step = Field | Place | First


@dataclass(frozen=True)
class ColumnPath:
    """A column and the steps into it. `text` is how it is written."""

    text: str
    column: str
    steps: tuple[Step, ...] = ()

    def value_in(self, row: Mapping[str, Any]) -> Any:
        """The value; None where the row does not go so far. Raises WrongShape."""
        value, way = row.get(self.column), self.column
        for step in self.steps:
            if value is None:
                return None
            match step:
                case Field(name):
                    if not isinstance(value, Mapping):
                        raise WrongShape(f"`{way}` is a {type(value).__name__}, not a mapping")
                    value, way = value.get(name), f"{way}.{name}"
                case Place(index):
                    if not isinstance(value, list):
                        raise WrongShape(f"`{way}` is a {type(value).__name__}, not a list")
                    value, way = value[index] if index < len(value) else None, f"{way}[{index}]"
                case First(key, wanted):
                    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
                        raise WrongShape(f"`{way}` is no list of mappings")
                    value = next((one for one in value if is_same(one.get(key), wanted)), None)
                    way = f"{way}[{key}={wanted}]"
        return value


@cache
def column_path(text: str) -> ColumnPath:
    """A path as a recipe writes it. Raises ValueError, which says up to where it can be read."""
    name = _NAME.match(text)
    if name is None:
        raise ValueError("it begins with no column's name")
    steps: list[Step] = []
    at = name.end()
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise ValueError(f"after `{text[:at]}` comes `{text[at:]}`")
        found = step.groupdict()
        if found["name"] is not None:
            steps.append(Field(found["name"]))
        elif found["index"] is not None:
            steps.append(Place(int(found["index"])))
        else:
            steps.append(First(found["key"], found["value"]))
        at = step.end()
    return ColumnPath(text, name.group(), tuple(steps))


def is_same(value: Any, written: str) -> bool:
    """Whether a row's value is what a recipe writes: `0` is 0 and 0.0, `true` is True, and nothing is no value."""
    if value is None:
        return False
    if isinstance(value, bool):
        return str(value).lower() == written.lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value)) == written or str(value) == written
    return str(value) == written
