"""`xirecipe card` and `xirecipe release`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from xirecipe.commands.common import open_session, said
from xirecipe.terminal import console, table

if TYPE_CHECKING:
    from xirecipe.hub.candidate import Released

#: Paths, and lines of a card's diff, that are shown; `--json` has them all.
SHOWN_LINES = 40


def run_card(recipe: Path, profile: str | None, overrides: Sequence[str], limit: int | None) -> int:
    from xirecipe.hub.content import render_card

    session = open_session(recipe, profile, overrides, limit)
    print(render_card(session.plan, session.store), end="")
    return 0


def run_release(
    recipe: Path,
    to: Path | None,
    dry_run: bool,
    as_pull: bool,
    profile: str | None,
    overrides: Sequence[str],
    limit: int | None,
    as_json: bool,
) -> int:
    """0 when the version is out, in review, or out already; with `dry_run` 1 when it would be refused."""
    from xirecipe.hub.progress import hub_progress
    from xirecipe.hub.registry import release_to_folder
    from xirecipe.hub.release import release_to_hub

    session = open_session(recipe, profile, overrides, limit)
    if to is not None:
        done = release_to_folder(session.plan, session.store, to, dry_run=dry_run)
    else:
        with hub_progress():
            done = release_to_hub(session.plan, session.store, dry_run=dry_run, as_pull=as_pull, say=said)
    if as_json:
        print(json.dumps(_record(done), ensure_ascii=False, indent=2))
    else:
        _print(done)
    return int(bool(done.notes))


def _print(done: Released) -> None:
    out = console()

    def line(text: str) -> None:
        out.print(text, markup=False, soft_wrap=True)

    if done.status == "already released":
        line(f"already released: {done.version.tag} at {done.place}, every file the same")
        return
    for gate in done.gates:
        line(f"gate {gate.name}: {gate.value:,.4g} (at least {gate.minimum:,.4g})")
    if done.difference and done.previous:
        rows = table("config", ">before", ">after", ">added", ">removed", ">changed")
        for c in done.difference.rows:
            rows.add_row(c.config, *(f"{n:,}" for n in (c.before, c.after, c.added, c.removed, c.changed)))
        out.print(rows)
        line(
            f"since {done.previous}: {'; '.join(done.difference.reasons)} (at least a {done.difference.least} version)"
        )
    else:
        line("no earlier version to compare with")
    files = done.files
    line(
        f"files: {len(files.added)} new, {len(files.changed)} changed, {len(files.removed)} removed, {files.same} same"
    )
    for mark, paths in (("+", files.added), ("~", files.changed), ("-", files.removed)):
        for path in paths[:SHOWN_LINES]:
            line(f"  {mark} {path}")
    if files.foreign:
        line(f"left alone, no release wrote them: {', '.join(files.foreign)}")
    if done.previous and done.card:
        changed = [text for text in done.card if not text.startswith("@@")]
        line(f"card: {len(changed)} lines of difference")
        for text in changed[:SHOWN_LINES]:
            line(f"  {text}")
    for note in done.notes:
        line(f"would be refused: {note}")
    ends = {
        "released": f"released: {done.version.tag} at {done.place}",
        "in review": f"in review: {done.place}\nafter the merge, run the same command again: it makes the tag",
        "dry run": f"dry run: nothing was sent; {done.version.tag} would go to {done.place}",
    }
    line(ends[done.status])


def _record(done: Released) -> dict[str, object]:
    from xirecipe.hub.diffing import as_json

    return {
        "status": done.status, "version": str(done.version), "place": done.place, "commit": done.commit,
        "previous": str(done.previous) if done.previous else None,
        "difference": as_json(done.difference) if done.difference else None,
        "files": {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(done.files).items()},
        "card": list(done.card),
        "gates": [{"name": g.name, "minimum": g.minimum, "value": g.value} for g in done.gates],
        "would_be_refused": list(done.notes),
    }  # fmt: skip
