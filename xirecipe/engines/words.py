"""Words of a text as datatrove tokenizers: by Unicode properties where a script writes them apart, else by dictionary.

datatrove's per-language tokenizers cost about fifteen times as much, and the one it borrows for Swahili cuts `ng'ombe`.
"""

from __future__ import annotations

import unicodedata
from typing import Literal, assert_never

import regex
from datatrove.utils.word_tokenizers import WhitespaceTokenizer

from xirecipe import thai

# A word starts with a letter or digit, goes on with marks, joiners (ZWNJ, ZWJ) and soft hyphens, and may hold
# apostrophes and hyphens between two such runs, and points and commas between digits. Everything else that can be seen
# is a token of its own.
_RUN = r"[\p{L}\p{N}][\p{L}\p{M}\p{N}\u200c\u200d\u00ad]*"
_TOKEN = regex.compile(
    rf"{_RUN}(?:(?:['’\-]|(?<=\p{{N}})[.,](?=\p{{N}})){_RUN})*|[^\s\p{{Cc}}\p{{Cf}}\p{{L}}\p{{N}}]\p{{M}}*"
)


class Words(WhitespaceTokenizer):
    """Splits texts for datatrove's filters and MinHash; sentences are split as datatrove's own fallback does.

    All instances of a class are equal, so that datatrove's cache of the last texts' words serves every filter: one
    split a text.
    """

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


class UnicodeWords(Words):
    """Words of any script that writes them apart."""

    def word_tokenize(self, text: str) -> list[str]:
        """Words and single symbols, in order."""
        return _TOKEN.findall(text)


class ThaiWords(Words):
    """Thai words by dictionary; what else a Thai text holds, such as Latin names, numbers and symbols, by Unicode.

    A space always parts two words. 1 ms for 1,000 characters.
    Raises UserError when the dictionary is missing or changed.
    """

    def __init__(self) -> None:
        super().__init__()
        thai.segment("")  # fails here rather than in a worker

    def word_tokenize(self, text: str) -> list[str]:
        """Words and single symbols, in order."""
        found: list[str] = []
        for piece in thai.pieces(text):
            found += thai.segment(piece) if thai.is_thai(piece) else _TOKEN.findall(piece)
        return found


def words_of(way: Literal["unicode", "thai"]) -> Words:
    """The tokenizer for a language's `words`."""
    match way:
        case "unicode":
            return UnicodeWords()
        case "thai":
            return ThaiWords()
        case _:
            assert_never(way)


def is_blank(text: str) -> bool:
    """Whether nothing in the text can be seen: white space, control and format characters alone."""
    return _TOKEN.search(text) is None


def folded(word: str) -> str:
    """A word as stop words are compared: lower case, NFC, and Turkish `İ` as `i`."""
    return unicodedata.normalize("NFC", word.lower().replace("i\u0307", "i"))
