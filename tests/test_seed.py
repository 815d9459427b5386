"""Seed pairs and the choice among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from xirecipe.diagnostics import UserError
from xirecipe.pairs import Pair
from xirecipe.recipe.generation import Exemplars
from xirecipe.seed import choose, read_pairs

PAIRS = [Pair(str(i), f"instruction {i}", f"response {i}") for i in range(10)]


def wanted(**values: Any) -> Exemplars:
    return Exemplars(**values)


def pairs(tmp_path: Path, content: str | bytes) -> list[Pair]:
    path = tmp_path / "seed.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_pairs(path, "seed.jsonl")


def test_a_pair_without_an_id_is_called_by_its_line(tmp_path: Path) -> None:
    line = json.dumps({"instruction": "i", "response": "r"})
    assert pairs(tmp_path, f"{line}\n\n{line}\n") == [Pair("1", "i", "r"), Pair("3", "i", "r")]


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    line = json.dumps({"id": "a", "instruction": "i", "response": "one\u2028two\x85"}, ensure_ascii=False)
    assert pairs(tmp_path, line + "\r\n") == [Pair("a", "i", "one\u2028two\x85")]


def test_a_byte_order_mark_breaks_nothing(tmp_path: Path) -> None:
    assert pairs(tmp_path, b'\xef\xbb\xbf{"id": "a", "instruction": "i", "response": "r"}') == [Pair("a", "i", "r")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ('{"instruction": "i"}', "a seed pair without `response`"),
        ('{"instruction": 3, "response": "r"}', "a seed pair without `instruction`"),
        ('{"instruction": "i", "response": "\\udc00"}', "`response` has half of a surrogate pair, which is not text"),
    ],
)
def test_a_broken_line_is_an_error_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        pairs(tmp_path, "\n" + line)
    (found,) = error.value.diagnostics
    assert (found.message, found.span and found.span.line) == (message, 2)


def test_fixed_takes_the_first_or_the_named() -> None:
    assert choose(PAIRS, wanted(count=2)) == tuple(PAIRS[:2])
    assert choose(PAIRS, wanted(count=2, ids=("7", "3"))) == (PAIRS[7], PAIRS[3])


def test_random_is_drawn_once_for_all_machines() -> None:
    assert [p.id for p in choose(PAIRS, wanted(count=4, choice="random"))] == ["0", "6", "7", "8"]
    assert [p.id for p in choose(PAIRS, wanted(count=4, choice="random", random_seed=1))] == ["7", "4", "0", "8"]


def test_a_model_that_has_learnt_is_shown_no_pair() -> None:
    assert choose(PAIRS, wanted(count=0)) == ()


def test_the_nearest_of_no_pairs_is_a_contradiction() -> None:
    with pytest.raises(ValidationError, match="`count: 0` shows none"):
        wanted(count=0, choice="nearest")
