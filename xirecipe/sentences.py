"""Cutting a text at a sentence end."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"


def cut_at_sentence(text: str, max_chars: int | None, enders: str) -> str:
    """`text` up to the last sentence end within `max_chars` characters.

    A full stop before a letter or digit (3.5) ends no sentence. Where none ends in the second half of the window, the
    cut is at the last white space; where there is none (Thai), at the limit, moved back so that no combining mark is
    parted from its letter.
    """
    if max_chars is None or len(text) <= max_chars:
        return text
    window = text[:max_chars]
    end = next((i + 1 for i in range(max_chars - 1, -1, -1) if _ends(text, i, enders)), 0)
    if end > max_chars // 2:
        return window[:end].rstrip()
    space = max(window.rfind(" "), window.rfind("\n"))
    if space > max_chars // 2:
        return window[:space].rstrip()
    stop = max_chars
    while stop > 1 and _joined(text[stop - 1], text[stop]):
        stop -= 1
    return text[:stop]


def _ends(text: str, i: int, enders: str) -> bool:
    if text[i] == ".":
        return "." in enders and not text[i + 1 : i + 2].isalnum()
    return text[i] in enders or text[i] == "\n"


def _joined(left: str, right: str) -> bool:
    """Whether two characters are one sign: a mark on its letter, letters under a virama, a joiner's neighbours."""
    virama = unicodedata.combining(left) == 9
    return virama or unicodedata.category(right).startswith("M") or left in _JOINERS or right in _JOINERS
