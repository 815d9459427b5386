"""Unicode on the way through the corpus stage: NFC on both sides of every comparison, never NFKC, joiners kept.

Most Bengali and half of the Hindi on the web is not NFC: its letters with a dot below come as one character, which NFC
writes as two (composition exclusions), while stop-word lists are NFC. Everything runs through the shipped recipes.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from xirecipe import tables
from xirecipe.compile import compile_recipe
from xirecipe.run import run_plan
from xirecipe.settings import Settings
from xirecipe.store import Store

pytestmark = pytest.mark.engine

RECIPES = Path(__file__).parents[2] / "recipes"

#: What people type for what NFC writes as two characters (letters with nukta) or as one (the vowels o and au).
TYPED = {
    "\u09a1\u09bc": "\u09dc", "\u09a2\u09bc": "\u09dd", "\u09af\u09bc": "\u09df",
    "\u09cb": "\u09c7\u09be", "\u09cc": "\u09c7\u09d7",
    "\u0915\u093c": "\u0958", "\u0916\u093c": "\u0959", "\u0917\u093c": "\u095a", "\u091c\u093c": "\u095b",
    "\u0921\u093c": "\u095c", "\u0922\u093c": "\u095d", "\u092b\u093c": "\u095e",
}  # fmt: skip

BENGALI = (
    "বর্ষাকালে বিলের জল বাড়লে গ্রামের ছেলেমেয়েরা নৌকায় চড়ে স্কুলে যায়। মাঝি বুড়ো মানুষ, গল্প বলতে বলতে দাঁড় টানেন, তাই পথ "
    "ফুরিয়ে আসে টের পাওয়া যায় না। বৃষ্টি নামলে মাথায় কচুপাতা ধরে সবাই গান গায়। ছুটির পরে বাড়ি ফিরতে সন্ধ্যা হয়, ঘাটে লণ্ঠন নিয়ে "
    "দাঁড়িয়ে থাকেন কারও মা, কারও দাদু। শীত এলে বিল শুকিয়ে যায়, তখন সেই পথেই হেঁটে যাওয়া চলে, দুপাশে সর্ষেখেত হলুদ হয়ে থাকে।"
)
HINDI = (
    "बरसात के दिनों में गाँव का बड़ा तालाब किनारे तक भर जाता है। लड़के पेड़ की डाल से कूदते हैं और लड़कियाँ सीढ़ियों पर बैठकर काग़ज़ की "
    "नावें छोड़ती हैं। शाम को बूढ़े लोग थोड़ी दूर बैठकर अख़बार पढ़ते हैं, हालाँकि चश्मे के बिना किसी को कुछ साफ़ नहीं दिखता। जब अँधेरा बढ़ता "
    "है, तो मेंढक ज़ोर से टर्राने लगते हैं और सब अपने-अपने घर की ओर चल पड़ते हैं। रास्ते में कीचड़ बहुत है, पर किसी को परवाह नहीं।"
)
TAMIL = (
    "எங்கள் ஊர் ஏரியில் மழைக்காலம் முடிந்ததும் நாரைகள் வந்து இறங்கும். அவற்றைப் பார்ப்பதற்காகக் காலையிலேயே பிள்ளைகள் கரைக்கு ஓடுவார்கள். "
    "தாத்தா ஒரு பழைய குடையுடன் அங்கே உட்கார்ந்து, எந்தப் பறவை எந்த நாட்டிலிருந்து வருகிறது என்று சொல்வார். "
    "யாராவது கல் எறிந்தால் அவருக்குக் கோபம் வரும். வெயில் ஏறியதும் பறவைகள் வயலுக்குப் போகும், நாங்கள் பள்ளிக்குப் போவோம். "
    "மாலையில் மீண்டும் அதே மரத்தில் அவை கூடும், அந்தச் சத்தம் ஊர் முழுவதும் கேட்கும். "
    "பங்குனி மாதம் ஏரி வற்றும்போது குஞ்சுகளுடன் அவை புறப்பட்டுவிடும்."
)
THAI = (
    "ทุกเช้าคุณยายจะตื่นมาทำน้ำพริกและนึ่งข้าวเหนียวไว้ใส่บาตร กลิ่นหอมลอยไปถึงบ้านข้าง ๆ เด็ก ๆ จึงชอบมานั่งรอที่ใต้ถุนเรือน "
    "เมื่อพระเดินผ่านไปแล้ว คุณยายก็แบ่งขนมให้คนละชิ้นและเล่าเรื่องสมัยที่ยังไม่มีถนน ต้องพายเรือไปตลาดน้ำตั้งแต่ยังไม่สว่าง "
    "บางวันฝนตกหนักจนเรือจม ของที่จะขายลอยไปตามลำคลอง แต่คนทั้งหมู่บ้านก็ช่วยกันเก็บคืนมาให้ คุณยายบอกว่านั่นคือสิ่งที่จำได้ไม่เคยลืม "
    "และอยากให้หลาน ๆ จำไว้ว่าน้ำใจสำคัญกว่าเงินทองที่หาได้"
)
#: Words of the passages in NFC whose web spelling is another: by them alone a passage has enough stop words.
DOTTED = {"bengali": (BENGALI, ["হয়", "যায়", "নিয়ে"]), "hindi": (HINDI, ["बड़ा", "थोड़ी", "पढ़ते"])}

#: The texts that the corpus stage of a recipe keeps: `kept("bengali", texts, stop_words)`.
Kept = Callable[..., list[str]]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Runs the corpus stage of a shipped recipe over texts, with its own filters but for length and given words."""

    def run(recipe: str, texts: Sequence[str], stop_words: Sequence[str] = ()) -> list[str]:
        corpus = tmp_path / "texts.jsonl"
        corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        overrides = [f"corpus.sources.web.path={corpus}", "corpus.filters.length=null"]
        if stop_words:
            overrides.append(f"corpus.filters.gopher_quality.stop_words={json.dumps(stop_words)}")
            overrides.append(f"corpus.filters.gopher_quality.min_stop_words={len(stop_words)}")
        plan = compile_recipe(RECIPES / f"{recipe}.yaml", overrides=overrides)
        store = Store(tmp_path / "store")
        run_plan(plan, store, Settings(store=store.root, workers=1), to="corpus")
        stage = plan.stages[0]
        return [row["text"] for row in tables.read(store.artifact(stage.kind, stage.fingerprint).data)]

    return run


def typed(text: str) -> str:
    """The text as it mostly stands on the web."""
    for normal, as_typed in TYPED.items():
        text = text.replace(normal, as_typed)
    return text


@pytest.mark.parametrize("recipe", DOTTED)
def test_the_passages_are_what_the_tests_need(recipe: str) -> None:
    text, stop_words = DOTTED[recipe]
    for normal in (text, *stop_words):
        assert unicodedata.is_normalized("NFC", normal)
        assert not unicodedata.is_normalized("NFC", typed(normal))
        assert unicodedata.normalize("NFC", typed(normal)) == normal
    assert not set(stop_words) & set(typed(text).split())


@pytest.mark.parametrize("spelling", [str, typed], ids=["list in NFC", "list as typed"])
@pytest.mark.parametrize("recipe", DOTTED)
def test_a_passage_that_is_not_nfc_has_its_stop_words_and_comes_out_in_nfc(
    kept: Kept, recipe: str, spelling: Callable[[str], str]
) -> None:
    text, stop_words = DOTTED[recipe]
    assert kept(recipe, [text, typed(text)], [spelling(word) for word in stop_words]) == [text, text]


@pytest.mark.parametrize("recipe", DOTTED)
def test_stop_words_that_a_passage_does_not_have_still_drop_it(kept: Kept, recipe: str) -> None:
    text, stop_words = DOTTED[recipe]
    assert kept(recipe, [typed(text)], [*stop_words, "কড়াই", "ख़ज़ाना"]) == []


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        ("hindi", f"{HINDI} श्रीमान्\u200cजी ने राज्\u200dय और क्\u200dषमा शब्द अलग ढंग से लिखकर दिखाए।"),
        ("bengali", f"{BENGALI} উদ্\u200cযাপনের দিন র\u200d্যাফেল আর র\u200d্যালি দুটোই ছিল, বাক্\u200cস্বাধীনতা নিয়ে কথাও হলো।"),
        ("tamil", f"{TAMIL} ரிக்\u200cஷா ஓட்டுபவர் பக்\u200cஷி என்று பெயர் சொன்னார், ஸ்\u200dரீ என்றும் எழுதிக் காட்டினார்."),
    ],
    ids=["hindi", "bengali", "tamil"],
)
def test_joiners_survive_cleaning_byte_for_byte(kept: Kept, recipe: str, text: str) -> None:
    assert {"\u200c", "\u200d"} <= set(text)
    assert kept(recipe, [text]) == [text]


def test_joiners_survive_where_mojibake_beside_them_is_mended(kept: Kept) -> None:
    broken, mended = (f"{BENGALI} উদ্\u200cযাপনে র\u200d্যালি {quote} আর গান।" for quote in ("â€œমেলাâ€\u009d", "“মেলা”"))
    assert kept("bengali", [broken]) == [mended]


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        ("thai", THAI),
        ("bengali", f"{BENGALI} উঠোন ১২ মি², জমি ½ একর, কাগজ Ａ４, ঘর №\u00a0৫, নৌকা ①, শব্দ ﬁn… এবং ｆｕｌｌ।"),
    ],
    ids=["thai SARA AM", "superscripts, fractions, ligatures and full-width forms"],
)
def test_what_nfkc_would_change_stays(kept: Kept, recipe: str, text: str) -> None:
    assert unicodedata.is_normalized("NFC", text)
    assert not unicodedata.is_normalized("NFKC", text)
    assert kept(recipe, [text]) == [text]


def test_thai_sara_am_stays_one_character(kept: Kept) -> None:
    (text,) = kept("thai", [THAI])
    assert text.count("\u0e33") == THAI.count("\u0e33") > 5
    assert "\u0e4d" not in text
