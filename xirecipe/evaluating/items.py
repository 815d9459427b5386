"""Multiple-choice items for a model to answer: rows -> questions -> the option that it chose. Asks nobody itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal

from xirecipe.diagnostics import user_error
from xirecipe.evaluating.consistency import ITEM_COLUMNS, RIGHT_COLUMNS, Choice
from xirecipe.evaluating.files import Table
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.prompts import TemplateError, render

QUESTION_COLUMNS = ("question", "prompt")
OPTIONS = "options"
#: The same items give other choices from here on: raised by hand.
REVISION = 1

By = Literal["likelihood", "letter"]


@dataclass(frozen=True)
class Option:
    """One of the options of an item, as a prompt sees it."""

    letter: str
    text: str


@dataclass(frozen=True)
class Item:
    """A question in one language; `right` is the right option's letter."""

    id: str
    language: str
    question: str
    options: tuple[Option, ...]
    right: str

    def choice(self, letter: str | None = None) -> Choice:
        """The item with the option that a model chose, or with none."""
        chosen = None if letter is None else letter.casefold()
        return Choice(self.id, self.language, chosen, self.right.casefold())


def has_items(table: Table) -> bool:
    """Whether a table's rows are questions with their options."""
    return table.column((OPTIONS,)) is not None and table.column(QUESTION_COLUMNS) is not None


def read_items(table: Table) -> list[Item]:
    """Items of a table, which has `options` as a list of texts; the right one is named by its letter, A for the first.

    Raises UserError with the place of every row that is no item.
    """
    names = [table.required(ITEM_COLUMNS, "the items' ids"), table.required(("language",), "the languages")]
    names += [table.required(QUESTION_COLUMNS, "the questions"), table.required(RIGHT_COLUMNS, "the right options")]
    found: list[Item] = []
    problems: list[tuple[int, str]] = []
    for number, row in enumerate(table.rows):
        item, language, question, right = (str(row.get(name) or "").strip() for name in names)
        options = _options(row.get(OPTIONS))
        letters = ascii_uppercase[: len(options)]
        lacking = [name for name, value in zip(names, (item, language, question, right), strict=True) if not value]
        if lacking:
            problems.append((number, f"`{lacking[0]}` is missing"))
        elif not options:
            problems.append((number, f"`{OPTIONS}` is no list of 2 to {len(ascii_uppercase)} texts"))
        elif right.upper() not in tuple(letters):
            problems.append((number, f"the right option is `{right}`, which is none of {', '.join(letters)}"))
        else:
            shown = tuple(Option(letter, text) for letter, text in zip(letters, options, strict=True))
            found.append(Item(item, language, question, shown, right.upper()))
    if problems:
        raise table.broken(problems, "bad-item", "a row has an id, a language, a question, its options and a letter")
    return found


def _options(value: object) -> list[str]:
    """The texts of a list of options; empty where it is none."""
    texts = [text.strip() for text in value if isinstance(text, str)] if isinstance(value, list) else []
    whole = isinstance(value, list) and 2 <= len(value) <= len(ascii_uppercase) and len(texts) == len(value)
    return texts if whole and all(texts) else []


def item_requests(item: Item, template: str, name: str, by: By) -> list[Request]:
    """What to ask a model: how likely each option is, or which letter comes next.

    Raises UserError for a prompt that fails on the item; `name` is its path in the recipe.
    """
    try:
        prompt = render(template, {"question": item.question, "options": item.options}).rstrip()
    except TemplateError as error:
        raise user_error("bad-prompt", f"{name}: {error}") from None
    if by == "letter":
        return [Request("choose", prompt, labels=tuple(option.letter for option in item.options))]
    return [Request("score", prompt, continuation=f" {option.text}") for option in item.options]


def choice_of(item: Item, outcomes: Sequence[Answer | Failure], by: By) -> Choice:
    """The option that the model chose; none where a question got no answer, or an answer names no option."""
    answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
    return item.choice(_chosen(item, answers, by) if len(answers) == len(outcomes) else None)


def _chosen(item: Item, answers: Sequence[Answer], by: By) -> str | None:
    scores: Mapping[str, float]
    if by == "letter":
        text = answers[0].text.strip()
        scores = answers[0].label_log_probs or {option.letter: 0.0 for option in item.options if option.letter == text}
    else:
        # Per byte, so that longer options are not worse off for their length: acc_norm of lm-evaluation-harness.
        scores = {
            option.letter: -math.inf if answer.log_prob is None else answer.log_prob / len(option.text.encode())
            for option, answer in zip(item.options, answers, strict=True)
        }
    best = max(scores, key=lambda letter: scores[letter], default=None)
    return None if best is None or scores[best] == -math.inf else best
