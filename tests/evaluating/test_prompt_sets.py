"""Prompt sets named by file, and the groups that results stand for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xirecipe.diagnostics import UserError
from xirecipe.evaluating.answers import Answered
from xirecipe.evaluating.prompt_sets import NO_SET, PromptSet, groups, read_prompt_set


def prompt_set(*prompts: str) -> PromptSet:
    return PromptSet(Path("set.jsonl"), "0" * 64, frozenset(prompts))


def rows(*prompts: str, language: str | None = None) -> list[Answered]:
    return [Answered(None, prompt, "a", language) for prompt in prompts]


@pytest.mark.parametrize("column", ["prompt", "instruction", "question", "text"])
def test_prompts_are_read_with_their_white_space_folded(column: str, tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps({column: "Habari\n ya leo? "}) + "\n")
    assert read_prompt_set(path).prompts == {"Habari ya leo?"}


def test_a_prompt_that_is_no_text_is_the_users_error(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"prompt": "p"}\n{"prompt": ["p"]}\n')
    with pytest.raises(UserError) as caught:
        read_prompt_set(path)
    (found,) = caught.value.diagnostics
    assert (found.message, found.span and found.span.line) == ("`prompt` is not a text but list", 2)


def test_prompts_that_nobody_answered_are_named() -> None:
    shown = prompt_set("p q", "r").shown(rows("p  q"))
    assert (shown["prompts"], shown["unanswered"]) == (2, {"count": 1, "prompts": ["r"]})


def test_every_row_stands_in_each_of_its_sets_or_in_none() -> None:
    found = groups(rows("p", "q", "r"), {"one": prompt_set("p", "q"), "two": prompt_set("q")})
    assert found == {"prompt_set": {"one": [0, 1], "two": [1], NO_SET: [2]}}


def test_rows_without_language_and_recipes_without_sets_have_no_groups() -> None:
    assert groups(rows("p"), {}) == {}
    assert groups(rows("p", language="fin_Latn"), {}) == {"language": {"fin_Latn": [0]}}
