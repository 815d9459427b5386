"""Words of a text in any script that writes them apart, by Unicode properties, as a datatrove tokenizer.

datatrove's per-language tokenizers cost about fifteen times as much, and the one it borrows for Swahili cuts `ng'ombe`.
"""

from __future__ import annotations

import unicodedata

import regex
from datatrove.utils.word_tokenizers import WhitespaceTokenizer

# A word starts with a letter or digit, goes on with marks, joiners (ZWNJ, ZWJ) and soft hyphens, and may hold
# apostrophes and hyphens between two such runs, and points and commas between digits. Everything else that can be seen
# is a token of its own.
_RUN = r"[\p{L}\p{N}][\p{L}\p{M}\p{N}\u200c\u200d\u00ad]*"
_TOKEN = regex.compile(
    rf"{_RUN}(?:(?:['’\-]|(?<=\p{{N}})[.,](?=\p{{N}})){_RUN})*|[^\s\p{{Cc}}\p{{Cf}}\p{{L}}\p{{N}}]\p{{M}}*"
)


class UnicodeWords(WhitespaceTokenizer):
    """Splits texts for datatrove's filters and MinHash; sentences are split as datatrove's own fallback does.

    All instances are equal, so that datatrove's cache of the last texts' words serves every filter: one split a text.
    """

    def word_tokenize(self, text: str) -> list[str]:
        """Words and single symbols, in order."""
        return _TOKEN.findall(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnicodeWords)

    def __hash__(self) -> int:
        return hash(UnicodeWords)


def is_blank(text: str) -> bool:
    """Whether nothing in the text can be seen: white space, control and format characters alone."""
    return _TOKEN.search(text) is None


def folded(word: str) -> str:
    """A word as stop words are compared: lower case, NFC, and Turkish `İ` as `i`."""
    return unicodedata.normalize("NFC", word.lower().replace("i\u0307", "i"))
