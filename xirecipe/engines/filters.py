"""datatrove's filters under our names: inclusive limits, reasons as recipe keys, and what was measured.

datatrove answers with a reason of its own and no number. Each filter here lets datatrove decide, then measures the
dropped document again with datatrove's helpers, so that kept documents pay nothing for the explanation.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection

from datatrove.data import Document
from datatrove.pipeline.filters.fineweb_quality_filter import FineWebQualityFilter as DatatroveFineWeb
from datatrove.pipeline.filters.gopher_quality_filter import GopherQualityFilter as DatatroveGopherQuality
from datatrove.pipeline.filters.gopher_repetition_filter import GopherRepetitionFilter as DatatroveGopherRepetition
from datatrove.pipeline.filters.gopher_repetition_filter import (
    find_all_duplicate,
    find_duplicates,
    find_top_duplicate,
    get_n_grams,
)
from datatrove.pipeline.writers.disk_base import DiskWriter
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_words

from xirecipe.engines import language_id
from xirecipe.engines.explained import Explained, Verdict
from xirecipe.engines.screens import within_quality, within_repetition, word_counts
from xirecipe.engines.words import UnicodeWords, Words, folded, words_of
from xirecipe.recipe.corpus import (
    Filters,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
    LengthFilter,
)
from xirecipe.recipe.language import Language

_UNICODE = UnicodeWords()
#: datatrove's reasons: the recipe's key, and what a key that stands for two rules leaves open.
_GOPHER_QUALITY_KEYS = {
    "gopher_short_doc": ("min_words", ""),
    "gopher_long_doc": ("max_words", ""),
    "gopher_below_avg_threshold": ("min_mean_word_chars", ""),
    "gopher_above_avg_threshold": ("max_mean_word_chars", ""),
    "gopher_too_many_hashes": ("max_symbol_word_ratio", "hashes"),
    "gopher_too_many_ellipsis": ("max_symbol_word_ratio", "ellipses"),
    "gopher_too_many_bullets": ("max_bullet_lines_ratio", ""),
    "gopher_too_many_end_ellipsis": ("max_ellipsis_lines_ratio", ""),
    "gopher_below_alpha_threshold": ("min_alpha_words_ratio", ""),
}
#: FineWeb's short-line rule has no off switch in datatrove; FineWeb-2's configuration sets this instead.
_OFF_SHORT_LINES = 999
#: What ends a line in FineWeb's rule, and that before a closing quotation mark: a line of dialogue is no menu entry.
_LINE_ENDS = (*sorted(TERMINAL_PUNCTUATION), *(end + quote for end in ".!?…。।॥۔؟" for quote in '"”’»›'))


class Length(Explained):
    """`length`: Unicode code points."""

    name = "length"

    def __init__(self, config: LengthFilter, exclusion_writer: DiskWriter | None = None) -> None:
        super().__init__(exclusion_writer)
        self.config = config

    def verdict(self, document: Document) -> Verdict | None:
        chars, config = len(document.text), self.config
        if chars < config.min_chars:
            return Verdict("length.min_chars", chars, config.min_chars)
        if config.max_chars is not None and chars > config.max_chars:
            return Verdict("length.max_chars", chars, config.max_chars)
        return None


class LanguageScore(Explained):
    """Writes `language_score` into every document's metadata; drops by it where the recipe has `language`.

    `labels` count together: a text goes by `language.expected` only when another label scores more than their sum.
    """

    name = "language"

    def __init__(
        self, config: LanguageFilter | None, labels: Collection[str], exclusion_writer: DiskWriter | None = None
    ) -> None:
        super().__init__(exclusion_writer)
        self.config = config
        self.labels = tuple(labels)

    def verdict(self, document: Document) -> Verdict | None:
        best, best_score, expected = language_id.score(document.text, self.labels)
        document.metadata["language_score"] = expected
        if self.config is None:
            return None
        if best not in self.labels and expected < best_score:
            return Verdict("language.expected", expected, best_score, f"{best} {best_score:.3f}")
        if expected < self.config.min_score:
            return Verdict("language.min_score", expected, self.config.min_score)
        if self.config.max_other_ratio is not None:
            other = language_id.other_ratio(document.text, self.labels)
            if other > self.config.max_other_ratio:
                return Verdict("language.max_other_ratio", other, self.config.max_other_ratio)
        return None


class GopherQuality(Explained, DatatroveGopherQuality):
    """`gopher_quality`. Stop words are counted here, folded on both sides: datatrove compares them as written."""

    name = "gopher_quality"

    def __init__(
        self, config: GopherQualityFilter, exclusion_writer: DiskWriter | None = None, words: Words = _UNICODE
    ) -> None:
        DatatroveGopherQuality.__init__(
            self,
            min_doc_words=_min_words(config),
            max_doc_words=config.max_words,
            min_avg_word_length=config.min_mean_word_chars,
            max_avg_word_length=config.max_mean_word_chars,
            max_symbol_word_ratio=_never_falsy(config.max_symbol_word_ratio),
            max_bullet_lines_ratio=_never_falsy(config.max_bullet_lines_ratio),
            max_ellipsis_lines_ratio=_never_falsy(config.max_ellipsis_lines_ratio),
            max_non_alpha_words_ratio=config.min_alpha_words_ratio,
            min_stop_words=None,
            stop_words=[],
            exclusion_writer=exclusion_writer,
            language=words,
        )
        self.config = config
        self.words = words
        self.folded_stop_words = frozenset(folded(word) for word in config.stop_words)
        self._folded_already = frozenset(word for word in self.folded_stop_words if folded(word) == word)

    def verdict(self, document: Document) -> Verdict | None:
        if within_quality(document.text, self.words, self.config):
            return self._few_stop_words(document.text)
        reason = _reason(DatatroveGopherQuality.filter(self, document))
        return self._measured(document.text, reason) if reason else self._few_stop_words(document.text)

    def _few_stop_words(self, text: str) -> Verdict | None:
        limit = self.config.min_stop_words
        if limit is None or not self.folded_stop_words:
            return None
        there = word_counts(text, self.words).keys()
        if len(self._folded_already & there) >= limit:
            return None
        present = self.folded_stop_words.intersection(map(folded, there))
        if len(present) >= limit:
            return None
        return Verdict("gopher_quality.min_stop_words", len(present), limit, " ".join(sorted(present)))

    def _measured(self, text: str, reason: str) -> Verdict:
        key, detail = _GOPHER_QUALITY_KEYS[reason]
        words, lines = split_into_words(text, self.words), text.splitlines()
        spoken = [word for word in words if any(char not in PUNCTUATION_SET for char in word)]
        value: float
        match reason:
            case "gopher_short_doc" | "gopher_long_doc":
                value = len(spoken)
            case "gopher_below_avg_threshold" | "gopher_above_avg_threshold":
                value = sum(map(len, spoken)) / len(spoken)
            case "gopher_too_many_hashes":
                value = text.count("#") / len(words)
            case "gopher_too_many_ellipsis":
                value = (text.count("...") + text.count("…")) / len(words)
            case "gopher_too_many_bullets":
                value = sum(line.lstrip().startswith(("•", "-")) for line in lines) / len(lines)
            case "gopher_too_many_end_ellipsis":
                value = sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines)
            case _:
                value = sum(any(char.isalpha() for char in word) for word in words) / len(words)
        limit = _min_words(self.config) if key == "min_words" else getattr(self.config, key)
        return Verdict(f"gopher_quality.{key}", value, limit, detail)


class GopherRepetition(Explained, DatatroveGopherRepetition):
    """`gopher_repetition`, without the paragraph and line-character rules, as FineWeb-2 runs it."""

    name = "gopher_repetition"

    def __init__(
        self, config: GopherRepetitionFilter, exclusion_writer: DiskWriter | None = None, words: Words = _UNICODE
    ) -> None:
        DatatroveGopherRepetition.__init__(
            self,
            dup_line_frac=_never_falsy(config.max_dup_lines_ratio),
            dup_para_frac=None,
            dup_line_char_frac=None,
            dup_para_char_frac=None,
            top_n_grams=tuple((limit.words, limit.max_chars_ratio) for limit in config.top_ngrams),
            dup_n_grams=tuple((limit.words, limit.max_chars_ratio) for limit in config.dup_ngrams),
            exclusion_writer=exclusion_writer,
            language=words,
        )
        self.config = config
        self.words = words

    def verdict(self, document: Document) -> Verdict | None:
        text = document.text
        few_lines = "\n" not in text or self.config.max_dup_lines_ratio is None
        if (few_lines or self._lines_differ(text)) and within_repetition(text, self.words, self.config):
            return None
        reason = _reason(DatatroveGopherRepetition.filter(self, document))
        if reason is None:
            return None
        if reason == "dup_line_frac":
            lines = self._line_splitter.split(text)
            value = find_duplicates(lines)[0] / len(lines)
            return Verdict("gopher_repetition.max_dup_lines_ratio", value, self.config.max_dup_lines_ratio)
        words = split_into_words(text, self.words)
        for limit in self.config.top_ngrams:
            if reason == f"top_{limit.words}_gram":
                value = find_top_duplicate(get_n_grams(words, limit.words)) / len(text)
                return Verdict("gopher_repetition.top_ngrams", value, limit.max_chars_ratio, f"{limit.words} words")
        for limit in self.config.dup_ngrams:
            if reason == f"duplicated_{limit.words}_n_grams":
                value = find_all_duplicate(words, limit.words) / len(text)
                return Verdict("gopher_repetition.dup_ngrams", value, limit.max_chars_ratio, f"{limit.words} words")
        raise AssertionError(f"datatrove's Gopher repetition filter gave an unknown reason: {reason}")

    def _lines_differ(self, text: str) -> bool:
        lines = self._line_splitter.split(text) if "\n\n" in text else text.split("\n")
        return len(set(lines)) == len(lines)


class FineWebQuality(Explained, DatatroveFineWeb):
    """`fineweb_quality`, without the short-line rule, as FineWeb-2 runs it."""

    name = "fineweb_quality"

    def __init__(
        self, config: FineWebQualityFilter, exclusion_writer: DiskWriter | None = None, words: Words = _UNICODE
    ) -> None:
        # Unset limits become numbers that no text reaches: datatrove knows no None here.
        DatatroveFineWeb.__init__(
            self,
            exclusion_writer=exclusion_writer,
            line_punct_thr=_or(config.min_punctuated_lines_ratio, 0.0),
            stop_chars=_LINE_ENDS,
            short_line_thr=_OFF_SHORT_LINES,
            char_duplicates_ratio=_or(config.max_dup_line_chars_ratio, math.inf),
            new_line_ratio=_or(config.max_new_lines_per_word, math.inf),
            language=words,
        )
        self.config = config
        self.words = words

    def verdict(self, document: Document) -> Verdict | None:
        reason = _reason(DatatroveFineWeb.filter(self, document))
        if reason is None:
            return None
        text, config = document.text, self.config
        lines = [line for line in text.split("\n") if line.strip()]
        match reason:
            case "line_punct_ratio":
                value = sum(line.endswith(self.stop_chars) for line in lines) / len(lines)
                key, limit = "min_punctuated_lines_ratio", config.min_punctuated_lines_ratio
            case "char_dup_ratio":
                value = find_duplicates(lines)[1] / len(text.replace("\n", ""))
                key, limit = "max_dup_line_chars_ratio", config.max_dup_line_chars_ratio
            case "list_ratio":
                value = text.count("\n") / len(split_into_words(text, self.words))
                key, limit = "max_new_lines_per_word", config.max_new_lines_per_word
            case _:
                raise AssertionError(f"datatrove's FineWeb filter gave an unknown reason: {reason}")
        return Verdict(f"fineweb_quality.{key}", value, limit)


def quality_filters(config: Filters, language: Language, writer: Callable[[str], DiskWriter | None]) -> list[Explained]:
    """A recipe's filters in the order they run, cheapest first. `writer(name)` makes a filter's exclusion writer."""
    found: list[Explained] = []
    words = words_of(language.words)
    if config.length is not None:
        found.append(Length(config.length, writer("length")))
    found.append(LanguageScore(config.language, language.lid_labels, writer("language")))
    if config.gopher_quality is not None:
        found.append(GopherQuality(config.gopher_quality, writer("gopher_quality"), words))
    if config.gopher_repetition is not None:
        found.append(GopherRepetition(config.gopher_repetition, writer("gopher_repetition"), words))
    if config.fineweb_quality is not None:
        found.append(FineWebQuality(config.fineweb_quality, writer("fineweb_quality"), words))
    return found


def _min_words(config: GopherQualityFilter) -> int:
    """At least one even where the rule is off: a text of symbols alone has no words for the other rules to measure."""
    return config.min_words or 1


def _never_falsy(limit: float | None) -> float | None:
    """datatrove takes 0 for "off"; the smallest positive number drops what 0 would drop."""
    return sys.float_info.min if limit == 0 else limit


def _or(limit: float | None, off: float) -> float:
    return off if limit is None else limit


def _reason(result: bool | tuple[bool, str]) -> str | None:
    """datatrove's reason for dropping, or None where it keeps."""
    match result:
        case (False, reason):
            return reason
        case _:
            return None
