"""Sets of answers, and which rows of two of them belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from xirecipe.diagnostics import shortened, user_error
from xirecipe.evaluating.files import Table, text_problem
from xirecipe.tables import Row

ID_COLUMNS = ("id", "prompt_id", "question_id", "document_id")
PROMPT_COLUMNS = ("prompt", "instruction", "question")
ANSWER_COLUMNS = ("answer", "response", "output")
#: Of an answer; the first is the one of a mix, where the instruction may be in another.
LANGUAGE_COLUMNS = ("response_language", "language")


@dataclass(frozen=True)
class Answered:
    """One prompt with its answer. `id` is None in a set without ids; `language` where the row does not say."""

    id: str | None
    prompt: str
    answer: str
    language: str | None = None

    @property
    def name(self) -> str:
        """The row in a few words: its id, else its prompt."""
        return self.id if self.id is not None else shortened(self.prompt, 80)


@dataclass(frozen=True)
class Pair:
    """The answers of two sets to one prompt."""

    a: Answered
    b: Answered

    @property
    def name(self) -> str:
        return self.a.name


@dataclass(frozen=True)
class Aligned:
    """Pairs in the order of A's file, and the names of rows that only one side has."""

    by: str
    """`id` or `prompt`."""
    pairs: list[Pair]
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)


def read_answers(table: Table) -> list[Answered]:
    """The answers of a table: columns of ANSWER_COLUMNS and PROMPT_COLUMNS, or `messages`.

    An Alpaca-style `input` is a part of the prompt. Raises UserError: a missing column, a cell that is no text.
    """
    plain = table.column(ANSWER_COLUMNS) and table.column(PROMPT_COLUMNS)
    if not plain and table.column(("messages",)):
        texts = _from_messages(table)
    else:
        prompt = table.required(PROMPT_COLUMNS, "the prompts")
        answer = table.required(ANSWER_COLUMNS, "the answers")
        texts = _from_columns(table, prompt, answer)
    id_column = table.column(ID_COLUMNS)
    if id_column is not None and any(row.get(id_column) in (None, "") for row in table.rows):
        missing = [
            (n, f"`{id_column}` is missing") for n, row in enumerate(table.rows) if row.get(id_column) in (None, "")
        ]
        raise table.broken(missing, "missing-id", "give every row an id, or take the column away")
    return [
        Answered(None if id_column is None else str(row[id_column]), *text, _language(row))
        for row, text in zip(table.rows, texts, strict=True)
    ]


def align(a: Sequence[Answered], b: Sequence[Answered], shown_a: str, shown_b: str) -> Aligned:
    """Pairs of rows with one id; with one prompt (white space folded) where a side has no ids.

    Raises UserError: an id or prompt twice on a side, one id with two different prompts, no row in common.
    """
    by = "id" if a[0].id is not None and b[0].id is not None else "prompt"
    left, right = _keyed(a, by, shown_a), _keyed(b, by, shown_b)
    pairs = [Pair(row, right[key]) for key, row in left.items() if key in right]
    if not pairs:
        seen = f"the first of A is `{_key(a[0], by)}`, the first of B `{_key(b[0], by)}`"
        hint = "A and B must answer the same prompts; " + (
            "take the id columns away to align by prompt" if by == "id" else "give both sides an `id` column"
        )
        raise user_error("nothing-in-common", f"{shown_a} and {shown_b} have no {by} in common: {seen}", hint=hint)
    other = [pair.name for pair in pairs if folded(pair.a.prompt) != folded(pair.b.prompt)]
    if other:
        message = f"{len(other):,} ids have another prompt in {shown_b} than in {shown_a}, such as `{other[0]}`"
        raise user_error("other-prompts", message, hint="A and B must answer the same prompts")
    return Aligned(
        by,
        pairs,
        [row.name for key, row in left.items() if key not in right],
        [row.name for key, row in right.items() if key not in left],
    )


def unique(rows: Sequence[Answered], shown: str) -> None:
    """Raises UserError when two rows have one id, or one prompt in a set without ids."""
    _keyed(rows, "prompt" if rows[0].id is None else "id", shown)


def _from_columns(table: Table, prompt: str, answer: str) -> list[tuple[str, str]]:
    problems = [
        (n, f"`{name}` {why}")
        for n, row in enumerate(table.rows)
        for name in (prompt, answer)
        if (why := text_problem(row.get(name)))
    ]
    if problems:
        raise table.broken(problems, "bad-answer", "an answer of no words is an empty text")
    return [(_with_input(row[prompt], row.get("input")), row[answer]) for row in table.rows]


def _with_input(prompt: str, more: object) -> str:
    return f"{prompt}\n\n{more}" if isinstance(more, str) and more.strip() else prompt


def _from_messages(table: Table) -> list[tuple[str, str]]:
    texts: list[tuple[str, str]] = []
    problems: list[tuple[int, str]] = []
    for number, row in enumerate(table.rows):
        try:
            texts.append(_turns(row.get("messages")))
        except ValueError as error:
            problems.append((number, f"`messages` {error}"))
    if problems:
        hint = "a list of {role, content} that ends with the assistant's turn"
        raise table.broken(problems, "bad-messages", hint)
    return texts


def _turns(messages: Any) -> tuple[str, str]:
    """What stands before the last turn, and the last turn, which is the assistant's. Raises ValueError."""
    if not isinstance(messages, list) or not all(isinstance(turn, dict) for turn in messages):
        raise ValueError("is no list of turns")
    for turn in messages:
        if why := text_problem(turn.get("content")):
            raise ValueError(f"has a turn whose content {why}")
    if len(messages) < 2 or messages[-1].get("role") != "assistant":
        raise ValueError("does not end with an answer of the assistant")
    *before, last = messages
    if len(before) == 1:
        return before[0]["content"], last["content"]
    return "\n\n".join(f"{turn.get('role')}: {turn['content']}" for turn in before), last["content"]


def _keyed(rows: Sequence[Answered], by: str, shown: str) -> dict[str, Answered]:
    found: dict[str, Answered] = {}
    for row in rows:
        key = _key(row, by)
        if key in found:
            hint = "give every answer an id of its own" if by == "prompt" else "an id names one answer of a set"
            raise user_error("repeated-row", f"{shown} has the {by} `{shortened(key, 80)}` twice", hint=hint)
        found[key] = row
    return found


def _key(row: Answered, by: str) -> str:
    return row.id if by == "id" and row.id is not None else folded(row.prompt)


def folded(prompt: str) -> str:
    """A prompt as it is compared: white space is one space."""
    return " ".join(prompt.split())


def _language(row: Row) -> str | None:
    values = (row.get(name) for name in LANGUAGE_COLUMNS)
    return next((value for value in values if isinstance(value, str) and value), None)
