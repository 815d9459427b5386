"""Prompt sets that a recipe names by file, such as Vicuna's 80: results stand for each of them as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xirecipe.diagnostics import shortened
from xirecipe.evaluating.answers import PROMPT_COLUMNS, Answered, folded
from xirecipe.evaluating.files import read_table, text_problem
from xirecipe.loaded import shown_name

#: The group of rows whose prompts are in no set.
NO_SET = "(none)"


@dataclass(frozen=True)
class PromptSet:
    """Prompts of a file, white space folded."""

    path: Path
    sha256: str
    prompts: frozenset[str]

    def has(self, row: Answered) -> bool:
        return folded(row.prompt) in self.prompts

    def shown(self, rows: Sequence[Answered]) -> dict[str, Any]:
        """For a summary: the file, and which of its prompts no row answers."""
        missing = sorted(shortened(prompt, 80) for prompt in self.prompts - {folded(row.prompt) for row in rows})
        return {
            "path": shown_name(self.path),
            "prompts": len(self.prompts),
            "unanswered": {"count": len(missing), "prompts": missing},
        }


PromptSets = Mapping[str, PromptSet]


def read_prompt_set(path: Path) -> PromptSet:
    """The prompts of a file with `prompt`, `instruction`, `question` or `text`.

    Raises UserError: a missing column, a cell that is no text, or what `read_table` refuses.
    """
    table = read_table(path)
    column = table.required((*PROMPT_COLUMNS, "text"), "the prompts")
    problems = [(n, f"`{column}` {why}") for n, row in enumerate(table.rows) if (why := text_problem(row.get(column)))]
    if problems:
        raise table.broken(problems, "bad-prompt-set")
    return PromptSet(path, table.sha256, frozenset(folded(row[column]) for row in table.rows))


def groups(rows: Sequence[Answered], prompt_sets: PromptSets) -> dict[str, dict[str, list[int]]]:
    """Places of rows by `language` and by `prompt_set`, for tables of their own. A kind without rows is left out.

    A row in no prompt set stands under NO_SET; one in several stands in each.
    """
    found: dict[str, dict[str, list[int]]] = {}
    for place, row in enumerate(rows):
        if row.language is not None:
            found.setdefault("language", {}).setdefault(row.language, []).append(place)
        if prompt_sets:
            for name in [name for name, prompts in prompt_sets.items() if prompts.has(row)] or [NO_SET]:
                found.setdefault("prompt_set", {}).setdefault(name, []).append(place)
    return found
