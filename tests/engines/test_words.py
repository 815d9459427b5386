"""Words of texts, by Unicode and by the Thai dictionary, and what the stages do with them."""

from __future__ import annotations

import json
import pickle
import unicodedata
from pathlib import Path

import pytest
from datatrove.data import Document
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import in_python
from xirecipe import tables, thai
from xirecipe.compile import compile_recipe
from xirecipe.diagnostics import UserError
from xirecipe.engines.filters import GopherQuality
from xirecipe.engines.guards import Guard
from xirecipe.engines.words import ThaiWords, UnicodeWords, folded, is_blank, words_of
from xirecipe.recipe.corpus import GopherQualityFilter
from xirecipe.recipe.generation import Guards
from xirecipe.run import run_plan
from xirecipe.settings import Settings
from xirecipe.store import Store

RECIPES = Path(__file__).parents[2] / "recipes"
words = UnicodeWords().word_tokenize
thai_words = ThaiWords().word_tokenize


def test_words_hold_their_apostrophes_and_hyphens_and_symbols_stand_alone() -> None:
    assert words("Ng'ombe wa-kwanza, ndiyo!") == ["Ng'ombe", "wa-kwanza", ",", "ndiyo", "!"]


def test_a_number_with_points_and_commas_is_one_word() -> None:
    assert words("shilingi 2,500.75, 3.") == ["shilingi", "2,500.75", ",", "3", "."]


def test_marks_and_joiners_stay_inside_words() -> None:
    assert words("क्षेत्र में। می\u200cخواهم ক্\u200dষ") == ["क्षेत्र", "में", "।", "می\u200cخواهم", "ক্\u200dষ"]


def test_a_symbol_takes_its_variation_selector_along() -> None:
    assert words("❤\ufe0f❤") == ["❤\ufe0f", "❤"]


#: What Latin texts are written in, those characters most often that words and numbers hang on.
LATIN = st.text(
    st.one_of(st.characters(max_codepoint=0x24F), st.characters(min_codepoint=0x2000, max_codepoint=0x206F))
    | st.sampled_from("aZé09½ '’-.,\u200d\u00ad_")
)


@settings(max_examples=500)
@given(LATIN)
def test_a_latin_text_has_the_words_that_it_has_beside_another_script(text: str) -> None:
    assert words(text + " неделя") == [*words(text), "неделя"]


def test_a_text_of_spaces_and_format_characters_is_blank() -> None:
    assert is_blank(" \u200b\ufeff\n\u00a0\x00")
    assert not is_blank(" . ")


def test_stop_words_meet_in_lower_case_and_nfc() -> None:
    assert folded("KATIKA") == folded("Katika") == "katika"
    assert folded("\u09a1\u09bc") == folded("\u09dc")
    assert folded("İLE") == "ile"


def test_all_tokenizers_are_equal_so_that_a_text_is_split_once() -> None:
    assert {UnicodeWords(), UnicodeWords()} == {UnicodeWords()}
    assert {ThaiWords(), ThaiWords()} == {ThaiWords()}
    assert ThaiWords() != UnicodeWords()
    assert pickle.loads(pickle.dumps(ThaiWords())) == ThaiWords()


def test_a_language_says_how_its_words_are_split() -> None:
    assert words_of("unicode") == UnicodeWords()
    assert words_of("thai") == ThaiWords()


def test_thai_words_are_found_without_spaces() -> None:
    assert thai_words("ประเทศไทยมีอากาศร้อน") == ["ประเทศ", "ไทย", "มี", "อากาศ", "ร้อน"]


def test_latin_words_numbers_and_symbols_in_a_thai_text_are_words_of_their_own() -> None:
    text = "ซื้อ iPhone15ราคา 32,900.50บาท (ผ่อน๑๐เดือน)!"
    split = ["ซื้อ", "iPhone15", "ราคา", "32,900.50", "บาท", "(", "ผ่อน", "๑๐", "เดือน", ")", "!"]
    assert thai_words(text) == split


def test_a_zero_width_space_parts_thai_words_and_is_none() -> None:
    assert thai_words("ตา\u200bกลม") == ["ตา", "กลม"]


def test_a_thai_abbreviation_and_a_repetition_mark_are_kept() -> None:
    assert thai_words("กรุงเทพฯ") == ["กรุงเทพฯ"]
    assert thai_words("เด็ก ๆ") == ["เด็ก", "ๆ"]


@given(st.text(alphabet=st.characters(min_codepoint=0x0E00, max_codepoint=0x0E7F) | st.sampled_from("aA1 .-\n'")))
def test_no_letter_of_a_wild_thai_text_is_lost(text: str) -> None:
    def seen(part: str) -> list[str]:
        return [char for char in part if not char.isspace() and unicodedata.category(char) not in {"Cc", "Cf"}]

    assert seen("".join(thai_words(text))) == seen(text)
    assert not any(not word or any(char.isspace() for char in word) for word in thai_words(text))


@given(st.text())
def test_a_text_without_thai_has_the_same_words_either_way(text: str) -> None:
    if not any(thai.is_thai(char) for char in text):
        assert thai_words(text) == words(text)


def test_the_filters_measure_thai_words() -> None:
    text = "การเดินทางไปภูเขาในวันหยุดเป็นเรื่องสนุกของทุกคนและได้พักผ่อน"
    limits = GopherQualityFilter(min_words=10, max_mean_word_chars=10, min_stop_words=2, stop_words=("ใน", "และ"))

    assert GopherQuality(limits, words=ThaiWords()).verdict(Document(text, "a")) is None
    one_word = GopherQuality(limits).verdict(Document(text, "a"))
    assert one_word is not None
    assert (one_word.reason, one_word.value) == ("gopher_quality.min_words", 1)


def test_splitting_thai_leaves_nothing_in_the_home_folder_and_loads_nothing_that_reaches_a_network(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; from xirecipe import thai; print(len(thai.segment('ประเทศไทย')));"
        "print(sorted({'requests', 'http.client', 'urllib.request', 'ssl'} & set(sys.modules)))"
    )
    ran = in_python("-c", program, cwd=tmp_path, HOME=str(tmp_path))
    assert (ran.code, ran.out.split("\n")[:2]) == (0, ["2", "[]"]), ran.err
    assert list(tmp_path.iterdir()) == []


def test_another_dictionary_is_an_error_that_says_which_one_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thai, "SHA256", "0" * 64)
    thai._newmm.cache_clear()
    with pytest.raises(UserError) as error:
        words_of("thai")
    assert error.value.diagnostics[0].code == "changed-dictionary"


def test_words_copied_from_a_thai_text_into_an_instruction_are_counted_one_by_one() -> None:
    text = "การปลูกข้าวหอมมะลิในทุ่งกุลาร้องไห้ต้องอาศัยดินเค็มเล็กน้อย"
    guard = Guard(Guards.model_validate({"max_leaked_words": 3, "min_english_score": None}), ())

    leaked = guard.check("Write about ปลูกข้าวหอมมะลิในทุ่งกุลาร้องไห้ for farmers in the region.", text)

    assert leaked is not None
    assert (leaked[0], leaked[1]) == ("guards.max_leaked_words", float(len(thai_words("ปลูกข้าวหอมมะลิในทุ่งกุลาร้องไห้"))))
    assert guard.check("Write about ทุ่งกุลาร้องไห้ for farmers in the region.", text) is None


@pytest.mark.engine
def test_sara_am_survives_the_corpus_stage_and_near_equal_thai_texts_meet_in_dedup(tmp_path: Path) -> None:
    plan = compile_recipe(RECIPES / "thai.yaml")
    store = Store(tmp_path)
    run_plan(plan, store, Settings(store=tmp_path, workers=1), to="dedup")
    corpus, dedup = (
        store.artifact(stage.kind, stage.fingerprint) for stage in plan.stages if stage.kind in ("corpus", "dedup")
    )
    lines = (RECIPES / "sample" / "tha_Thai.jsonl").read_text(encoding="utf-8").splitlines()
    written = {row["id"]: row["text"] for row in map(json.loads, lines)}

    kept = list(tables.read(corpus.data))

    assert sum("\u0e33" in row["text"] for row in kept) > 20
    assert all(row["text"] == written[row["document_id"]].strip() for row in kept)
    assert any(unicodedata.normalize("NFKC", row["text"]) != row["text"] for row in kept)
    assert {row["reason"] for row in tables.read(dedup.dropped)} == {"dedup.exact", "dedup.minhash"}
