"""Page furniture at the two ends of a text: which whole lines go, and by which rule.

Rules read signs that no language owns (separators, addresses, dates in digits, the copyright sign) and the English
buttons that pages of every language carry. What a language calls its buttons, a recipe says (`polish.phrases`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import regex

from xirecipe import thai
from xirecipe.recipe.corpus import Polish

#: A longer line is prose, whatever it holds. In characters.
MAX_LINE_CHARS = 200
#: What a link of a menu is at most, in words and in characters (Thai writes no spaces).
_LINK_WORDS, _LINK_CHARS = 3, 30
#: Words that may stand beside an address, a handle or a date: `Tel`, `Barua pepe`, `Published on Monday`.
_LABEL_WORDS, _LABEL_CHARS = 3, 40
#: A date spelled with words for day, month and year has more of them: `Thứ tư, ngày 21 tháng 11 năm 2026`.
_DATE_LABEL_WORDS = 5
#: Years that a line may be dated with, the Buddhist era's among them.
_YEARS = range(1900, 2700)

_WORD = regex.compile(r"[\p{L}\p{M}]+(?:['’\-][\p{L}\p{M}]+)*")
_NOT_WORDS_BEFORE = regex.compile(r"^[^\p{L}\p{M}\p{N}@#©(<]+")
_CLOSERS = "\"'”’»›)]}"
_SEPARATOR = re.compile(r"\s*(?:[|>]|\s[›»‹«<→←•·/]|::)(?:\s+|$)")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|<(?:email|ip|phone)>")
#: Code, HTML and Markdown links: what is written there is part of a text about such things.
_MARKUP = re.compile(r"`|\]\(|<(?!(?:email|ip|phone)>)[\w/]")
#: Seven digits and more, with what people write between them; dates have fewer between their signs, or are dates.
_PHONE = re.compile(r"(?<!\w)\+?\(?\d(?:[ \u00a0().\-]{0,2}\d){6,14}(?!\w)")
_HANDLE = re.compile(r"(?<!\S)[@#＠＃][^\W\d][^\s@#,]*,?")
_DATE = re.compile(r"(?<!\d)(?:\d{4}[./\-]\d{1,2}[./\-]\d{1,2}|\d{1,2}[./\-]\d{1,2}[./\-]\d{2,4})(?!\d)")
#: A year in brackets belongs to the name of a film or a book.
_YEAR_IN_BRACKETS = re.compile(r"[(\[]\s*\d{4}\s*[)\]]")
_NUMBER = re.compile(r"\d+")
_COUNTED = re.compile(r"^\W*[^\d()\[\]]{1,30}[(\[]\s*(\d[\d.,]*)\s*[KkMm]?\s*[)\]]\W*$")
_COPYRIGHT = re.compile(r"©|\(c\)\s*\d{4}|^copyright\b|\ball rights reserved\b", re.IGNORECASE)

# fmt: off
#: Words of the buttons that pages put around a text: a line of nothing else is furniture.
_BUTTONS = frozenset({
    "share", "tweet", "email", "e-mail", "print", "pdf", "save", "copy", "link", "like", "likes", "pin", "follow",
    "facebook", "twitter", "whatsapp", "telegram", "instagram", "linkedin", "pinterest", "youtube", "tiktok", "reddit",
    "messenger", "viber", "line", "x", "rss", "on", "via", "with", "this", "us", "to", "by", "and", "or", "page",
    "article", "post", "story", "subscribe", "newsletter", "menu", "search", "login", "log", "in", "sign", "up",
    "register", "skip", "content", "main", "navigation", "back", "top", "home", "comment", "comments", "view", "views",
    "shares", "reply", "replies", "advertisement", "advertisements", "ad", "sponsored", "loading", "next", "previous",
    "prev", "read", "more", "also", "related", "news", "articles", "posts", "stories", "cookies", "cookie", "accept",
    "all", "policy", "privacy", "terms", "of", "use", "contact", "about",
})
#: Those that are furniture beside nothing but small words of the set are not: one of these must be there.
_SMALL = frozenset({
    "x", "on", "via", "with", "this", "us", "to", "by", "and", "or", "in", "up", "all", "of", "line", "page", "story",
    "top", "main", "pin", "ad",
})
#: How a line of furniture begins in English; what follows is a name, a list or another page's title.
_OPENERS = (
    "tags:", "tag:", "filed under", "categories:", "category:", "read also", "also read", "read more", "see also",
    "related:", "related stories", "related articles", "related posts", "share this", "share on", "follow us",
    "subscribe to", "subscribe for", "sign up for", "this site uses cookies", "this website uses cookies",
    "we use cookies", "by continuing to", "leave a comment", "leave a reply", "posted by", "posted on", "posted in",
    "published by", "published on", "written by", "reported by", "last updated", "last modified", "updated:",
    "published:", "author:", "photo:", "image:", "powered by", "click here to",
)
# fmt: on
_BYLINE = regex.compile(r"^(?:by|By|BY)\s+\p{Lu}[\p{L}\p{M}.'’\-]*(?:\s+(?:and|&|\p{Lu}[\p{L}\p{M}.'’\-]*)){0,5}$")


@dataclass(frozen=True)
class Cut:
    """A line that went, with its line end and the blank lines beside it: `chars` of the document."""

    rule: str
    chars: int


@dataclass(frozen=True)
class Polished:
    """`head + text + tail` is the document as it was, character for character."""

    head: str
    text: str
    tail: str
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True)
class _Line:
    """A line that is not blank: where it starts and ends in the document, its line end not counted."""

    start: int
    end: int
    text: str


def polish(text: str, config: Polish, enders: str) -> Polished:
    """The text without the furniture at its two ends; all of it where more than `max_removed_ratio` would go.

    At each end lines go one by one, blank lines with them, until one is no furniture or the limit is reached: what
    stands between two lines that stay is never touched. `enders` are the language's `sentence_enders`.
    """
    lines = list(_lines(text))
    closed = _ended(enders)
    rules = _rules(config.phrases, closed)
    first = 0
    cuts: list[Cut] = []
    while first < len(lines) and len(cuts) < config.max_head_lines:
        rule = _rule_of(lines[first].text, rules) or ("title" if _is_title_again(lines, first, rules, closed) else None)
        if rule is None:
            break
        start = lines[first - 1].end if first else 0
        first += 1
        cuts.append(Cut(rule, lines[first - 1].end - start))
    if first == len(lines):
        return Polished("", text, "")
    if cuts:  # what is blank before the first line that stays went with the last one before it
        cuts[-1] = Cut(cuts[-1].rule, cuts[-1].chars + lines[first].start - lines[first - 1].end)
    last = len(lines) - 1
    behind: list[Cut] = []
    while last > first and len(behind) < config.max_tail_lines:
        rule = _rule_of(lines[last].text, rules)
        if rule is None:
            break
        end = lines[last + 1].start if behind else len(text)
        behind.insert(0, Cut(rule, end - lines[last].start))
        last -= 1
    if behind:
        behind[0] = Cut(behind[0].rule, behind[0].chars + lines[last + 1].start - lines[last].end)
    begin = lines[first].start if cuts else 0
    stop = lines[last].end if behind else len(text)
    if len(text) - (stop - begin) > config.max_removed_ratio * len(text):
        return Polished("", text, "")
    return Polished(text[:begin], text[begin:stop], text[stop:], (*cuts, *behind))


def _lines(text: str) -> Iterator[_Line]:
    # Not splitlines(): a line separator inside a paragraph ends no line for the filters either.
    start = 0
    for line in text.split("\n"):
        if line.strip():
            yield _Line(start, start + len(line), line)
        start += len(line) + 1


Rule = Callable[[str], bool]


def _rules(phrases: Sequence[str], closed: Rule) -> dict[str, Rule]:
    """Every rule by the name it is counted under, in the order in which they are asked.

    `closed` says whether a line ends as a sentence does.
    """
    wanted = tuple(filter(None, (_folded(phrase) for phrase in phrases)))
    return {
        "phrase": lambda line: _opens_with(_folded(line), wanted),
        "copyright": lambda line: _COPYRIGHT.search(line) is not None,
        "navigation": lambda line: not closed(line) and _is_navigation(line),
        "address": lambda line: not closed(_without_addresses(line)) and _is_address(line),
        "handles": lambda line: not closed(line) and _is_handles(line),
        "date": lambda line: not closed(line) and _is_date(line),
        "count": lambda line: not closed(line) and _is_count(line),
        "byline": lambda line: not closed(line) and _BYLINE.match(line.strip()) is not None,
        "button": lambda line: not closed(line) and _is_buttons(line),
        "opener": lambda line: _opens_with(_folded(line), _OPENERS),
    }


def _rule_of(line: str, rules: dict[str, Rule]) -> str | None:
    """The first rule by which a line is furniture."""
    if len(line) > MAX_LINE_CHARS:
        return None
    return next((name for name, holds in rules.items() if holds(line)), None)


def _is_title_again(lines: Sequence[_Line], place: int, rules: dict[str, Rule], closed: Rule) -> bool:
    """Whether a title stands once more, with nothing but furniture between: a verse that comes again does not."""
    title = _folded(lines[place].text)
    if closed(lines[place].text) or len(title) > MAX_LINE_CHARS:
        return False
    for later in lines[place + 1 :]:
        if _folded(later.text) == title:
            return True
        if _rule_of(later.text, rules) is None:
            return False
    return False


def _folded(line: str) -> str:
    """A line as openers are compared: NFC, case folded (Turkish `İ` as `i`), without signs before the first word."""
    text = unicodedata.normalize("NFC", line.casefold().replace("i\u0307", "i"))
    return str(_NOT_WORDS_BEFORE.sub("", " ".join(text.split())))


def _opens_with(line: str, openers: Sequence[str]) -> bool:
    return any(line.startswith(opener) and _word_ends(line, len(opener)) for opener in openers)


def _word_ends(line: str, place: int) -> bool:
    """Whether the word before `place` ends there. Thai words cannot be told apart so: any place will do."""
    before, after = line[place - 1], line[place : place + 1]
    if not after or thai.is_thai(before) or not _is_letter(before):
        return True
    return not _is_letter(after)


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN"


def _ended(enders: str) -> Rule:
    """Whether a line ends as a sentence does. An abbreviation of one or two letters ends none: `10:05 น.`, `p.m.`"""
    marks = "".join(ender for ender in enders if not ender.isspace())

    def closed(line: str) -> bool:
        bare = line.rstrip().rstrip(_CLOSERS)
        if not bare or bare[-1] not in marks:
            return False
        words = _WORD.findall(bare)
        return not (bare[-1] == "." and words and len(words[-1]) <= 2 and bare[:-1].endswith(words[-1]))

    return closed


def _is_navigation(line: str) -> bool:
    """`Home > News`, `Mwanzo | Habari | Michezo`: links between separators. The last of a path may be a title."""
    parts = [part.strip() for part in _SEPARATOR.split(line) if part.strip()]
    if not parts or not all(_WORD.search(part) for part in parts):
        return False
    short = [len(part) <= _LINK_CHARS and len(part.split()) <= _LINK_WORDS for part in parts]
    if len(parts) == 2:
        return short[0] and re.search(r"[>›»‹«<→←]", line) is not None
    return len(parts) > 2 and sum(short) >= len(parts) * 2 / 3 and all(short[:-1])


def _without_addresses(line: str) -> str:
    return _PHONE.sub(" ", _ADDRESS.sub(" ", line))


def _is_address(line: str) -> bool:
    """Addresses and telephone numbers (also masked ones) with no more than their labels: `Tel: 022 211 0000`."""
    if _MARKUP.search(line):
        return False
    found = len(_ADDRESS.findall(line)) + len(_PHONE.findall(_DATE.sub(" ", _ADDRESS.sub(" ", line))))
    return found > 0 and _is_label(_without_addresses(line), _LABEL_WORDS * found)


def _is_handles(line: str) -> bool:
    """`@someone`, `#Uchaguzi #Tanzania`, also behind a label: `Twitter: @someone`; no author of a quotation."""
    label, colon, handles = line.rpartition(": ")
    rest = _HANDLE.sub(" ", handles)
    return rest != handles and not _WORD.search(rest) and (not colon or _is_label(label, _LABEL_WORDS))


def _is_date(line: str) -> bool:
    """A date with its label and the time of day, months and weekdays in any language: day and year make a date."""
    bare = line.replace("T", " ").replace("Z", " ") if re.search(r"\dT\d", line) else line
    numbers = [int(number) for number in _NUMBER.findall(bare) if len(number) <= 4]
    spelled = any(1 <= n <= 31 for n in numbers) and any(n in _YEARS for n in numbers)
    if _YEAR_IN_BRACKETS.search(line) or not (spelled or _DATE.search(bare)):
        return False
    return _is_label(_NUMBER.sub(" ", bare), _DATE_LABEL_WORDS if len(numbers) >= 3 else _LABEL_WORDS)


def _is_count(line: str) -> bool:
    """`Comments (3)`, `Maoni [12]`; a year in brackets counts nothing."""
    found = _COUNTED.match(line)
    if found is None or not 1 <= len(_WORD.findall(line)) <= _LINK_WORDS:
        return False
    return not (len(found[1]) == 4 and found[1].isdecimal() and int(found[1]) in range(1000, _YEARS.stop))


def _is_buttons(line: str) -> bool:
    words = [word.casefold() for word in _WORD.findall(line)]
    return bool(words) and set(words) <= _BUTTONS and not set(words) <= _SMALL


def _is_label(rest: str, max_words: int) -> bool:
    """Whether what stands beside an address or a date is no more than what names it."""
    return len(_WORD.findall(rest)) <= max_words and sum(map(_is_letter, rest)) <= _LABEL_CHARS
