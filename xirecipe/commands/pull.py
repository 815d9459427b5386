"""`xirecipe pull`: a released version, checked, with its recipe."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from xirecipe.commands.common import said
from xirecipe.hub.checking import Replanned
from xirecipe.hub.progress import hub_progress
from xirecipe.hub.pull import Pulled, pull
from xirecipe.loaded import shown_name
from xirecipe.terminal import console

_VERSION = "        the version of xirecipe that made it stands in provenance/environment.txt"


def run_pull(asked: str, to: Path | None, config: str | None, as_json: bool) -> int:
    """0 when the data is what was released. A recipe that plans otherwise today is said, and stays beside it."""
    with hub_progress():
        done = pull(asked, to, config, say=said)
    if as_json:
        print(json.dumps(_record(done), ensure_ascii=False, indent=2))
        return 0
    out = console()

    def line(text: str) -> None:
        out.print(text, markup=False, soft_wrap=True)

    rows = "" if done.rows is None else f", {', '.join(f'{split} {n:,}' for split, n in done.rows.items())} rows"
    line(f"{done.version} of {done.place} ({done.pinned}): {done.files} files{rows}, hashes agree with the manifest")
    if done.was_there:
        line("it was there already")
    line(f"data:   {shown_name(done.folder / 'data')}")
    for text in _about(done.plan):
        line(text)
    return 0


def _about(plan: Replanned | None) -> list[str]:
    if plan is None:
        return ["recipe: not recorded in this version"]
    if plan.problem:
        return [f"recipe: {shown_name(plan.recipe)}, which this xirecipe cannot plan: {plan.problem}", _VERSION]
    words = ["xirecipe", "plan", shown_name(plan.recipe), *(["--profile", plan.profile] if plan.profile else [])]
    if plan.differing:
        found = f"recipe: {', '.join(plan.differing)} of {plan.stages} stages have other fingerprints than the release:"
        return [found, _VERSION]
    lines = [f"recipe: {shlex.join(words)}  (all {plan.stages} fingerprints are those of the release)"]
    for path, sha256 in plan.missing:
        lines.append(f"        to run it, put the source {path} there (sha256 {sha256}): releases do not carry sources")
    return lines


def _record(done: Pulled) -> dict[str, object]:
    plan = done.plan
    return {
        "place": done.place, "version": str(done.version), "pinned": done.pinned, "folder": str(done.folder),
        "files": done.files, "rows": done.rows, "was_there": done.was_there,
        "recipe": None if plan is None else {
            "path": str(plan.recipe), "profile": plan.profile or None, "stages": plan.stages,
            "reproduced": plan.reproduced, "differing": list(plan.differing), "problem": plan.problem,
            "missing": [{"path": p, "sha256": h} for p, h in plan.missing],
        },
    }  # fmt: skip
