"""What tables of installed packages say of a language."""

from __future__ import annotations

import pytest

from xirecipe.engines.languages import LanguageFacts, language_facts, similar


def test_a_language_has_its_names_codes_and_label() -> None:
    assert language_facts("yor_Latn") == LanguageFacts("yor_Latn", "Yoruba", "yo", "yo", "ltr", True)
    assert language_facts("swh_Latn").name == "Swahili"
    assert language_facts("urd_Arab").direction == "rtl"


def test_the_hubs_code_is_the_short_one_where_there_is_one() -> None:
    assert language_facts("smo_Latn").hub_code == "sm"
    assert language_facts("haw_Latn").hub_code == "haw"


def test_what_no_table_has_is_none() -> None:
    assert language_facts("hau_Latn").lid_label is None
    assert language_facts("qqq_Latn") == LanguageFacts("qqq_Latn", None, None, None, "ltr", False)
    assert not language_facts("yor_Thai").is_known


@pytest.mark.parametrize("word", ["Yoruba", "yo", "yor", "yor_latn"])
def test_a_word_that_is_no_code_leads_to_one(word: str) -> None:
    hint = similar(word)
    assert hint is not None
    assert "`yor_Latn`" in hint
