"""Does a model answer the same item the same way in every language? CrossIn's AC3 (arXiv 2404.11932). Needs no model.

Over all subsets of s languages, consistency is the mean share of items whose chosen option is the same in all s. AC3 is
the harmonic mean of accuracy and consistency. Only items that are there in every language count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import comb
from typing import Any

import numpy as np

from xirecipe.diagnostics import shortened, user_error
from xirecipe.evaluating.files import Table
from xirecipe.evaluating.statistics import Floats, Resampled
from xirecipe.recipe.evaluation import Bootstrap

#: Raised by hand when the same rows start to give other numbers.
REVISION = 1
ITEM_COLUMNS = ("item_id", "item", "id")
CHOSEN_COLUMNS = ("chosen", "prediction", "choice")
RIGHT_COLUMNS = ("right", "gold", "label")


@dataclass(frozen=True)
class Choice:
    """What a model chose for an item in a language, and the right option; `chosen` is None where it chose none."""

    item: str
    language: str
    chosen: str | None
    right: str

    @property
    def correct(self) -> bool:
        return self.chosen == self.right


@dataclass(frozen=True)
class Items:
    """Items that are there in all languages, as `choices[item][language]`; `missing` names the others by language."""

    languages: list[str]
    choices: dict[str, dict[str, Choice]]
    missing: dict[str, list[str]]

    @property
    def no_choice(self) -> int:
        """Choices among the counted items where the model chose nothing."""
        return sum(choice.chosen is None for row in self.choices.values() for choice in row.values())


def read_choices(table: Table) -> list[Choice]:
    """Choices of a table. Options are compared without case and outer white space; numbers are options too.

    Raises UserError: a missing column, or a row without item, language or right option.
    """
    item = table.required(ITEM_COLUMNS, "the items' ids")
    language = table.required(("language",), "the languages")
    chosen = table.required(CHOSEN_COLUMNS, "the options that the model chose")
    right = table.required(RIGHT_COLUMNS, "the right options")
    needed = (item, language, right)
    problems = [
        (n, f"`{c}` is missing") for n, row in enumerate(table.rows) for c in needed if _option(row.get(c)) is None
    ]
    if problems:
        raise table.broken(problems, "missing-value", "only the chosen option may be empty, where the model chose none")
    return [
        Choice(str(row[item]).strip(), str(row[language]).strip(), _option(row.get(chosen)), _option(row[right]) or "")
        for row in table.rows
    ]


def align_items(choices: Sequence[Choice], shown: str) -> Items:
    """Items of all languages side by side.

    Raises UserError: one language, an item twice in a language, no item in all languages, or options that stand in
    another order in another language (their letters could not be compared).
    """
    languages = list(dict.fromkeys(choice.language for choice in choices))
    if len(languages) < 2:
        hint = "one file with the rows of all languages, told apart by the column `language`"
        raise user_error("one-language", f"{shown} has only the language `{languages[0]}`", hint=hint)
    rows: dict[str, dict[str, Choice]] = {}
    for choice in choices:
        row = rows.setdefault(choice.item, {})
        if choice.language in row:
            message = f"{shown} has the item `{shortened(choice.item)}` twice in {choice.language}"
            raise user_error("repeated-row", message, hint="one row for each item and language")
        row[choice.language] = choice
    shuffled = [item for item, row in rows.items() if len({choice.right for choice in row.values()}) > 1]
    if shuffled:
        message = f"{len(shuffled):,} items have another right option in another language, such as `{shuffled[0]}`"
        raise user_error("options-not-aligned", message, hint="give the options the same order in every language")
    missing = {
        language: names
        for language in languages
        if (names := [item for item, row in rows.items() if language not in row])
    }
    whole = {item: row for item, row in rows.items() if len(row) == len(languages)}
    if not whole:
        counts = ", ".join(f"{language} lacks {len(names):,}" for language, names in missing.items())
        hint = "the ids of translated items must be the same in every language"
        raise user_error("nothing-in-common", f"no item of {shown} is there in all languages: {counts}", hint=hint)
    return Items(languages, whole, missing)


def consistency_of_item(chosen: Sequence[str | None], size: int) -> float:
    """Share of the subsets of `size` languages in which all chose the same option. No option is the same as nothing.

    Counted without listing subsets: n languages that chose one option have C(n, size) of them.
    """
    same = Counter(option for option in chosen if option is not None)
    return sum(comb(n, size) for n in same.values()) / comb(len(chosen), size)


def summarize(items: Items, bootstrap: Bootstrap) -> dict[str, Any]:
    """Accuracy over all and by language; consistency and AC3 for every subset size, with 95 % intervals over items."""
    rows = [[row[language] for language in items.languages] for row in items.choices.values()]
    sizes = range(2, len(items.languages) + 1)
    columns = {"accuracy": [sum(c.correct for c in row) / len(row) for row in rows]}
    columns |= {f"{size}": [consistency_of_item([c.chosen for c in row], size) for row in rows] for size in sizes}
    found = Resampled(columns, bootstrap)
    by_language = {language: [float(row[at].correct) for row in rows] for at, language in enumerate(items.languages)}
    return {
        "items": len(rows),
        "languages": items.languages,
        "missing_items": {language: {"count": len(names), "items": names} for language, names in items.missing.items()},
        "no_choice": items.no_choice,
        "accuracy": asdict(found.mean("accuracy")),
        "accuracy_by_language": {name: asdict(e) for name, e in Resampled(by_language, bootstrap).means().items()},
        "subsets": {
            f"{size}": {
                "consistency": asdict(found.mean(f"{size}")),
                "ac3": asdict(found.statistic(harmonic_mean, "accuracy", f"{size}")),
            }
            for size in sizes
        },
    }


def harmonic_mean(accuracy: Floats, consistency: Floats) -> Floats:
    """2ac / (a + c), element by element; 0 where both are 0."""
    total = accuracy + consistency
    return np.divide(2 * accuracy * consistency, total, out=np.zeros_like(total), where=total > 0)


def choice_rows(items: Items) -> list[dict[str, Any]]:
    """One row for each counted item and language."""
    return [
        {"item_id": c.item, "language": c.language, "chosen": c.chosen, "right": c.right, "correct": c.correct}
        for row in items.choices.values()
        for c in row.values()
    ]


#: Parquet types of `choice_rows`, by column.
COLUMNS: dict[str, str] = {
    "item_id": "string", "language": "string", "chosen": "string", "right": "string", "correct": "bool",
}  # fmt: skip


def _option(value: object) -> str | None:
    """An option in the form that is compared, or None for nothing."""
    text = "" if value is None else str(value).strip().casefold()
    return text or None
