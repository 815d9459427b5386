from __future__ import annotations

import pytest
from datatrove.data import Document
from datatrove.pipeline.filters.gopher_quality_filter import GopherQualityFilter as DatatroveGopherQuality
from datatrove.pipeline.filters.gopher_repetition_filter import GopherRepetitionFilter as DatatroveGopherRepetition
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.engines.filters import GopherQuality, GopherRepetition
from xirecipe.engines.screens import within_quality, within_repetition
from xirecipe.engines.words import UnicodeWords
from xirecipe.recipe.corpus import GopherQualityFilter, GopherRepetitionFilter, NgramLimit

WORDS = UnicodeWords()
#: Few words, some of one letter, so that n-grams repeat, overlap, and are joined to the same text in several ways.
TEXTS = st.lists(
    st.sampled_from(["na", "n", "a", "aa", "watoto", "#", "…", "...", "-", "•", "7", ".", "\n", "Mji"]), max_size=60
).map(lambda words: " ".join(words) or "x")
RATIOS = st.floats(0.01, 1.0)
NGRAMS = st.lists(st.builds(NgramLimit, words=st.integers(1, 6), max_chars_ratio=RATIOS), max_size=4).map(tuple)


@given(TEXTS, NGRAMS, NGRAMS)
def test_what_the_screen_lets_pass_datatrove_keeps_by_its_ngram_rules(
    text: str, top: tuple[NgramLimit, ...], dup: tuple[NgramLimit, ...]
) -> None:
    limits = GopherRepetitionFilter(top_ngrams=top, dup_ngrams=dup)
    if within_repetition(text, WORDS, limits):
        # The filter that is asked where there is no proof; its rules for lines are off.
        asked = GopherRepetition(limits, words=WORDS)
        assert DatatroveGopherRepetition.filter(asked, Document(text, "x")) is True


@given(
    TEXTS,
    st.builds(
        GopherQualityFilter,
        min_words=st.none() | st.integers(1, 20),
        max_words=st.none() | st.integers(20, 40),
        min_mean_word_chars=st.none() | st.floats(0.5, 3),
        max_mean_word_chars=st.none() | st.floats(3, 6),
        max_symbol_word_ratio=st.none() | RATIOS,
        max_bullet_lines_ratio=st.none() | RATIOS,
        max_ellipsis_lines_ratio=st.none() | RATIOS,
        min_alpha_words_ratio=st.none() | RATIOS,
    ),
)
def test_what_the_screen_lets_pass_datatrove_keeps_by_its_quality_rules(text: str, limits: GopherQualityFilter) -> None:
    if within_quality(text, WORDS, limits):
        asked = GopherQuality(limits, words=WORDS)
        assert DatatroveGopherQuality.filter(asked, Document(text, "x")) is True


CLEAN = (
    "Mji wa Mombasa uko katika pwani ya Kenya, na watu wake wengi hufanya kazi bandarini. Kila asubuhi meli kubwa "
    "hufika kutoka nchi za mbali, zikileta nguo, vyakula na mashine za kila aina kwa wafanyabiashara wa mjini."
)
FINEWEB2 = GopherRepetitionFilter(
    top_ngrams=(NgramLimit(words=2, max_chars_ratio=0.396), NgramLimit(words=3, max_chars_ratio=0.282)),
    dup_ngrams=tuple(NgramLimit(words=n, max_chars_ratio=0.193 - n / 100) for n in range(5, 11)),
)


def test_clean_text_needs_no_second_look() -> None:
    assert within_repetition(CLEAN, WORDS, FINEWEB2)
    assert within_quality(CLEAN, WORDS, GopherQualityFilter(min_words=20))


@pytest.mark.parametrize("text", [f"{CLEAN} {CLEAN}", "a a a a a a", "na wa " * 30])
def test_repeated_text_is_left_to_datatrove(text: str) -> None:
    assert not within_repetition(text, WORDS, FINEWEB2)
