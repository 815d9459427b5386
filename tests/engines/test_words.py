from xirecipe.engines.words import UnicodeWords, folded, is_blank

words = UnicodeWords().word_tokenize


def test_words_hold_their_apostrophes_and_hyphens_and_symbols_stand_alone() -> None:
    assert words("Ng'ombe wa-kwanza, ndiyo!") == ["Ng'ombe", "wa-kwanza", ",", "ndiyo", "!"]


def test_a_number_with_points_and_commas_is_one_word() -> None:
    assert words("shilingi 2,500.75, 3.") == ["shilingi", "2,500.75", ",", "3", "."]


def test_marks_and_joiners_stay_inside_words() -> None:
    assert words("क्षेत्र में। می\u200cخواهم ক্\u200dষ") == ["क्षेत्र", "में", "।", "می\u200cخواهم", "ক্\u200dষ"]


def test_a_symbol_takes_its_variation_selector_along() -> None:
    assert words("❤\ufe0f❤") == ["❤\ufe0f", "❤"]


def test_a_text_of_spaces_and_format_characters_is_blank() -> None:
    assert is_blank(" \u200b\ufeff\n\u00a0\x00")
    assert not is_blank(" . ")


def test_stop_words_meet_in_lower_case_and_nfc() -> None:
    assert folded("KATIKA") == folded("Katika") == "katika"
    assert folded("\u09a1\u09bc") == folded("\u09dc")
    assert folded("İLE") == "ile"


def test_all_tokenizers_are_equal_so_that_a_text_is_split_once() -> None:
    assert {UnicodeWords(), UnicodeWords()} == {UnicodeWords()}
