"""`rejects --try`: what other thresholds would change, over stored scores, without a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xirecipe import tables
from xirecipe.commands.common import Session, command_line, open_session
from xirecipe.commands.rows import artifact_of, print_row, rejected, shown
from xirecipe.diagnostics import user_error
from xirecipe.recipe.recipe import Recipe
from xirecipe.selecting import select_rows
from xirecipe.tables import Row
from xirecipe.terminal import console


def run_try(
    session: Session, recipe: Path, profile: str | None, overrides: Sequence[str], limit: int | None,
    tries: Sequence[str], as_json: bool,
) -> int:  # fmt: skip
    """Other thresholds over stored scores: `select` is decided again in memory; a filter's drops are compared."""
    other = open_session(recipe, profile, [*overrides, *tries], limit)
    recipes = session.plan.recipe, other.plan.recipe
    if not isinstance(recipes[0], Recipe) or not isinstance(recipes[1], Recipe):
        message = "a mixing recipe has no thresholds to try on stored scores"
        raise user_error("cannot-try", message, hint="`xirecipe run --set ...`: nothing is paid for twice")
    changed = [t for t in tries if not t.startswith(("select.", "corpus.filters."))]
    if changed:
        hint = "keys below `select` and `corpus.filters` can be tried; others need `xirecipe run --set ...`"
        raise user_error("cannot-try", f"`{changed[0]}` cannot be tried on stored scores", hint=hint)
    result: dict[str, Any] = {}
    if any(t.startswith("select.") for t in tries):
        source = artifact_of(session, session.plan.stage("cluster"))
        if not source.done:
            raise user_error("not-run", "the scores are not there yet", hint=command_line(session.plan, "run"))
        rows = list(tables.read(source.data))
        before = {_key(row): row for row in select_rows(rows, recipes[0].select)[0]}
        after = {_key(row): row for row in select_rows(rows, recipes[1].select)[0]}
        result["select"] = {
            "rows_before": len(before),
            "rows_after": len(after),
            "come": [shown(row) for key, row in after.items() if key not in before],
            "go": [shown(row) for key, row in before.items() if key not in after],
        }
    for text in tries:
        if text.startswith("corpus.filters."):
            key = text.removeprefix("corpus.filters.").partition("=")[0]
            result[key] = _try_filter(session, key, _threshold(recipes[0], key), _threshold(recipes[1], key))
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        _print_try(result)
    return 0


#: Thresholds whose value is known of kept documents too, so that a stricter one can be tried.
_MEASURED: dict[str, Callable[[Row], float]] = {
    "length.min_chars": lambda row: len(row["text"]),
    "length.max_chars": lambda row: len(row["text"]),
    "language.min_score": lambda row: row["language_score"],
}


def _threshold(recipe: Recipe, key: str) -> float:
    """The number at `corpus.filters.<key>`. Raises UserError where there is none to compare with."""
    value: Any = recipe.corpus.filters
    for part in key.split("."):
        value = getattr(value, part, None)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        hint = "one number can be tried, such as `--try corpus.filters.length.min_chars=200`"
        raise user_error("cannot-try", f"`corpus.filters.{key}` is not a number", hint=hint)
    return float(value)


def _try_filter(session: Session, key: str, old: float, new: float) -> dict[str, Any]:
    """Documents that another threshold would let pass to the filters after it, and kept ones it would drop."""
    corpus = artifact_of(session, session.plan.stage("corpus"))
    if not corpus.done:
        raise user_error("not-run", "no document has been read yet", hint=command_line(session.plan, "run"))

    def passes(value: float | None) -> bool:
        return value is not None and (value >= new if key.rpartition(".")[2].startswith("min_") else value <= new)

    dropped = list(rejected(session, "corpus", key))
    come = [row for row in dropped if passes(row["value"])]
    go: list[Row] = []
    if key in _MEASURED:
        go = [row for row in tables.read(corpus.data) if not passes(_MEASURED[key](row))]
    elif not passes(old):
        message = f"`{key}` was not stored for kept documents, so a stricter one cannot be tried"
        raise user_error("cannot-try", message, hint="`xirecipe run --to corpus --set corpus.filters....`")
    return {
        "dropped_before": len(dropped),
        "come": [shown(row) for row in come],
        "go": [shown(row) for row in go],
    }


def _print_try(result: dict[str, Any]) -> None:
    out = console()
    for name, found in result.items():
        if name == "select":
            out.print(f"select: {found['rows_before']:,} rows before, {found['rows_after']:,} after", markup=False)
        else:
            out.print(
                f"{name}: {len(found['come']):,} of the {found['dropped_before']:,} documents it dropped would pass it "
                f"(the filters after it have not seen them); {len(found['go']):,} kept ones would go",
                markup=False,
            )
        for word in ("come", "go"):
            rows = found.get(word, [])
            if rows:
                out.print(f"\n{len(rows):,} would {word}; the first:", markup=False)
            for row in rows[:3]:
                print_row(row)


def _key(row: Row) -> tuple[str, int]:
    return row["document_id"], row["draw"]
