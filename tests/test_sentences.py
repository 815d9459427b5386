"""Cutting a text at a sentence end, in many scripts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe import thai
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


@pytest.mark.parametrize(
    ("text", "max_chars", "cut"),
    [
        ('Alisema: "Njoo hapa." Akaenda zake.', 26, 'Alisema: "Njoo hapa."'),
        ("Wote walikuja (hata Juma.) Kisha wakala.", 34, "Wote walikuja (hata Juma.)"),
        ("“क्या तुम आओगे?” उसने पूछा कि कब", 26, "“क्या तुम आओगे?”"),
        ("उसने कहा, “हाँ।” फिर वह चला गया।", 26, "उसने कहा, “हाँ।”"),
        ("তিনি বললেন, “আসুন।” তারপর চলে গেলেন।", 28, "তিনি বললেন, “আসুন।”"),
        ("اس نے کہا، ”آؤ۔“ پھر وہ چلا گیا۔", 26, "اس نے کہا، ”آؤ۔"),
        ("کیا تم آؤ گے؟ وہ خاموش رہا اور", 22, "کیا تم آؤ گے؟"),
        ("धर्मो रक्षति रक्षितः॥ यह श्लोक प्रसिद्ध है", 32, "धर्मो रक्षति रक्षितः॥"),
        ("সে ভাত খায়। আমি রুটি খাই", 20, "সে ভাত খায়।"),
        ("Ni kweli?! Ndiyo kabisa", 16, "Ni kweli?!"),
    ],
)
def test_an_ender_keeps_its_run_and_its_closing_quotes_and_brackets(text: str, max_chars: int, cut: str) -> None:
    assert cut_at_sentence(text, max_chars, ENDERS) == cut


def test_a_sentence_whose_closing_quote_does_not_fit_is_left_out() -> None:
    text = "Walikaa kimya kwa muda. “Njoo.” Akaondoka."
    assert cut_at_sentence(text, text.index("”"), ENDERS) == "Walikaa kimya kwa muda."


def test_a_quote_right_before_a_word_opens_the_next_sentence() -> None:
    assert cut_at_sentence('वह घर आया।"अब चलो" उसने कहा', 18, ENDERS) == "वह घर आया।"


@pytest.mark.parametrize(
    ("text", "max_chars", "cut"),
    [
        ("Alikuja mapema sana. Kisha Dr. Mwangi akaingia", 36, "Alikuja mapema sana."),
        ("Sonra yavaşça eve gitti. Akşam Prof. Yılmaz aradı", 40, "Sonra yavaşça eve gitti."),
        ("তিনি হাসপাতালে গেলেন। সেখানে ডা. রহিম ছিলেন", 36, "তিনি হাসপাতালে গেলেন।"),
        ("वे अस्पताल गए। वहाँ डॉ. शर्मा मिले", 27, "वे अस्पताल गए।"),
        ("Chukua hivi:\n1. Maji\n2. Chumvi", 24, "Chukua hivi:\n1. Maji"),
        ("Nunua matunda mengi. Embe, ndizi n.k. kwa bei nafuu", 37, "Nunua matunda mengi."),
        ("Alisubiri sana hapo. Labda… angekuja kesho asubuhi", 32, "Alisubiri sana hapo."),
        ("Alisubiri sana hapo. Labda... angekuja kesho asubuhi", 32, "Alisubiri sana hapo."),
        ("Alisubiri sana... Hakuja mtu yeyote pale", 30, "Alisubiri sana..."),
    ],
)
def test_short_forms_list_numbers_and_pauses_inside_a_sentence_end_none(text: str, max_chars: int, cut: str) -> None:
    assert cut_at_sentence(text, max_chars, ENDERS) == cut


def test_a_pause_is_still_better_than_the_middle_of_a_clause() -> None:
    assert cut_at_sentence("alisubiri sana hapo… labda angekuja kesho", 30, ENDERS) == "alisubiri sana hapo…"


THAI = " !?…"


@pytest.mark.parametrize(
    ("text", "max_chars", "cut"),
    [
        ("เช้าวันนี้ฝนตกหนักมาก เด็กนักเรียนจึงไปโรงเรียนสาย", 40, "เช้าวันนี้ฝนตกหนักมาก"),
        ("เช้าวันนี้ฝนตกหนักมาก เด็กนักเรียนไปโรงเรียนสาย ครูไม่ว่าอะไรเลยสักคำ", 50, "เช้าวันนี้ฝนตกหนักมาก เด็กนักเรียนไปโรงเรียนสาย"),
        ("ชาวนาเกี่ยวข้าวเสร็จแล้วทั้งทุ่ง เมื่อแดดร่มลมตกในตอนเย็น ทุกคนนั่งล้อมวงกินข้าว", 62, "ชาวนาเกี่ยวข้าวเสร็จแล้วทั้งทุ่ง"),
        ("วันนี้อากาศดีจังเลย! พวกเราไปเที่ยวทะเลกันเถอะ", 30, "วันนี้อากาศดีจังเลย!"),
        ("แม่ค้าขายผลไม้ที่ตลาดน้ำ วันนี้มีให้เลือก ส้ม กล้วย มะม่วง และฝรั่ง", 47, "แม่ค้าขายผลไม้ที่ตลาดน้ำ"),
        ("ชาวบ้านช่วยกันปลูกป่าชายเลน เริ่มตั้งแต่ปี 2540 จนถึงวันนี้", 48, "ชาวบ้านช่วยกันปลูกป่าชายเลน"),
        ("ร้านนี้เปิดสอนทำอาหารไทย โดยใช้แอป LINE สำหรับการจอง", 44, "ร้านนี้เปิดสอนทำอาหารไทย"),
        ("ในสวนหลังบ้านมีต้นไม้ใหญ่ เด็ก ๆ ชอบมาวิ่งเล่นกันทุกเย็น", 34, "ในสวนหลังบ้านมีต้นไม้ใหญ่"),
    ],
)
def test_a_space_between_two_thai_phrases_ends_a_sentence_and_no_other_space_does(
    text: str, max_chars: int, cut: str
) -> None:
    assert cut_at_sentence(text, max_chars, THAI) == cut


def test_thai_without_a_space_is_cut_after_a_word() -> None:
    text = "ที่นี่มีน้ำดื่มสะอาดให้ทุกคนดื่มฟรีตลอดทั้งวัน"
    ends = {0}
    for word in thai.segment(text):
        ends.add(max(ends) + len(word))
    for limit in range(16, len(text)):
        cut = cut_at_sentence(text, limit, THAI)
        assert len(cut) in ends
        assert len(cut) > limit // 2


@given(st.text(alphabet=st.sampled_from("กนมเแะาำิี่้ๆ "), min_size=2, max_size=60), st.integers(1, 50))
def test_no_thai_vowel_or_tone_mark_is_parted_from_its_consonant(text: str, max_chars: int) -> None:
    cut = cut_at_sentence(text, max_chars, THAI)
    following = text[len(cut) :]
    if len(cut) > 1 and following.strip() and not following[0].isspace():
        assert following[0] not in "ะาำิี่้ๆ"
        assert cut[-1] not in "เแ"


def test_letters_joined_by_a_virama_or_a_joiner_stay_together() -> None:
    text = "क्षत्रियोंकाराज्यबहुतबड़ाथाऔर"
    for limit in range(2, len(text)):
        cut = cut_at_sentence(text, limit, ENDERS)
        assert len(cut) == 1 or unicodedata.combining(cut[-1]) != 9


def test_a_text_of_marks_alone_keeps_at_least_one_character() -> None:
    assert cut_at_sentence("\u0301" * 9, 4, ENDERS) == "\u0301"


@given(
    st.text(alphabet=st.sampled_from('abC .!?।\nกิ่ำๆ\u094d\u200d3”")…'), max_size=60) | st.text(max_size=60),
    st.integers(1, 50),
    st.sampled_from([ENDERS, THAI, "", "."]),
)
def test_a_cut_is_a_beginning_of_the_text_within_the_limit(text: str, max_chars: int, enders: str) -> None:
    cut = cut_at_sentence(text, max_chars, enders)
    assert text.startswith(cut)
    assert len(cut) <= max_chars
    assert cut or not text[:max_chars].strip()
