"""`xirecipe run`: make the dataset and write its release folder."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from xirecipe.commands.common import Session, command_line, open_session, stage_kind
from xirecipe.hub.current import is_current
from xirecipe.run import StageDone, run_plan
from xirecipe.store import explained
from xirecipe.terminal import Steps, console, table


def run_run(
    recipe: Path,
    profile: str | None,
    overrides: Sequence[str],
    limit: int | None,
    to: str | None,
    retry_failed: bool,
    as_json: bool,
) -> int:
    session = open_session(recipe, profile, overrides, limit)
    last = stage_kind(to) if to else None
    with Steps().showing() as steps:
        walked = run_plan(
            session.plan,
            session.store,
            session.settings,
            to=last,
            retry_failed=retry_failed,
            started=steps.started,
            report=steps.report,
            finished=steps.finished,
        )
    if not as_json:
        _print_funnel(walked)
    folder = _release(session) if last in (None, "split") else None
    if as_json:
        print(json.dumps(_record(walked, folder), ensure_ascii=False, indent=2))
    elif folder:
        out = console()
        out.print(f"dataset and card: {os.path.relpath(folder)}", markup=False, soft_wrap=True)
        out.print(f"look inside:      {command_line(session.plan, 'preview')}", markup=False, soft_wrap=True)
    return 0


def release_folder(session: Session) -> Path:
    """Where `run` puts the finished dataset: beside the store's artifacts, by name, version and profile."""
    plan = session.plan
    parts = [plan.recipe.name, plan.recipe.version, *([plan.profile] if plan.profile else [])]
    if plan.limit is not None or plan.overrides:
        # A trial must not stand where the recipe's own dataset stands.
        parts.append(plan.stages[-1].fingerprint[:8])
    return session.store.root / "releases" / "-".join(parts)


def _release(session: Session) -> Path:
    folder = release_folder(session)
    if is_current(session.plan, session.store, folder):
        return folder
    from xirecipe.hub.folder import write_release

    with explained(folder):
        return write_release(session.plan, session.store, folder)


def _print_funnel(walked: Sequence[StageDone]) -> None:
    out = console()
    made = [done for done in walked if done.made]
    if not made:
        out.print("nothing to do: every stage is done")
    lines = table("stage", ">in", ">kept", ">dropped", ">failed", ">calls", ">reused", ">seconds")
    for done in walked:
        m = done.manifest
        lines.add_row(
            m.label, f"{m.asked:,}", f"{m.kept:,}", f"{sum(m.dropped.values()):,}", f"{sum(m.failed.values()):,}",
            f"{m.calls:,}" if done.stage.asks else "", f"{m.reused:,}" if done.stage.asks else "",
            f"{m.seconds:,.1f}" if done.made else "done",
        )  # fmt: skip
    out.print(lines)
    reasons = [(f"{m.label}: {reason}", n) for d in walked for m in [d.manifest] for reason, n in
               sorted([*m.dropped.items(), *m.failed.items()], key=lambda item: (-item[1], item[0]))]  # fmt: skip
    if reasons and made:
        why = table("dropped or failed because of", ">rows")
        for reason, n in reasons:
            why.add_row(reason, f"{n:,}")
        out.print(why)


def _record(walked: Sequence[StageDone], folder: Path | None) -> dict[str, object]:
    stages = [
        {
            "stage": d.manifest.label, "fingerprint": d.manifest.fingerprint, "made": d.made, "asked": d.manifest.asked,
            "kept": d.manifest.kept, "dropped": d.manifest.dropped, "failed": d.manifest.failed,
            "calls": d.manifest.calls, "reused": d.manifest.reused, "seconds": d.manifest.seconds,
        }
        for d in walked
    ]  # fmt: skip
    return {"stages": stages, "release": str(folder) if folder else None}
