"""What is known of a language before anybody looks at it: datatrove's table of languages, lid.176's labels."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from xirecipe.diagnostics import did_you_mean
from xirecipe.engines.language_id import model

#: Scripts written from right to left (Unicode 16, Bidi_Class R and AL), by their ISO 15924 codes.
RIGHT_TO_LEFT = frozenset({
    "Adlm", "Arab", "Aran", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi",
})  # fmt: skip


@dataclass(frozen=True)
class LanguageFacts:
    """A language and script. None and empty where the tables say nothing."""

    code: str
    name: str | None
    hub_code: str | None
    """What the Hub's `language:` takes: ISO 639-1 where there is one, else 639-3."""
    lid_label: str | None
    direction: str
    is_known: bool
    """Whether the language in this script is in datatrove's table, the one that FineWeb-2 was made with."""


def language_facts(code: str) -> LanguageFacts:
    """Facts about a code such as `yor_Latn`. Reads tables of installed packages; imports none of them."""
    three, _, script = code.partition("_")
    row = next((row for row in _table() if row["code_3"] == three), {})
    codes = [c for c in (row.get("code_1"), three) if c]
    known = any(row["code_3"] == three and row["script"] == script for row in _table())
    return LanguageFacts(
        code,
        # The table's `Swahili (individual language)` is Swahili in a prompt.
        (row["name"].partition(" (")[0] if row else None) or None,
        next((c for c in codes if c in _hub_languages()), None),
        next((c for c in codes if c in _lid_labels()), None),
        "rtl" if script in RIGHT_TO_LEFT else "ltr",
        known,
    )


def similar(text: str) -> str | None:
    """A hint for a word that is no known code: the code of the language called so, or the nearest one."""
    word = text.strip().lower()
    for row in _table():
        if word and word in (row["name"].lower(), row["code_1"], row["code_3"]) and row["default_script"] == "TRUE":
            return f"did you mean `{row['code_3']}_{row['script']}` ({row['name']})?"
    return did_you_mean(text, (f"{row['code_3']}_{row['script']}" for row in _table()))


@cache
def _table() -> tuple[dict[str, str], ...]:
    return tuple(_rows())


def _rows() -> Iterator[dict[str, str]]:
    with (_package("datatrove") / "assets" / "tokenizer_assignment.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


@cache
def _lid_labels() -> frozenset[str]:
    """All labels that lid.176 gives."""
    names, _ = model().predict("a", k=-1)
    return frozenset(name.removeprefix("__label__") for name in names)


@cache
def _hub_languages() -> frozenset[str]:
    path = _package("datasets") / "utils" / "resources" / "languages.json"
    return frozenset(json.loads(path.read_text(encoding="utf-8")))


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise AssertionError(f"{name} is a dependency of xirecipe but is not installed")
    return Path(spec.origin).parent
