"""Cutting a text at a sentence end, in many scripts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.sentences import cut_at_sentence

ENDERS = ".!?…।॥۔؟"


@pytest.mark.parametrize(
    ("text", "max_chars", "cut"),
    [
        ("Moja. Mbili. Tatu.", 14, "Moja. Mbili."),
        ("Moja. Mbili. Tatu.", 12, "Moja. Mbili."),
        ("Moja. Mbili. Tatu.", 18, "Moja. Mbili. Tatu."),
        ("Moja! Mbili? Tatu", 13, "Moja! Mbili?"),
        ("पहला वाक्य। दूसरा वाक्य।", 15, "पहला वाक्य।"),
        ("پہلا جملہ۔ دوسرا جملہ۔", 14, "پہلا جملہ۔"),
        ("mstari mmoja\nmstari wa pili", 16, "mstari mmoja"),
        ("Bei ni 3.5 milioni leo", 14, "Bei ni 3.5"),
    ],
)
def test_the_cut_is_after_the_last_sentence_end_that_fits(text: str, max_chars: int, cut: str) -> None:
    assert cut_at_sentence(text, max_chars, ENDERS) == cut


def test_a_sentence_end_in_the_first_half_gives_way_to_white_space() -> None:
    assert cut_at_sentence("Ndiyo. Lakini hiyo si yote kabisa", 25, ENDERS) == "Ndiyo. Lakini hiyo si"


def test_a_full_stop_inside_a_web_address_ends_no_sentence() -> None:
    assert cut_at_sentence("Tazama xirecipe.org sasa hivi", 18, ENDERS) == "Tazama xirecipe.or"


def test_no_limit_and_short_texts_cut_nothing() -> None:
    assert cut_at_sentence("abc", None, ENDERS) == "abc"
    assert cut_at_sentence("abc", 3, ENDERS) == "abc"


def test_thai_is_cut_at_the_limit_and_no_mark_is_parted_from_its_letter() -> None:
    text = "ที่นี่มีน้ำดื่มสะอาดให้ทุกคนดื่มฟรีตลอดทั้งวัน"
    for limit in range(1, len(text)):
        cut = cut_at_sentence(text, limit, ENDERS)
        assert not unicodedata.category(text[len(cut)]).startswith("M") or len(cut) == 1
        assert limit - len(cut) <= 3


def test_letters_joined_by_a_virama_or_a_joiner_stay_together() -> None:
    text = "क्षत्रियोंकाराज्यबहुतबड़ाथाऔर"
    for limit in range(2, len(text)):
        cut = cut_at_sentence(text, limit, ENDERS)
        assert len(cut) == 1 or unicodedata.combining(cut[-1]) != 9


def test_a_text_of_marks_alone_keeps_at_least_one_character() -> None:
    assert cut_at_sentence("\u0301" * 9, 4, ENDERS) == "\u0301"


@given(st.text(alphabet=st.sampled_from("ab .!?।\nกิ่\u094d\u200d3"), max_size=60), st.integers(1, 50))
def test_a_cut_is_a_beginning_of_the_text_within_the_limit(text: str, max_chars: int) -> None:
    cut = cut_at_sentence(text, max_chars, ENDERS)
    assert text.startswith(cut)
    assert len(cut) <= max_chars
    assert cut or not text[:max_chars].strip()
