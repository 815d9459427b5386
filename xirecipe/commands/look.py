"""`preview`, `trace`, `rejects`: looking at rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xirecipe import tables
from xirecipe.artifact import Artifact
from xirecipe.columns import BESIDE
from xirecipe.commands.common import command_line, open_session, stage_kind
from xirecipe.commands.rows import artifact_of, outcomes, print_row, reasons, rejected, shown, spread
from xirecipe.commands.trying import run_try
from xirecipe.diagnostics import did_you_mean, user_error
from xirecipe.pairs import BEST_ROWS
from xirecipe.stage import Stage
from xirecipe.terminal import console, table


def run_preview(recipe: Path, n: int, profile: str | None, overrides: Sequence[str], as_json: bool) -> int:
    """Rows of the finished dataset; of a run over the first `n` documents when it is not finished."""
    from xirecipe.run import run_plan
    from xirecipe.terminal import Steps

    session = open_session(recipe, profile, overrides)
    if not artifact_of(session, session.plan.stages[-1]).done:
        session = open_session(recipe, profile, overrides, n)
        with Steps().showing() as steps:
            run_plan(session.plan, session.store, session.settings, started=steps.started, report=steps.report)
    final = list(tables.read(artifact_of(session, session.plan.stages[-1]).data))
    kept = [shown(row) for row in final[:n]]
    lost = [shown(row) for row in spread(rejected(session, None, None), n)]
    if as_json:
        print(json.dumps({"kept": kept, "dropped": lost}, ensure_ascii=False, indent=2))
        return 0
    out = console()
    out.print(f"{len(final):,} rows kept; {len(kept)} of them:", markup=False)
    for row in kept:
        print_row(row)
    out.print(f"\ndropped or failed, {len(lost)} of them:", markup=False)
    for row in lost:
        print_row(row)
    return 0


def run_trace(
    recipe: Path, document_id: str, profile: str | None, overrides: Sequence[str], limit: int | None, as_json: bool
) -> int:
    """What happened to one document at every stage that is done."""
    session = open_session(recipe, profile, overrides, limit)
    steps: list[dict[str, Any]] = []
    known: set[str] = set()
    for stage in session.plan.stages:
        artifact = artifact_of(session, stage)
        if stage.kind in BESIDE:
            steps += _learnt(stage, artifact, document_id)
            continue
        if not artifact.done:
            break
        for outcome, row in outcomes(artifact):
            known.add(row["document_id"])
            if row["document_id"] == document_id:
                steps.append({"stage": stage.label, "outcome": outcome, **shown(row, whole=True)})
    if not known:
        raise user_error("not-run", "no stage of this recipe is done", hint=command_line(session.plan, "run"))
    if not steps:
        hint = did_you_mean(document_id, known)
        raise user_error("unknown-document", f"no document `{document_id}` was read", hint=hint)
    if as_json:
        print(json.dumps(steps, ensure_ascii=False, indent=2))
    else:
        _print_trace(document_id, steps)
    return 0


def _learnt(stage: Stage, artifact: Artifact, document_id: str) -> Iterator[dict[str, Any]]:
    """What the training before a refining round made of the document, where it is one of its best rows."""
    if stage.best_by is not None and artifact.done:
        for outcome, row in outcomes(artifact):
            if (row["seed"], row["pair_id"]) == (BEST_ROWS, document_id):
                learnt = "learnt" if outcome == "kept" else "not learnt"
                told = {name: value for name, value in row.items() if name in ("instruction", "reason", "detail")}
                yield {"stage": stage.label, "outcome": learnt, **shown(told, whole=True)}


def run_rejects(
    recipe: Path,
    stage: str | None,
    reason: str | None,
    sample: int,
    tries: Sequence[str],
    profile: str | None,
    overrides: Sequence[str],
    limit: int | None,
    as_json: bool,
) -> int:
    """Rows that did not stay; with `tries`, what other thresholds would keep."""
    session = open_session(recipe, profile, overrides, limit)
    if tries:
        return run_try(session, recipe, profile, overrides, limit, tries, as_json)
    kind = stage_kind(stage) if stage else None
    counts = reasons(session, kind)
    if reason is not None and reason not in counts:
        raise user_error("unknown-reason", f"nothing was dropped by `{reason}`", hint=did_you_mean(reason, counts))
    rows = [shown(row) for row in spread(rejected(session, kind, reason), sample)]
    if as_json:
        print(json.dumps({"reasons": counts, "rows": rows}, ensure_ascii=False, indent=2))
        return 0
    if not counts:
        print("nothing was dropped")
        return 0
    lines = table("reason", ">rows")
    for name, n in counts.items():
        if reason in (None, name):
            lines.add_row(name, f"{n:,}")
    console().print(lines)
    for row in rows:
        print_row(row)
    return 0


def _print_trace(document_id: str, steps: Sequence[dict[str, Any]]) -> None:
    out = console()
    out.print(document_id, style="bold", markup=False)
    before: dict[str, Any] = {}
    for step in steps:
        draw = f" draw {step['draw']}" if "draw" in step else ""
        decided = ""
        if "reason" in step:
            value = f" {step['value']:g}" if "value" in step else ""
            limit = f" (threshold {step['threshold']:g})" if "threshold" in step else ""
            decided = f": {step['reason']}{value}{limit} {step.get('detail', '')}".rstrip()
        out.print(f"\n{step['stage']}{draw}: {step['outcome']}{decided}", markup=False)
        key = f"{step.get('draw')}"
        hidden = {"stage", "outcome", "draw", "document_id", "reason", "value", "threshold", "detail"}
        for name, value in step.items():
            if name not in hidden and before.get(f"{key}/{name}", before.get(f"None/{name}")) != value:
                out.print(f"  {name}: {' '.join(str(value).split())}", markup=False)
                before[f"{key}/{name}"] = value
    out.print(f"\n{_end(steps)}", style="bold", markup=False)


def _end(steps: Sequence[dict[str, Any]]) -> str:
    last = [step for step in steps if "learnt" not in step["outcome"]][-1]["stage"]
    if last == "split":
        return "in the dataset"
    kept = any(step["stage"] == last and step["outcome"] == "kept" for step in steps)
    return f"on its way: the stages after {last} are not done" if kept else f"ended at {last}"
