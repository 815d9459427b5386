"""`xirecipe plan`: what would run, why, and what it would cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from xirecipe.commands.common import open_session
from xirecipe.costs import StageCost, cost_plan
from xirecipe.diagnostics import user_error
from xirecipe.enough import Enough, enough_documents
from xirecipe.fingerprint import SHORT
from xirecipe.terminal import console, duration, number, table


def run_plan_command(
    recipe: Path,
    profile: str | None,
    overrides: Sequence[str],
    limit: int | None,
    exit_code: bool,
    how: str = "table",
    against: str | None = None,
) -> int:
    """0; with `exit_code` 2 when a stage would run. `against`: a git revision, see `run_against`."""
    if against is not None:
        from xirecipe.commands.against import run_against

        if overrides or limit is not None:
            raise user_error("usage", "`--against` compares files, and takes neither `--set` nor `--limit`")
        return run_against(recipe, against, profile, how, exit_code)
    if how not in ("table", "json"):
        hint = "`--format markdown` goes with `--against`" if how == "markdown" else "table or json"
        raise user_error("bad-format", f"`{how}` is not a format of a plan", hint=hint)
    session = open_session(recipe, profile, overrides, limit)
    costs = cost_plan(session.plan, session.store)
    if how == "json":
        print(json.dumps([_record(cost) for cost in costs], ensure_ascii=False, indent=2))
    else:
        _print(costs)
        if needed := enough_documents(session.plan, session.store):
            _print_enough(needed, costs[0].rows_in)
    return 2 if exit_code and any(cost.state == "run" for cost in costs) else 0


def _print(costs: Sequence[StageCost]) -> None:
    out = console()
    lines = table("stage", "fingerprint", "state", ">rows", ">calls", ">paid", ">tokens", ">$", ">time")
    for cost in costs:
        rows = number(cost.rows_out)
        lines.add_row(
            cost.stage.label,
            cost.stage.fingerprint[:8],
            cost.state,
            rows if cost.measured or cost.rows_out is None else f"≤ {rows}",
            number(cost.calls) if cost.stage.asks else "",
            number(cost.paid) if cost.stage.asks else "",
            number(cost.tokens) if cost.stage.asks else "",
            _money(cost.dollars) if cost.stage.asks else "",
            "" if cost.state == "done" else duration(cost.seconds),
        )
    out.print(lines)
    for cost in costs:
        if cost.state == "run":
            out.print(f"{cost.stage.label}: {cost.why}", markup=False, soft_wrap=True)
    running = [cost for cost in costs if cost.state == "run"]
    if not running:
        out.print("everything is done; `xirecipe run` would do nothing")
        return
    asking = [cost for cost in running if cost.stage.asks]
    parts = [
        f"{_total([c.calls for c in asking])} model calls",
        f"{_total([c.tokens for c in asking])} tokens",
        f"${_total([c.dollars for c in asking], '.2f')}",
        f"{_total([c.paid for c in asking])} answers already paid for",
    ]
    out.print(f"\n{len(running)} of {len(costs)} stages would run: {', '.join(parts)}", markup=False, soft_wrap=True)
    if any(cost.paid is None for cost in asking):
        out.print("calls are at most: what is already paid for is known once the stages before have run")


def _print_enough(needed: Enough, read: int | None) -> None:
    if read is not None and read <= needed.documents:
        return
    measured = f"{needed.measured_documents:,} gave {needed.measured_rows:,} rows that pass"
    console().print(
        f"{needed.documents:,} documents are enough for `select.rows: {needed.rows}`, going by the run of "
        f"{needed.run}, where {measured}: `documents:` of a source says how many are read; `xirecipe run --enough` "
        "finds out",
        markup=False,
        soft_wrap=True,
    )


def _total(numbers: Sequence[float | None], form: str = "") -> str:
    """The sum of what is known, with ` + ?` where something is not."""
    known = [n for n in numbers if n is not None]
    if numbers and not known:
        return "?"
    return f"{sum(known):,{form}}" + (" + ?" if len(known) < len(numbers) else "")


def _money(dollars: float | None) -> str:
    return "?" if dollars is None else f"{dollars:,.2f}"


def _record(cost: StageCost) -> dict[str, object]:
    return {
        "stage": cost.stage.label,
        "fingerprint": cost.stage.fingerprint,
        "folder": f"{cost.stage.kind}-{cost.stage.fingerprint[:SHORT]}",
        "state": cost.state,
        "why": cost.why,
        "rows_in": cost.rows_in,
        "rows_out": cost.rows_out,
        "measured": cost.measured,
        "calls": cost.calls,
        "paid": cost.paid,
        "tokens": cost.tokens,
        "dollars": cost.dollars,
        "seconds": cost.seconds,
    }
