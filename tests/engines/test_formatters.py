from __future__ import annotations

import unicodedata

import pytest
from datatrove.data import Document

from xirecipe.engines.formatters import Mask, cleaners
from xirecipe.recipe.corpus import Clean, PersonalInformation


def cleaned(text: str, *, fix_encoding: bool = True) -> str:
    return cleaned_document(text, Clean(fix_encoding=fix_encoding)).text


def cleaned_document(text: str, config: Clean) -> Document:
    document = Document(text, "x")
    for step in cleaners(config, ".!?"):
        (document,) = step.run(iter([document]))
    return document


def masked(text: str, **switches: bool) -> tuple[str, dict[str, int]]:
    (document,) = Mask(PersonalInformation(**switches)).run(iter([Document(text, "x")]))
    return document.text, dict(document.metadata["masked"])


def test_mojibake_is_mended() -> None:
    assert (
        cleaned("Chuo Kikuu kilianzishwa â€œrasmiâ€\u009d mwaka 1970") == "Chuo Kikuu kilianzishwa “rasmi” mwaka 1970"
    )
    assert cleaned("हिन्दी में".encode().decode("latin-1")) == "हिन्दी में"


def test_mojibake_stays_where_the_recipe_does_not_ask() -> None:
    assert cleaned("cafÃ©", fix_encoding=False) == "cafÃ©"


@pytest.mark.parametrize(
    "text",
    [
        "ক্\u200dষ می\u200cخواهم",
        "ทำน้ำ",
        "“maneno” ‘yake’ — ‹haya›",
        "ﬁn ｆｕｌｌ ½ ²",
        "&amp; &lt;b&gt; ni alama",
        "\x1b[31mrangi",
        "kichupa\u00adkidogo",
    ],
    ids=["joiners", "thai", "quotes", "ligatures", "html", "terminal", "soft hyphen"],
)
def test_what_is_no_mojibake_stays_as_it_is(text: str) -> None:
    assert cleaned(text) == text


def test_text_comes_out_in_nfc_with_plain_line_ends_and_no_space_around() -> None:
    assert (
        cleaned("  क\u093c\r\nmstari wa pili\rwa tatu\n")
        == f"{unicodedata.normalize('NFC', 'क़')}\nmstari wa pili\nwa tatu"
    )


@pytest.mark.parametrize(
    ("text", "expected", "kind"),
    [
        ("Andika kwa juma.ali@mfano.co.tz leo.", "Andika kwa <email> leo.", "emails"),
        ("Seva iko 41.59.203.10 sasa.", "Seva iko <ip> sasa.", "ip_addresses"),
        ("Piga +255 712 345 678. 3 watu.", "Piga <phone>. 3 watu.", "phone_numbers"),
        ("Piga +254-(0)20-222-1111 leo", "Piga <phone> leo", "phone_numbers"),
    ],
)
def test_personal_information_is_masked_and_counted(text: str, expected: str, kind: str) -> None:
    assert masked(text) == (expected, {kind: 1})


@pytest.mark.parametrize("text", ["192.168.1.1", "+12345", "1+234567890123", "+1234567890123456", "a @ b", "12.5.2020"])
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert masked(text) == (text, {})


def test_masks_that_stood_in_the_text_before_are_not_counted() -> None:
    assert masked("<email> na a@b.co") == ("<email> na <email>", {"emails": 1})


def test_each_kind_can_be_left_alone() -> None:
    text = "a@b.co 41.59.203.10 +255712345678"
    assert masked(text, mask_emails=False, mask_ip_addresses=False, mask_phone_numbers=False) == (text, {})


def test_a_text_longer_than_the_window_is_cut_at_a_sentence_end_and_says_how_much_went() -> None:
    document = cleaned_document("Mvua inanyesha. Jua linawaka. Upepo unavuma sana.", Clean(max_chars=35))
    assert document.text == "Mvua inanyesha. Jua linawaka."
    assert document.metadata["cut_chars"] == len(" Upepo unavuma sana.")


def test_a_text_inside_the_window_stays_whole() -> None:
    document = cleaned_document("Mvua inanyesha.", Clean(max_chars=15))
    assert (document.text, document.metadata["cut_chars"]) == ("Mvua inanyesha.", 0)
