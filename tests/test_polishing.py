"""Which lines at the ends of a text are page furniture, and that nothing else is touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.polishing import MAX_LINE_CHARS, Polished, polish
from xirecipe.recipe.corpus import Polish

BODY = "Mvua imenyesha sana mjini leo. Watu wengi wamebaki nyumbani na watoto hawakwenda shule.\n\nKesho jua litawaka."
#: A body in the language, by code, with the enders of its language file.
BODIES = {
    "swh_Latn": (BODY, ".!?…"),
    "tur_Latn": ("Bugün şehirde çok yağmur yağdı. İnsanlar evlerinde kaldı ve çocuklar okula gitmedi.", ".!?…"),
    "vie_Latn": ("Hôm nay trời mưa rất to trong thành phố. Mọi người ở nhà và trẻ em không đi học.", ".!?…"),
    "fin_Latn": ("Tänään kaupungissa satoi paljon. Ihmiset pysyivät kotona, eivätkä lapset menneet kouluun.", ".!?…"),
    "tha_Thai": ("วันนี้ฝนตกหนักในเมือง ผู้คนอยู่บ้านและเด็กๆไม่ได้ไปโรงเรียน พรุ่งนี้อากาศจะดีขึ้นมาก", " .!?…"),
    "hin_Deva": ("आज शहर में बहुत बारिश हुई। लोग घर पर रहे और बच्चे स्कूल नहीं गए। कल धूप निकलेगी।", "।.!?…"),
    "ben_Beng": ("আজ শহরে খুব বৃষ্টি হয়েছে। মানুষ বাড়িতে ছিল এবং শিশুরা স্কুলে যায়নি।", "।.!?…"),
    "tam_Taml": ("இன்று நகரத்தில் பலத்த மழை பெய்தது. மக்கள் வீட்டில் இருந்தனர், குழந்தைகள் பள்ளிக்குச் செல்லவில்லை.", ".!?…"),
    "urd_Arab": ("آج شہر میں بہت بارش ہوئی۔ لوگ گھروں میں رہے اور بچے سکول نہیں گئے۔ کل دھوپ نکلے گی۔", "۔؟.!?…"),
}


def polished(text: str, code: str = "swh_Latn", **config: Any) -> Polished:
    return polish(text, Polish.model_validate({"max_removed_ratio": 0.9, **config}), BODIES[code][1])


def rules_of(found: Polished) -> list[str]:
    return [cut.rule for cut in found.cuts]


FURNITURE = [
    ("navigation", "swh_Latn", "Mwanzo | Habari | Michezo | Burudani"),
    ("navigation", "swh_Latn", "Home > News"),
    ("navigation", "swh_Latn", "Mwanzo » Afya » Jinsi ya kunawa mikono vizuri kabla ya kula chakula"),
    ("navigation", "tha_Thai", "หน้าแรก > ข่าว > ภาคเหนือ"),
    ("navigation", "hin_Deva", "होम | समाचार | खेल | मनोरंजन"),
    ("navigation", "urd_Arab", "صفحہ اول | خبریں | پاکستان | کھیل"),
    ("navigation", "urd_Arab", "صفحہ اول » خبریں"),
    ("navigation", "vie_Latn", "Trang chủ • Thời sự • Thể thao"),
    ("copyright", "swh_Latn", "© 2026 Gazeti la Mtaa. Haki zote zimehifadhiwa."),
    ("copyright", "hin_Deva", "Copyright 2026 हमारा अख़बार"),
    ("copyright", "tha_Thai", "© สงวนลิขสิทธิ์ 2569"),
    ("address", "swh_Latn", "https://example.org/habari/2026/mvua"),
    ("address", "swh_Latn", "Barua pepe: habari@example.org"),
    ("address", "swh_Latn", "Simu: +255 22 211 0000, <email>"),
    ("address", "tha_Thai", "โทร 02-123-4567"),
    ("address", "hin_Deva", "फ़ोन: 011 2345 6789"),
    ("address", "urd_Arab", "فون: ۰۴۲-۱۲۳۴۵۶۷۸"),
    ("handles", "swh_Latn", "#Mvua #DarEsSalaam"),
    ("handles", "tur_Latn", "Twitter: @sehirhaber"),
    ("date", "swh_Latn", "Imechapishwa: Jumatano, Novemba 21, 2026 saa 10:30"),
    ("date", "swh_Latn", "21/11/2026 10:30"),
    ("date", "swh_Latn", "2026-11-21T10:30:00Z"),
    ("date", "fin_Latn", "21. marraskuuta 2026 klo 10.30"),
    ("date", "vie_Latn", "Thứ tư, ngày 21 tháng 11 năm 2026"),
    ("date", "tha_Thai", "21 พฤศจิกายน 2569 เวลา 10:05 น."),
    ("date", "hin_Deva", "प्रकाशित: २१ नवंबर २०२६"),
    ("date", "ben_Beng", "২১ নভেম্বর ২০২৬"),
    ("date", "tam_Taml", "21 நவம்பர் 2026, 10:30"),
    ("date", "urd_Arab", "۲۱ نومبر ۲۰۲۶"),
    ("count", "swh_Latn", "Maoni (3)"),
    ("count", "hin_Deva", "टिप्पणियाँ (१२)"),
    ("count", "urd_Arab", "تبصرے (۳)"),
    ("button", "swh_Latn", "Share on Facebook Tweet Email"),
    ("button", "tha_Thai", "Print"),
    ("button", "urd_Arab", "Comments 12"),
    ("byline", "swh_Latn", "By Asha Mwinyi"),
    ("opener", "swh_Latn", "Tags: mvua, hali ya hewa"),
    ("opener", "hin_Deva", "Read also: दिल्ली में बारिश"),
    ("opener", "swh_Latn", "This website uses cookies to improve your experience."),
]


@pytest.mark.parametrize(("rule", "code", "line"), FURNITURE, ids=[f"{c}-{line}" for _, c, line in FURNITURE])
def test_furniture_goes_from_the_head_and_from_the_tail(rule: str, code: str, line: str) -> None:
    body = BODIES[code][0]
    assert polished(f"{line}\n\n{body}", code) == Polished(
        f"{line}\n\n", body, "", polished(f"{line}\n\n{body}", code).cuts
    )
    found = polished(f"{line}\n{body}\n\n{line}", code)
    assert (found.head, found.text, found.tail) == (f"{line}\n", body, f"\n\n{line}")
    assert rules_of(found) == [rule, rule]


PROSE = [
    ("swh_Latn", "Jinsi ya kupika wali wa nazi"),
    ("swh_Latn", "Vita vya Maji Maji, 1905-1907"),
    ("swh_Latn", "Mwaka 1961"),
    ("swh_Latn", "Yohana 3:16"),
    ("swh_Latn", "Viungo: vikombe 2 vya mchele, nazi 1, maji"),
    ("swh_Latn", "Nambari ya polisi ni 112."),
    ("swh_Latn", "Alizaliwa tarehe 13 Aprili 1922 katika kijiji cha Butiama karibu na Ziwa Viktoria"),
    ("swh_Latn", "Piga simu 0712 345 678."),
    ("swh_Latn", "5 > 3"),
    ("swh_Latn", "Rais afungua shule mpya | Gazeti"),
    ("swh_Latn", '— @mwandishi, "Kuishi vijijini"'),
    ("swh_Latn", "1. Barry Lyndon (1975) - dakika 184"),
    ("swh_Latn", "Tanzania (1992)"),
    ("swh_Latn", "* [Kitabu](https://example.org/kitabu)"),
    ("swh_Latn", "`curl https://example.org`"),
    ("swh_Latn", "Byabato Mugisha"),
    ("fin_Latn", "Toivo Kuula"),
    ("vie_Latn", "14.67°B 74.3°Đ / 14.67; 74.3"),
    ("tha_Thai", "ข้าวผัดกะเพรา 2 จาน"),
    ("tha_Thai", "พ.ศ. 2475"),
    ("hin_Deva", "पहलवान जी।"),
    ("hin_Deva", "मैं 21 नवंबर 2026 को दिल्ली में अपने पुराने मित्र से मिला और हम दोनों बहुत देर तक बैठे रहे"),
    ("urd_Arab", "بارش کا موسم"),
    ("urd_Arab", "میں ۲۱ نومبر ۲۰۲۶ کو پیدا ہوا۔"),
    ("ben_Beng", "বৃষ্টির দিন"),
    ("tam_Taml", "மழைக்காலம்"),
    ("tur_Latn", "Menemen nasıl yapılır"),
]


@pytest.mark.parametrize(("code", "line"), PROSE, ids=[f"{code}-{line}" for code, line in PROSE])
def test_titles_lists_and_sentences_stay(code: str, line: str) -> None:
    text = f"{line}\n\n{BODIES[code][0]}\n\n{line}x\n{line}"
    assert polished(text, code) == Polished("", text, "")


@pytest.mark.parametrize("code", BODIES)
def test_a_text_without_furniture_is_left_alone(code: str) -> None:
    body = BODIES[code][0]
    assert polished(body, code) == Polished("", body, "")


def test_furniture_inside_a_text_stays() -> None:
    text = f"{BODY}\n\nMwanzo | Habari | Michezo\n\n{BODY}"
    assert polished(text).text == text


def test_lines_go_until_the_first_that_is_no_furniture() -> None:
    head, inner = "Mwanzo | Habari | Michezo\n\n21/11/2026\n", "Mvua mjini\nShare\n"
    found = polished(f"{head}{inner}{BODY}")
    assert (found.head, found.text) == (head, inner + BODY)


def test_a_title_that_stands_twice_with_furniture_between_stands_once() -> None:
    found = polished(f"Mvua mjini\n21/11/2026\nMVUA  MJINI\n\n{BODY}")
    assert (found.head, found.text) == ("Mvua mjini\n21/11/2026\n", f"MVUA  MJINI\n\n{BODY}")
    assert rules_of(found) == ["title", "date"]


def test_a_verse_that_comes_again_later_and_a_sentence_said_twice_stay() -> None:
    for text in (f"Njoo mvua\nMashamba yana kiu\nNjoo mvua\n{BODY}", f"Njoo mvua.\nNjoo mvua.\n{BODY}"):
        assert polished(text).text == text


def test_phrases_of_the_recipe_open_lines_in_any_case_and_normal_form() -> None:
    phrases = ["Soma pia", "इसे भी पढ़ें", "อ่านเพิ่มเติม", "İlgili haberler", "یہ بھی پڑھیں"]
    decomposed = "इसे भी पढ\u093cें: दिल्ली में बारिश"
    for line in (
        "» SOMA PIA: Mafuriko Kilosa.",
        decomposed,
        "อ่านเพิ่มเติมเรื่องฝน",
        "İLGİLİ HABERLER",
        "یہ بھی پڑھیں: بارش",
    ):
        found = polished(f"{BODY}\n{line}", phrases=phrases)
        assert (found.text, found.tail, rules_of(found)) == (BODY, f"\n{line}", ["phrase"])


def test_a_phrase_does_not_match_the_beginning_of_a_longer_word() -> None:
    text = f"Chanzoni mwa mto kuna msitu mkubwa\n{BODY}"
    assert polished(text, phrases=["Chanzo"]).text == text
    assert polished(text.replace("Chanzoni", "Chanzo:"), phrases=["Chanzo"]).text == BODY


def test_a_phrase_of_signs_alone_matches_nothing() -> None:
    assert polished(BODY, phrases=["_"]).text == BODY


def test_a_long_line_is_prose_whatever_it_opens_with() -> None:
    line = "Soma pia " + "maneno " * (MAX_LINE_CHARS // 7)
    assert polished(f"{line}\n{BODY}", phrases=["Soma pia"]).head == ""


def test_no_more_lines_go_than_the_limits_say() -> None:
    text = "\n".join(["Print", "Share", "", "Menu", BODY, "Print", "Share"])
    found = polished(text, max_head_lines=2, max_tail_lines=0)
    assert (found.head, found.text) == ("Print\nShare\n\n", "\n".join(["Menu", BODY, "Print", "Share"]))


def test_a_text_that_would_lose_more_than_its_share_keeps_all() -> None:
    text = f"Share\n{'Mvua.'}"
    assert polished(text, max_removed_ratio=6 / len(text)).text == "Mvua."
    assert polished(text, max_removed_ratio=5 / len(text)) == Polished("", text, "")


@pytest.mark.parametrize("text", ["", "\n\n", "Share", "Share\n\nPrint\n", " \n© 2026\n "])
def test_a_text_of_nothing_but_furniture_keeps_all(text: str) -> None:
    assert polished(text) == Polished("", text, "")


#: What the schema takes for a word: unlike Python's `\w`, no superscript digits.
PHRASES = st.text(st.characters(categories=("L", "Nd")), min_size=1, max_size=8)
LINES = st.one_of(
    st.sampled_from([line for _, _, line in FURNITURE] + [line for _, line in PROSE] + ["", " ", "\u2028", BODY]),
    st.text(max_size=30),
)


@given(
    lines=st.lists(LINES, max_size=12), head=st.integers(0, 4), tail=st.integers(0, 4),
    ratio=st.floats(0.01, 0.99), phrases=st.lists(PHRASES, max_size=2),
)  # fmt: skip
def test_head_text_and_tail_are_the_document_to_the_character(
    lines: list[str], head: int, tail: int, ratio: float, phrases: list[str]
) -> None:
    text = "\n".join(lines)
    found = polished(text, max_head_lines=head, max_tail_lines=tail, max_removed_ratio=ratio, phrases=phrases)
    assert found.head + found.text + found.tail == text
    assert sum(cut.chars for cut in found.cuts) == len(found.head) + len(found.tail)
    assert len(found.head) + len(found.tail) <= ratio * len(text)
    assert found.head == "" or found.head.endswith("\n")
    assert found.tail == "" or found.tail.startswith("\n")
    if found.cuts:
        assert found.text.strip()


@given(st.lists(LINES, max_size=8))
def test_what_stays_is_a_run_of_whole_lines(lines: list[str]) -> None:
    text = "\n".join(lines)
    whole = text.split("\n")
    kept = polished(text).text.split("\n")
    assert any(whole[place : place + len(kept)] == kept for place in range(len(whole) + 1))
