"""`xirecipe report`: one HTML page about a run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from xirecipe.commands.common import command_line, open_session
from xirecipe.disk import explained, write_whole
from xirecipe.plan import Plan


def run_report(recipe: Path, profile: str | None, overrides: Sequence[str], limit: int | None, to: Path | None) -> int:
    """Write the page to `to`; beside the store's releases, by the recipe's name, where no place is given."""
    from xirecipe.report.mixing import render_mix_report
    from xirecipe.report.page import render_report

    session = open_session(recipe, profile, overrides, limit)
    plan = session.plan
    command = command_line(plan, "report")
    command += f" --to {shlex.quote(to.name)}" if to else ""
    run_command = command_line(plan, "run")
    if isinstance(plan, Plan):
        html = render_report(plan, session.store, command=command, run_command=run_command)
    else:
        html = render_mix_report(plan, session.store, command=command, run_command=run_command)
    if to is None:
        parts = [plan.recipe.name, plan.recipe.version, *([plan.profile] if plan.profile else [])]
        if plan.limit is not None or plan.overrides:
            # A trial must not stand where the recipe's own report stands.
            parts.append(plan.stages[-1].fingerprint[:8])
        to = session.store.root / "reports" / ("-".join(parts) + ".html")
    with explained(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        write_whole(to, html)
        if to.is_relative_to(session.store.root):
            session.store.keep(to)
    print(f"report: {os.path.relpath(to)} ({to.stat().st_size / 1e6:.1f} MB, opens without network)")
    return 0
