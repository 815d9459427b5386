"""Cutting a text at a sentence end."""

from __future__ import annotations

import unicodedata


def cut_at_sentence(text: str, max_chars: int | None, enders: str) -> str:
    """`text` up to the last sentence end within `max_chars` characters.

    Where no sentence ends in the second half of the window, the cut is at the last white space; where there is none
    (Thai), at the limit, moved back so that no combining mark is parted from its letter.
    """
    if max_chars is None or len(text) <= max_chars:
        return text
    window = text[:max_chars]
    end = max((i + 1 for i, c in enumerate(window) if c in enders or c == "\n"), default=0)
    if end > max_chars // 2:
        return window[:end].rstrip()
    space = max(window.rfind(" "), window.rfind("\n"))
    if space > max_chars // 2:
        return window[:space].rstrip()
    stop = max_chars
    while stop > 1 and unicodedata.category(text[stop]).startswith("M"):
        stop -= 1
    return text[:stop]
