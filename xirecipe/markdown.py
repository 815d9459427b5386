"""Text of strangers inside markdown: it stays text, whatever it says."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup

NOT_RECORDED = "not recorded"
#: Direction overrides and isolates: they can make a line read otherwise than it is written ("Trojan Source",
#: CVE-2021-42574). Joiners and the plain marks LRM and RLM stay, because scripts need them.
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
#: An underscore between letters or digits is never emphasis (CommonMark 6.2).
_SPECIAL = re.compile(r"([\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_LINE_START = re.compile(r"^(?:([#+=-])|(\d{1,9})([.)])(?=\s|$))")


def visible(text: str, keep: str = "") -> str:
    """Text whose control characters and direction overrides are written out (`\\u202e`), except those in `keep`."""
    return "".join(f"\\u{ord(c):04x}" if _hidden(c) and c not in keep else c for c in text)


def _hidden(character: str) -> bool:
    return character in _OVERRIDES or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def inline(text: str) -> Markup:
    """Text on one line that stays text: in a paragraph, a list item or a table cell it can open and close nothing."""
    flat = visible(" ".join(text.split()))
    escaped = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = _SPECIAL.sub(r"\\\1", escaped)
    return Markup(_LINE_START.sub(lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}\\{m[3]}", escaped))


def code(text: str | None) -> Markup:
    """A code span; plain escaped text where a code span could be broken."""
    if text is None:
        return Markup(NOT_RECORDED)
    flat = visible(" ".join(text.split()))
    return inline(text) if not flat or "`" in flat or "|" in flat else Markup(f"`{flat}`")


def fence(text: str, language: str = "") -> Markup:
    """A code block whose fence is longer than any run of backticks inside."""
    lines = visible(text.replace("\r\n", "\n").replace("\r", "\n"), keep="\n\t")
    longest = max((len(run) for run in re.findall(r"`+", lines)), default=0)
    marks = "`" * max(3, longest + 1)
    return Markup(f"{marks}{language}\n{lines.rstrip(chr(10))}\n{marks}")
