"""The seed pairs that a writer learns from: well-formed, in their language, and none of what measures the writer."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[1] / "recipes"
SCRIPTS = {
    "ben_Beng": "BENGALI", "fin_Latn": "LATIN", "hin_Deva": "DEVANAGARI", "ind_Latn": "LATIN", "swh_Latn": "LATIN",
    "tam_Taml": "TAMIL", "tha_Thai": "THAI", "tur_Latn": "LATIN", "urd_Arab": "ARABIC", "vie_Latn": "LATIN",
}  # fmt: skip
#: An instruction that points at a text which its reader does not see.
POINTING = re.compile(r"\b(?:above|following|given|this) (?:article|passage|text|paragraph|story)\b", re.IGNORECASE)


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def pairs(code: str) -> list[dict[str, str]]:
    return rows(RECIPES / "seeds" / f"{code}.jsonl")


@pytest.mark.parametrize("code", SCRIPTS)
def test_every_pair_is_whole_and_in_its_language(code: str) -> None:
    found = pairs(code)
    assert len({pair["id"] for pair in found}) == len(found)
    for pair in found:
        assert list(pair) == ["id", "genre", "instruction", "response", "language"]
        assert pair["language"] == code
        assert all(unicodedata.is_normalized("NFC", text) for text in pair.values())
        assert 30 <= len(pair["instruction"]) <= 140, pair["id"]
        assert 140 <= len(pair["response"]) <= 950, pair["id"]
        letters = [character for character in pair["response"] if character.isalpha()]
        own = sum(unicodedata.name(letter).startswith(SCRIPTS[code]) for letter in letters)
        assert own / len(letters) > 0.9, pair["id"]


@pytest.mark.parametrize("code", SCRIPTS)
def test_no_instruction_stands_twice_and_none_points_at_a_text(code: str) -> None:
    counts = Counter(pair["instruction"] for pair in pairs(code))
    assert [instruction for instruction, times in counts.items() if times > 1] == []
    assert [instruction for instruction in counts if POINTING.search(instruction)] == []


@pytest.mark.parametrize("code", SCRIPTS)
def test_what_measures_a_writer_is_not_among_what_it_learns_from(code: str) -> None:
    held_out = rows(RECIPES / "sample" / f"{code}.seed.jsonl")
    documents = {row.get("text") for row in rows(RECIPES / "sample" / f"{code}.jsonl")}
    learnt = pairs(code)
    assert not {pair["instruction"] for pair in held_out} & {pair["instruction"] for pair in learnt}
    assert not ({pair["response"] for pair in held_out} | documents) & {pair["response"] for pair in learnt}


def test_the_readme_counts_the_pairs() -> None:
    table = re.findall(r"`(\w+)\.jsonl` \| (\d+)", (RECIPES / "seeds" / "README.md").read_text(encoding="utf-8"))
    assert {code: int(count) for code, count in table} == {code: len(pairs(code)) for code in SCRIPTS}
