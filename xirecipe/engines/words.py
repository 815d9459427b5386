"""Words of a text as datatrove tokenizers: by Unicode properties where a script writes them apart, else by dictionary.

datatrove's per-language tokenizers cost about fifteen times as much, and the one it borrows for Swahili cuts `ng'ombe`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain
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


def _ranges(chars: Iterable[int], pattern: str) -> Iterator[str]:
    """Those of the characters that a `regex` class has, as ranges in a class of `re`."""
    found = [code for code in chars if regex.match(pattern, chr(code))]
    starts = [code for code in found if code - 1 not in found]
    ends = [code for code in found if code + 1 not in found]
    for start, end in zip(starts, ends, strict=True):
        yield f"{re.escape(chr(start))}-{re.escape(chr(end))}"


def _latin(chars: Iterable[int]) -> re.Pattern[str]:
    """The same tokens in a text of these characters. Python's `re` finds them in a third of the time of `regex`."""
    start, run, digit, symbol = (
        f"[{''.join(_ranges(chars, pattern))}]"
        for pattern in (
            r"[\p{L}\p{N}]",
            r"[\p{L}\p{M}\p{N}\u200c\u200d\u00ad]",
            r"\p{N}",
            r"[^\s\p{Cc}\p{Cf}\p{L}\p{N}]",
        )
    )
    return re.compile(rf"{start}{run}*(?:(?:['’\-]|(?<={digit})[.,](?={digit})){start}{run}*)*|{symbol}")


#: Latin letters as they are written in one piece, and what a keyboard's or a typesetter's punctuation adds to them.
#: No marks: those would belong to the symbol before them.
_LATIN = range(0x250)
_PUNCTUATION = range(0x2000, 0x2070)
_LATIN_TOKEN = _latin([*chain(_LATIN, _PUNCTUATION)])
_BEYOND_LATIN = re.compile(r"[^\u0000-\u024f\u2000-\u206f]")


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
        return (_TOKEN if _BEYOND_LATIN.search(text) else _LATIN_TOKEN).findall(text)


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
