"""`xirecipe run`: make the dataset and write its release folder."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xirecipe.columns import StageKind
from xirecipe.commands.common import Session, command_line, open_session, stage_kind
from xirecipe.commands.enough import Reading, check_enough, print_reading, read_enough
from xirecipe.diagnostics import UserError, render_text
from xirecipe.disk import explained
from xirecipe.hub.current import is_current
from xirecipe.run import StageDone, run_plan
from xirecipe.spending import Spending
from xirecipe.terminal import Steps, console, duration, table


@dataclass(frozen=True)
class Ran:
    """What became of one recipe."""

    session: Session
    """The last one of several turns."""
    walked: list[StageDone] | None
    """None where it failed."""
    folder: Path | None = None
    """The release."""
    reading: Reading | None = None
    """With `--enough`."""
    seconds: float = 0.0


def run_run(
    recipes: Sequence[Path],
    profile: str | None,
    overrides: Sequence[str],
    limit: int | None,
    to: str | None,
    retry_failed: bool,
    enough: bool,
    as_json: bool,
) -> int:
    """0; with several recipes 1 when one of them failed: the others run all the same, and a last table says which."""
    last = stage_kind(to) if to else None
    sessions = _opened(recipes, profile, overrides, limit)
    if enough:
        for session in sessions:
            check_enough(session, limit, to)
    if len(sessions) == 1:
        ran = _run(sessions[0], last, retry_failed, enough)
        if as_json:
            print(json.dumps(_record(ran), ensure_ascii=False, indent=2))
        else:
            _print_run(sessions[0], ran)
        return 0
    finished: list[Ran] = []
    for session in sessions:
        print(f"\n{session.plan.recipe.name}", file=sys.stderr, flush=True)
        begun = time.monotonic()
        try:
            ran = _run(session, last, retry_failed, enough)
        except UserError as error:
            sys.stderr.write(render_text(error.diagnostics))
            ran = Ran(session, None)
        finished.append(replace(ran, seconds=time.monotonic() - begun))
    if as_json:
        print(json.dumps([_record(ran) for ran in finished], ensure_ascii=False, indent=2))
    else:
        _print_all(finished)
        for session, ran in zip(sessions, finished, strict=True):
            if ran.reading:
                console().print(f"\n{session.plan.recipe.name}", markup=False)
                print_reading(session, ran.reading)
    return 1 if any(ran.walked is None for ran in finished) else 0


def _opened(recipes: Sequence[Path], profile: str | None, overrides: Sequence[str], limit: int | None) -> list[Session]:
    """All recipes compiled before anything runs. Raises UserError with the mistakes of all of them."""
    sessions: list[Session] = []
    broken: list[UserError] = []
    for recipe in recipes:
        try:
            sessions.append(open_session(recipe, profile, overrides, limit))
        except UserError as error:
            broken.append(error)
    if len(broken) == 1:
        raise broken[0]
    if broken:
        # A base's mistake is every recipe's; it is shown once.
        raise UserError(dict.fromkeys(diagnostic for error in broken for diagnostic in error.diagnostics))
    return sessions


def _run(session: Session, last: StageKind | None, retry_failed: bool, enough: bool) -> Ran:
    # Turns are one run, and share what it may spend.
    budget = Spending(session.plan.recipe.budget, session.plan.recipe.rates)

    def walk(session: Session, last: StageKind | None) -> list[StageDone]:
        with Steps().showing() as steps:
            return run_plan(
                session.plan,
                session.store,
                session.settings,
                to=last,
                retry_failed=retry_failed and not (enough and last is None),
                budget=budget,
                started=steps.started,
                report=steps.report,
                finished=steps.finished,
            )

    if enough:
        session, walked, reading = read_enough(session, walk)
        return Ran(session, walked, _release(session), reading)
    walked = walk(session, last)
    return Ran(session, walked, _release(session) if last in (None, "split") else None)


def _print_run(asked: Session, ran: Ran) -> None:
    """`asked` is what the person asked for; with `--enough` the session that ran is another."""
    assert ran.walked is not None
    _print_funnel(ran.walked)
    out, session = console(), ran.session
    if ran.reading:
        print_reading(asked, ran.reading)
    if ran.folder:
        out.print(f"dataset and card: {os.path.relpath(ran.folder)}", markup=False, soft_wrap=True)
        if session.store.mirror is not None:
            kept = session.store.mirror.remote.at(ran.folder.relative_to(session.store.root).as_posix())
            out.print(f"kept at:          {kept}", markup=False, soft_wrap=True)
        out.print(f"look inside:      {command_line(session.plan, 'preview')}", markup=False, soft_wrap=True)


def _print_all(finished: Sequence[Ran]) -> None:
    out = console()
    lines = table("recipe", ">documents", ">rows", ">calls", ">reused", ">time", "")
    for ran in finished:
        name = ran.session.plan.recipe.name
        if ran.walked is None:
            lines.add_row(name, "", "", "", "", duration(ran.seconds), "failed, see above")
            continue
        manifests = [done.manifest for done in ran.walked]
        read = sum(m.rows_in for m in manifests if m.stage in ("corpus", "read"))
        lines.add_row(
            name, f"{read:,}", f"{manifests[-1].kept:,}", f"{sum(m.calls for m in manifests):,}",
            f"{sum(m.reused for m in manifests):,}", duration(ran.seconds),
            "" if any(d.made for d in ran.walked) else "done",
        )  # fmt: skip
    out.print(lines)
    folders = [ran.folder for ran in finished if ran.folder]
    if folders:
        out.print(f"datasets and cards: {os.path.relpath(folders[0].parent)}/", markup=False, soft_wrap=True)


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
    if not is_current(session.plan, session.store, folder):
        from xirecipe.hub.folder import write_release

        with explained(folder):
            write_release(session.plan, session.store, folder)
    session.store.keep(folder)
    return folder


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


def _record(ran: Ran) -> dict[str, object]:
    stages = [
        {
            "stage": d.manifest.label, "fingerprint": d.manifest.fingerprint, "made": d.made, "asked": d.manifest.asked,
            "kept": d.manifest.kept, "dropped": d.manifest.dropped, "failed": d.manifest.failed,
            "calls": d.manifest.calls, "reused": d.manifest.reused, "seconds": d.manifest.seconds,
        }
        for d in ran.walked or ()
    ]  # fmt: skip
    release = str(ran.folder) if ran.folder else None
    name = ran.session.plan.recipe.name
    record: dict[str, object] = {"recipe": name, "ok": ran.walked is not None, "stages": stages, "release": release}
    return record | ({"enough": ran.reading.record()} if ran.reading else {})
