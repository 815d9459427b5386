"""Cutting a text at a sentence end, in any of the scripts recipes are written for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache

from xirecipe import thai

_JOINERS = "\u200c\u200d"
#: Belong to the sentence whose end they follow.
_CLOSERS = "\"'”’»›)]}"
#: How far around a mark is looked.
_AROUND_CHARS = 100
#: Titles and the like, in small letters, after whose full stop a sentence goes on even where that cannot be seen from
#: what follows: English, Swahili, Indonesian, Turkish, Vietnamese, Finnish, Hindi, Bengali, Tamil.
# fmt: off
_ABBREVIATIONS = frozenset({
    "mr", "mrs", "ms", "dr", "prof", "st", "rev", "hon", "gen", "col", "lt", "sgt", "capt", "fig", "vol",
    "bw", "dkt", "mhe", "mh",
    "bpk", "sdr", "tn", "ny", "hj", "drs", "dra", "jl", "hlm",
    "av", "doç", "yrd", "sn", "bkz", "cad", "mah",
    "ts", "ths", "gs", "pgs", "bs", "tp",
    "esim", "ks", "mm", "ns",
    "डॉ", "प्रो", "पं", "स्व",
    "ডা", "ডাঃ", "ড", "মো", "মোঃ", "প্রফ",
    "திரு", "டாக்",
})
# fmt: on

# Thai ends a sentence with a space, and writes one in other places too.
#: Shorter runs of Thai between spaces are items of a list or names, not sentences.
_THAI_PHRASE_CHARS = 12
#: A phrase that begins so goes on with the one before.
_THAI_GOES_ON = tuple(
    "และ หรือ แต่ ซึ่ง ที่ โดย เพื่อ เพราะ เนื่อง คือ เช่น ได้แก่ รวมทั้ง รวมถึง ตลอดจน จน จึง ก็ แล้ว".split()  # noqa: SIM905
)
#: A phrase that begins so, and one that ends so, wants another.
_THAI_OPENS = tuple("เมื่อ ถ้า หาก แม้ เนื่องจาก เพราะ".split())  # noqa: SIM905
_THAI_WANTS_MORE = tuple("ว่า คือ เช่น ได้แก่ และ หรือ แต่ ของ โดย ชื่อ อาทิ ใน เมื่อ กับ จาก".split())  # noqa: SIM905
#: Repetition and abbreviation: they belong to the word before.
_THAI_SIGNS = "ๆฯ"
_THAI_LEADING = "เแโใไ"
_THAI_FOLLOWING = "ะาำๅๆฯ"


class _End(IntEnum):
    """How sure it is that a sentence ends."""

    WORD = 1
    """Only a word does."""
    LIKELY = 2
    """A mark stands there, but what comes next looks like the same sentence."""
    SURE = 3


def cut_at_sentence(text: str, max_chars: int | None, enders: str) -> str:
    """`text` up to the last sentence end within `max_chars` characters.

    `enders` are a language's `sentence_enders`. Closing quotes and brackets after an ender belong to its sentence. A
    full stop inside a number or an address (3.5) and after a title or the number of a list item ends none.
    A space among the enders ends a sentence between two Thai phrases: not beside numbers, Latin words, the repetition
    mark ๆ or short items of a list.

    Where no sentence ends in the second half of the window, the cut is at the last white space there; where there is
    none, in Thai after the last word, else at the limit, moved back so that no sign is parted.
    """
    if max_chars is None or len(text) <= max_chars:
        return text
    best: dict[_End, int] = {}
    for end, kind in _ends(text, max_chars, enders):
        best[kind] = max(end, best.get(kind, 0))
    window = text[:max_chars]
    best[_End.WORD] = max(window.rfind(" "), window.rfind("\n"), best.get(_End.WORD, 0))
    for kind in sorted(best, reverse=True):
        if best[kind] > max_chars // 2 and (cut := text[: best[kind]].rstrip()):
            return cut
    return _cut_anywhere(text, max_chars)


def _ends(text: str, max_chars: int, enders: str) -> Iterator[tuple[int, _End]]:
    """Where sentences end, at most `max_chars` characters in, in order."""
    for match in _marks(enders).finditer(text, 0, max_chars + _AROUND_CHARS):
        end = match.end()
        if match["space"] is not None:
            kind = _thai_end(text, match.start(), end)
            end = match.start()
        elif match["line"] is not None:
            kind, end = (_End.SURE if match.start() < max_chars else None), match.start()
        else:
            if match["closers"] and text[end : end + 1].isalnum():
                end = match.end("mark")  # what follows is an opening quote
            kind = _mark_end(text, match["mark"], match.start(), end)
        if kind is not None and 0 < end <= max_chars:
            yield end, kind


@lru_cache(maxsize=32)
def _marks(enders: str) -> re.Pattern[str]:
    """Runs of a language's enders with the closers after them, line ends, and spaces where these count."""
    marks = "".join(ender for ender in enders if not ender.isspace())
    run = (
        rf"(?P<mark>[{re.escape(marks)}]+)(?P<closers>[{re.escape(_CLOSERS)}]*)"
        if marks
        else "(?P<mark>(?!))(?P<closers>)"
    )
    space = r"[ \u00a0]+" if " " in enders else "(?!)"
    return re.compile(rf"{run}|(?P<line>\n)|(?P<space>{space})")


def _mark_end(text: str, mark: str, start: int, end: int) -> _End | None:
    """Whether the run of enders at `start`, up to `end` with its closers, ends a sentence."""
    following = text[end : end + _AROUND_CHARS]
    if set(mark) == {"."} and following[:1].isalnum():
        return None
    if mark == ".":
        word = _word_before(text, start)
        if not following.startswith("\n") and _is_short_for(text, start, word):
            return None
        if len(word) == 1 or "." in word:  # an initial; `n.k.`
            return _End.LIKELY
    return _End.LIKELY if following.lstrip()[:1].islower() else _End.SURE


def _word_before(text: str, start: int) -> str:
    """The letters, marks and digits right before a place, with full stops between them."""
    begin = start
    while begin > max(0, start - _AROUND_CHARS) and (text[begin - 1] == "." or _in_word(text[begin - 1])):
        begin -= 1
    return text[begin:start]


def _is_short_for(text: str, start: int, word: str) -> bool:
    """Whether the full stop at `start` belongs to `word`: a title, or the number of a list item."""
    if word.isdigit():
        line = text.rfind("\n", 0, start) + 1
        return not text[line : start - len(word)].strip()
    return word.lower() in _ABBREVIATIONS


def _in_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char).startswith("M")


def _thai_end(text: str, start: int, end: int) -> _End | None:
    """Whether the spaces from `start` to `end` part two Thai phrases."""
    before = thai.last_run(text[max(0, start - _AROUND_CHARS) : start])
    after = thai.first_run(text[end : end + _AROUND_CHARS])
    if not before or not after or before[-1] in _THAI_SIGNS or after[0] in _THAI_SIGNS:
        return None
    if before.endswith(_THAI_WANTS_MORE) or text.startswith(".", end + len(after)):  # before an abbreviation, ค.ศ.
        return None
    whole = len(before) >= _THAI_PHRASE_CHARS and len(after) >= _THAI_PHRASE_CHARS
    goes_on = before.startswith(_THAI_OPENS) or after.startswith(_THAI_GOES_ON)
    return _End.SURE if whole and not goes_on else _End.LIKELY


def _cut_anywhere(text: str, max_chars: int) -> str:
    """Up to the limit, or to the end of the last Thai word before it; no sign is parted."""
    stop = max_chars
    run = thai.last_run(text[:max_chars])
    if run and (following := thai.first_run(text[max_chars : max_chars + _AROUND_CHARS])):
        words = max_chars - len(run) + _whole_words(run, following)
        if words > max_chars // 2 and (cut := text[:words].rstrip()):
            return cut
    while stop > 1 and _joined(text[stop - 1], text[stop]):
        stop -= 1
    return text[:stop]


def _whole_words(run: str, following: str) -> int:
    """How many characters of `run` are whole words when `following` comes next; ๆ and ฯ stay with their word."""
    text = run + following
    end = whole = 0
    for word in thai.segment(text):
        if end > len(run):
            break
        # A stray sign is a piece of its own to the segmenter.
        if end and not _joined(text[end - 1], text[end]):
            whole = end
        end += len(word)
    return whole


def _joined(left: str, right: str) -> bool:
    """Whether two characters are one sign: a mark on its letter, letters under a virama, a joiner's neighbours.

    Thai vowels before and after a consonant are letters to Unicode and part of its sign all the same.
    """
    virama = unicodedata.combining(left) == 9
    joiner = left in _JOINERS or right in _JOINERS
    return (
        virama
        or joiner
        or left in _THAI_LEADING
        or right in _THAI_FOLLOWING
        or unicodedata.category(right).startswith("M")
    )
