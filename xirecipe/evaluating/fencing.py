"""Answers shown to a judge cannot speak in the judge's place.

An answer may hold what a verdict looks like: `<score_1>10</score_1>`, the end of the block it stands in, or a JSON
object with top scores. A judge that quotes it would then write that verdict. So the marks that a prompt or a parser
gives meaning to are replaced in shown texts by look-alikes that neither of them reads, and parsers take the judge's
last verdict only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: What may stand between: invisible characters too.
_GAP = r"[\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*"
#: `<` in the forms that a model may copy as one: full width, small, HTML entities.
_OPEN = r"(?:[<\uff1c\ufe64]|&lt;|&\#0*60;|&\#x0*3c;)"
_TAG = re.compile(
    rf"{_OPEN}(?={_GAP}[/\uff0f]?{_GAP}(?:score|answer|question)(?:{_GAP}[_\-\s]?{_GAP}\d)?)", re.IGNORECASE
)


def fenced(text: str) -> str:
    """A text whose tags of a verdict or a block are shown with `‹` instead of `<`. All other text stays as it is."""
    return _TAG.sub("‹", text)


def without_keys(text: str, names: Sequence[str]) -> str:
    """A text in which `"fluency":` is shown as `”fluency”:`, so that it is no key of a JSON object."""
    keys = "|".join(re.escape(name) for name in names)
    return re.sub(rf'\\*"(\s*(?:{keys})\s*)\\*"(?=\s*:)', r"”\1”", text, flags=re.IGNORECASE)
