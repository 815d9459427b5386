from __future__ import annotations

import math
from typing import Any

import pytest
from datatrove.data import Document

from xirecipe.engines.explained import Explained, Verdict, Visible
from xirecipe.engines.filters import FineWebQuality, GopherQuality, GopherRepetition, LanguageScore, Length
from xirecipe.recipe.corpus import (
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
    LengthFilter,
)

SENTENCE = "Watoto wa shule walikwenda sokoni na mama yao kununua matunda na mboga za majani."
ENGLISH = "The children went to the market with their mother to buy fruit and vegetables."
OFF: dict[str, Any] = {
    "min_words": None,
    "max_symbol_word_ratio": None,
    "max_bullet_lines_ratio": None,
    "max_ellipsis_lines_ratio": None,
    "min_stop_words": None,
}


def length(**limits: int) -> Length:
    return Length(LengthFilter(**limits))


def quality(**limits: Any) -> GopherQuality:
    return GopherQuality(GopherQualityFilter(**(OFF | limits)))


def repetition(**limits: Any) -> GopherRepetition:
    return GopherRepetition(GopherRepetitionFilter.model_validate(limits))


def fineweb(**limits: float) -> FineWebQuality:
    return FineWebQuality(FineWebQualityFilter(**limits))


def language(min_score: float = 0.0) -> LanguageScore:
    return LanguageScore(LanguageFilter(min_score=min_score), ("sw",))


def limited(reason: str, limit: Any) -> Explained:
    """The filter of a reason's section, with this one limit."""
    section, key = reason.split(".")
    match section, key:
        case "length", _:
            return length(**{key: limit})
        case "gopher_quality", _:
            return quality(**{key: limit}, stop_words=("katika", "na"))
        case "gopher_repetition", "max_dup_lines_ratio":
            return repetition(max_dup_lines_ratio=limit)
        case "gopher_repetition", _:
            return repetition(**{key: [{"words": 2, "max_chars_ratio": limit}]})
        case _:
            return fineweb(**{key: limit})


def verdict(step: Explained, text: str) -> Verdict | None:
    return step.verdict(Document(text, "x"))


# Each reason: a text, what is measured in it, and a limit that it is beyond.
DROPPED = [
    ("length.min_chars", "Habari", 6, 7),
    ("length.max_chars", "Habari", 6, 5),
    ("gopher_quality.min_words", "moja, mbili!", 2, 3),
    ("gopher_quality.max_words", "moja mbili tatu.", 3, 2),
    ("gopher_quality.min_mean_word_chars", "na wa ya", 2.0, 2.5),
    ("gopher_quality.max_mean_word_chars", "mama baba", 4.0, 3.5),
    ("gopher_quality.max_symbol_word_ratio", "# moja # mbili", 0.5, 0.4),
    ("gopher_quality.max_symbol_word_ratio", "moja…", 0.5, 0.4),
    ("gopher_quality.max_symbol_word_ratio", "moja... mbili", 0.2, 0.1),
    ("gopher_quality.max_bullet_lines_ratio", "- moja\n• mbili", 1.0, 0.9),
    ("gopher_quality.max_ellipsis_lines_ratio", "moja...\nmbili", 0.5, 0.3),
    ("gopher_quality.min_alpha_words_ratio", "moja 2 3 4", 0.25, 0.5),
    ("gopher_quality.min_stop_words", "Katika mji", 1, 2),
    ("gopher_repetition.max_dup_lines_ratio", "a\na\nb\nc", 0.25, 0.2),
    ("gopher_repetition.top_ngrams", "na wa na wa", 10 / 11, 0.5),
    ("gopher_repetition.dup_ngrams", "na wa na wa", 4 / 11, 0.3),
    ("fineweb_quality.min_punctuated_lines_ratio", "a.\nb\nc\nd", 0.25, 0.3),
    ("fineweb_quality.max_dup_line_chars_ratio", "ab\nab", 0.5, 0.4),
    ("fineweb_quality.max_new_lines_per_word", "a\nb", 0.5, 0.4),
]


@pytest.mark.parametrize(("reason", "text", "value", "beyond"), DROPPED)
def test_a_document_beyond_a_limit_is_dropped_with_its_value(
    reason: str, text: str, value: float, beyond: float
) -> None:
    found = verdict(limited(reason, beyond), text)
    assert found is not None
    assert (found.reason, found.threshold) == (reason, beyond)
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize(("reason", "text", "value", "beyond"), DROPPED)
def test_a_document_at_a_limit_stays(reason: str, text: str, value: float, beyond: float) -> None:
    assert verdict(limited(reason, value), text) is None


@pytest.mark.parametrize(
    "step",
    [quality(max_symbol_word_ratio=0), quality(max_ellipsis_lines_ratio=0), fineweb(max_new_lines_per_word=0)],
)
def test_a_limit_of_zero_is_a_limit_and_not_off(step: Explained) -> None:
    assert verdict(step, "moja…\nmbili…") is not None
    assert verdict(step, "moja mbili") is None


def test_a_ratio_of_zero_allows_no_repeated_line() -> None:
    assert verdict(repetition(max_dup_lines_ratio=0), "a\na") is not None
    assert verdict(repetition(max_dup_lines_ratio=0), "a\nb") is None


@pytest.mark.parametrize("step", [length(), quality(), repetition(), fineweb(), LanguageScore(None, ("sw",))])
@pytest.mark.parametrize("text", ["# … na\nna\nna\nna", "x", "- " * 50 + "x", ENGLISH, "neno\n" * 40])
def test_rules_that_are_not_set_drop_nothing(step: Explained, text: str) -> None:
    assert verdict(step, text) is None


def test_a_text_of_symbols_alone_has_no_words_whatever_is_set() -> None:
    assert verdict(quality(min_mean_word_chars=3.0), "!!! ... ---") == Verdict("gopher_quality.min_words", 0, 1)


def test_ngram_drops_name_the_length_of_the_ngram() -> None:
    step = repetition(dup_ngrams=[{"words": 5, "max_chars_ratio": 0.1}])
    found = verdict(step, "moja mbili tatu nne tano " * 3)
    assert found is not None
    assert found.detail == "5 words"


def test_symbols_say_whether_they_are_hashes_or_ellipses() -> None:
    hashes, ellipses = (verdict(quality(max_symbol_word_ratio=0.1), text) for text in ("#moja", "moja…"))
    assert hashes is not None
    assert ellipses is not None
    assert (hashes.detail, ellipses.detail) == ("hashes", "ellipses")


def test_another_language_is_dropped_with_its_label_and_score() -> None:
    found = verdict(language(), ENGLISH)
    assert found is not None
    assert found.reason == "language.expected"
    assert found.detail.startswith("en 0.9")
    assert found.value is not None
    assert found.threshold is not None
    assert found.value < found.threshold


def test_the_least_language_score_is_inclusive() -> None:
    document = Document(SENTENCE, "x")
    assert language().verdict(document) is None
    score = document.metadata["language_score"]
    assert verdict(language(score), SENTENCE) is None
    assert verdict(language(math.nextafter(score, 1)), SENTENCE) == Verdict(
        "language.min_score", score, math.nextafter(score, 1)
    )


def test_labels_of_confused_neighbours_count_together() -> None:
    assert LanguageScore(LanguageFilter(min_score=0.9), ("sw", "en")).verdict(Document(ENGLISH, "x")) is None


@pytest.mark.parametrize(
    ("text", "stop_words"),
    [
        ("Katika mji", ("katika",)),
        ("KATIKA MJI", ("Katika",)),
        ("ब\u095cा घर", ("बड\u093cा",)),
        ("बड\u093cा घर", ("ब\u095cा",)),
        ("ক\u09c7\u09beন বাড়ি", ("ক\u09cbন",)),
        ("İle gitti", ("ile",)),
    ],
    ids=["capital first", "all capitals", "hindi text not in NFC", "hindi list not in NFC", "bengali", "turkish"],
)
def test_stop_words_match_however_they_are_written(text: str, stop_words: tuple[str, ...]) -> None:
    assert verdict(quality(min_stop_words=1, stop_words=stop_words), text) is None


def test_a_stop_word_counts_once() -> None:
    found = verdict(quality(min_stop_words=2, stop_words=("na", "wa")), "na na na")
    assert found == Verdict("gopher_quality.min_stop_words", 1, 2, "na")


def test_a_language_without_stop_words_drops_nothing_for_them() -> None:
    assert verdict(quality(min_stop_words=2), "maneno tu") is None


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\ufeff", "\x00"])
def test_a_text_in_which_nothing_can_be_seen_is_empty(text: str) -> None:
    found = verdict(Visible(), text)
    assert found is not None
    assert found.reason == "read.empty"
