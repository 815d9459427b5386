"""Proofs that a document is within a filter's limits, cheaper than the filter; without one, datatrove decides.

A screen never drops. It computes datatrove's numbers exactly or an upper bound of them, over a text's distinct words
and in calls that run in C, so that the rules are datatrove's and most documents do not pay for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import itemgetter

from datatrove.utils.text import PUNCTUATION_SET, split_into_words

from xirecipe.engines.words import Words
from xirecipe.recipe.corpus import GopherQualityFilter, GopherRepetitionFilter, NgramLimit


@lru_cache(maxsize=2)
def word_counts(text: str, words: Words) -> Counter[str]:
    """How often each word of a text occurs. Two filters ask for the same text one after the other."""
    return Counter(split_into_words(text, words))


@lru_cache(maxsize=1 << 16)
def _kind(word: str) -> tuple[int, bool]:
    """A word's characters, 0 where it is punctuation alone; whether it has a letter."""
    return 0 if PUNCTUATION_SET.issuperset(word) else len(word), any(map(str.isalpha, word))


def within_quality(text: str, words: Words, limits: GopherQualityFilter) -> bool:
    """Whether a text certainly passes Gopher's quality rules but that of the stop words."""
    counts = word_counts(text, words)
    spoken = spoken_chars = alpha = 0
    for word, times in counts.items():
        chars, has_letter = _kind(word)
        if chars:
            spoken += times
            spoken_chars += times * chars
        if has_letter:
            alpha += times
    total = counts.total()
    if spoken < (limits.min_words or 1) or (limits.max_words is not None and spoken > limits.max_words):
        return False
    mean = spoken_chars / spoken
    low, high = limits.min_mean_word_chars, limits.max_mean_word_chars
    if (low is not None and mean < low) or (high is not None and mean > high):
        return False
    if limits.min_alpha_words_ratio is not None and alpha / total < limits.min_alpha_words_ratio:
        return False
    symbols = max(text.count("#"), text.count("...") + text.count("…"))
    if limits.max_symbol_word_ratio is not None and symbols / total > limits.max_symbol_word_ratio:
        return False
    # Counting lines is left to datatrove where there could be one that counts.
    bullets = limits.max_bullet_lines_ratio is not None and ("•" in text or "-" in text)
    ellipses = limits.max_ellipsis_lines_ratio is not None and ("..." in text or "…" in text)
    return not ((bullets and _bullets(text) > 0) or ellipses)


def _bullets(text: str) -> int:
    return sum(line.lstrip().startswith(("•", "-")) for line in text.splitlines())


def within_repetition(text: str, words: Words, limits: GopherRepetitionFilter) -> bool:
    """Whether a text certainly passes the n-gram rules of Gopher's repetition filter. Lines are not looked at."""
    return _within_top(text, words, limits.top_ngrams) and _within_dup(text, words, limits.dup_ngrams)


def _within_top(text: str, words: Words, limits: Sequence[NgramLimit]) -> bool:
    """An n-gram occurs at most as often as the most frequent of its parts, and is as long as the longest words."""
    counts = word_counts(text, words)
    if not counts:
        return not limits
    longest = max(map(len, counts))
    most, of_words = max(counts.values()), 1
    for limit in limits:
        n = limit.words
        chars = n * longest + n - 1
        if of_words == 1 and n > 1 and most * chars / len(text) > limit.max_chars_ratio:
            # The bound by single words is too wide; that by pairs serves longer n-grams, too.
            most, of_words = max(Counter(pairwise(split_into_words(text, words))).values(), default=0), 2
        if (n < of_words or most * chars / len(text) > limit.max_chars_ratio) and not _top_is_within(
            text, words, limit
        ):
            return False
    return True


def _top_is_within(text: str, words: Words, limit: NgramLimit) -> bool:
    split = split_into_words(text, words)
    counts = Counter(map(" ".join, zip(*(split[start:] for start in range(limit.words)), strict=False)))
    if not counts:
        return True
    ngram, times = max(counts.items(), key=itemgetter(1))  # the first of the most frequent, as datatrove takes
    return len(ngram) * times / len(text) <= limit.max_chars_ratio


def _within_dup(text: str, words: Words, limits: Sequence[NgramLimit]) -> bool:
    split = split_into_words(text, words)
    joined = "".join(split)
    ends = list(accumulate(map(len, split), initial=0))
    fewest = min((limit.words for limit in limits), default=0)
    repeats = _repeats([joined[start:end] for start, end in zip(ends, ends[fewest:], strict=False)])
    if not repeats:
        return True
    for limit in limits:
        # Where an n-gram is repeated, the shorter one with which it begins is, too.
        starts = [start for start in repeats if start + limit.words <= len(split)]
        most = sum(ends[start + limit.words] - ends[start] for start in starts)
        if most / len(text) <= limit.max_chars_ratio:
            continue
        # datatrove counts those of them that do not overlap.
        ngrams = [joined[start:end] for start, end in zip(ends, ends[limit.words :], strict=False)]
        if sum(len(ngrams[start]) for start in _repeats(ngrams)) / len(text) > limit.max_chars_ratio:
            return False
    return True


def _repeats(ngrams: Sequence[str]) -> list[int]:
    """Where an n-gram stands that stood before."""
    if len(set(ngrams)) == len(ngrams):
        return []
    seen: set[str] = set()
    found = []
    for start, ngram in enumerate(ngrams):
        if ngram in seen:
            found.append(start)
        seen.add(ngram)
    return found
