"""The least version step of a change, as far as it can be known before anything runs, and whether it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xirecipe.diagnostics import Severity
from xirecipe.fingerprint import DEFAULT, differences
from xirecipe.hub.versions import BUMPS, Bump, Version, step
from xirecipe.plan import AnyPlan, Plan
from xirecipe.recipe.corpus import Corpus, FileSource
from xirecipe.reviewing.changes import stage_changes, stages_of

DEV = "-dev"
#: Read at a time while looking whether a file only grew.
_PIECE = 1 << 20


@dataclass(frozen=True)
class Least:
    """The least step. `bump` is None where a release of both would be the same."""

    bump: Bump | None
    why: str
    is_bound: bool = False
    """Whether a run may show that it has to be a larger one."""

    @property
    def rows_may_change(self) -> bool:
        return self.bump in ("MINOR", "MAJOR")


@dataclass(frozen=True)
class VersionNote:
    """What is to be said of a recipe's `version`."""

    severity: Severity
    message: str
    hint: str | None = None


def least_bump(old: AnyPlan, new: AnyPlan) -> Least:
    """From the plans alone: rows that nothing can change, rows that are only read in addition, or any."""
    changes = stage_changes(stages_of(old), stages_of(new))
    if not changes:
        ours, theirs = (plan.recipe.model_dump(mode="json", exclude={"version"}) for plan in (old, new))
        sections = sorted({path.partition(".")[0] for path, _, _ in differences(ours, theirs)})
        if sections:
            return Least("PATCH", f"no row changes: only {', '.join(sections)}")
        return Least(None, "no row and no card changes")
    own = [change for change in changes if change.by_itself]
    first = own[0] if own else changes[0]
    reads_more = len(own) == 1 and first.label == "corpus"
    if reads_more and isinstance(old, Plan) and isinstance(new, Plan) and only_adds(old, new):
        why = "documents are only added; clusters and thresholds may still move rows, which a run shows"
        return Least("MINOR", why, is_bound=True)
    why = f"{first.label} ({first.why})" if first.kind == "changed" else f"the stage {first.label} is {first.kind}"
    return Least("MAJOR", f"rows may change: {why}")


def only_adds(old: Plan, new: Plan) -> bool:
    """Whether the new corpus reads every document that the old one read, in the same order, and more."""
    was, now = old.stage("corpus"), new.stage("corpus")
    assert isinstance(was.config, Corpus)
    assert isinstance(now.config, Corpus)
    names = list(was.config.sources)
    if list(now.config.sources)[: len(names)] != names:
        return False
    for path, before, after in differences(was.payload, now.payload):
        parts = path.split(".")
        if path == "identity.order":
            continue
        if parts[0] == "inputs" and path.startswith("inputs.source:"):
            name = path.removeprefix("inputs.source:")
            if before is not DEFAULT and not _grew(old, new, name):
                return False
        elif parts[:3] == ["identity", "config", "sources"] and len(parts) >= 4:
            if parts[3] in names and not (parts[4:] == ["documents"] and _more(before, after)):
                return False
        else:
            return False
    return True


def _more(before: Any, after: Any) -> bool:
    """Whether a number of documents to read became larger; none given means all."""
    return before is not DEFAULT and (after is DEFAULT or (isinstance(after, int) and after > before))


def _grew(old: Plan, new: Plan, name: str) -> bool:
    """Whether a JSON Lines file begins with all that it was. Of other formats it is not known."""
    was, now = old.recipe.corpus.sources.get(name), new.recipe.corpus.sources.get(name)
    if not isinstance(was, FileSource) or not isinstance(now, FileSource) or was.format != "jsonl":
        return False
    before, after = old.root / was.path, new.root / now.path
    if not before.is_file() or not after.is_file() or before.suffix != ".jsonl" or after.suffix != ".jsonl":
        return False
    with before.open("rb") as one, after.open("rb") as other:
        ends_line = False
        while piece := one.read(_PIECE):
            if other.read(len(piece)) != piece:
                return False
            ends_line = piece.endswith(b"\n")
        # Without a line end the last document may have grown, and not their number.
        return ends_line or other.read(1) in (b"\n", b"")


def version_notes(old: str | None, new: str, least: Least) -> list[VersionNote]:
    """Whether `version` says what the change is. `old` is None for a recipe that was not there."""
    after = Version.parse(new.removesuffix(DEV))
    before = Version.parse(old.removesuffix(DEV)) if old else None
    if after is None or before is None:
        return []
    if (after, not new.endswith(DEV)) < (before, not str(old).endswith(DEV)):
        return [VersionNote("error", f"version goes back: {old} → {new}", "versions only go up")]
    was_dev, is_dev = str(old).endswith(DEV), new.endswith(DEV)
    if was_dev and after == before:
        # Nothing was released as this version yet.
        return []
    if least.bump is None or was_dev:
        return []
    if old == new:
        if least.rows_may_change:
            hint = f"`xirecipe bump --{least.bump.lower()} --dev`"
            return [VersionNote("error", f"version {old} is frozen, and its rows may change", hint)]
        hint = "`xirecipe bump --patch`"
        return [VersionNote("warning", f"version {old} stays; a release of it with other words is refused", hint)]
    taken = step(before, after)
    if BUMPS.index(taken) < BUMPS.index(least.bump):
        severity: Severity = "warning" if is_dev else "error"
        message = f"{old} → {new} is a {taken} step, and the change is {least.bump}"
        return [
            VersionNote(severity, message, f"`xirecipe bump --to {before.after(least.bump)}{DEV if is_dev else ''}`")
        ]
    return []
