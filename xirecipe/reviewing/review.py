"""A change of a recipe folder, recipe by recipe: what it touches, what runs again, what that costs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Literal

from xirecipe.costs import StageCost, cost_plan
from xirecipe.diagnostics import Diagnostic, user_error
from xirecipe.plan import AnyPlan
from xirecipe.reviewing.bumps import Least, VersionNote, least_bump, version_notes
from xirecipe.reviewing.changes import (
    KeyChange,
    StageChange,
    TextChange,
    diagnostic_changes,
    key_changes,
    stage_changes,
    stages_of,
    text_changes,
)
from xirecipe.reviewing.previews import Preview, preview
from xirecipe.reviewing.snapshots import Snapshot
from xirecipe.reviewing.states import SAMPLED_DOCUMENTS, State, read_state
from xirecipe.store import Store

#: Recipes in one folder, and profiles of one recipe, that are looked at: a stranger's change may have thousands.
MAX_RECIPES, MAX_PROFILES = 200, 8
#: A review that takes longer stops before the next profile, and says what it did not look at.
MAX_SECONDS = 240
#: The profile whose rows are the dataset, where a recipe has it.
FULL = "full"


@dataclass(frozen=True)
class Sum:
    """A total of what is known; `unknown` says how many numbers are not."""

    known: float = 0
    unknown: int = 0

    @classmethod
    def of(cls, numbers: Sequence[float | None]) -> Sum:
        return cls(sum(n for n in numbers if n is not None), sum(n is None for n in numbers))


@dataclass(frozen=True)
class Bill:
    """What the stages that a change touches cost, over those that have still to run. Answers that are paid are out."""

    calls: Sum = Sum()
    tokens: Sum = Sum()
    dollars: Sum = Sum()
    gpu_hours: Sum = Sum()
    """Of models on vLLM or a server; by measured or declared rates."""
    measured: bool = False
    """Whether a run of this recipe says how many rows to expect."""
    documents: int | None = None
    """Documents read that this is for, where the recipe does not say how many there are."""


@dataclass(frozen=True)
class ProfileReview:
    """A recipe under one profile. `stages` is None where one of the sides has errors."""

    profile: str
    stages: tuple[StageChange, ...] | None
    total: int
    """Stages of the new plan, or of the old one where there is no new one."""
    bill: Bill
    to_run: int
    """Of the stages that changed, those that the store does not have."""
    outside: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecipeReview:
    """Everything about one recipe that a reviewer wants to know. Keys and prompts are of `profile`."""

    file: str
    name: str
    status: Literal["changed", "added", "deleted"]
    versions: tuple[str | None, str | None]
    files: tuple[str, ...]
    """Changed files that it is made of, or reads."""
    profile: str
    profiles: tuple[ProfileReview, ...]
    keys: tuple[KeyChange, ...]
    prompts: tuple[TextChange, ...]
    least: Least | None
    notes: tuple[VersionNote, ...]
    new: tuple[Diagnostic, ...]
    fixed: tuple[Diagnostic, ...]
    remaining: int
    """Errors that were there before and still are."""
    preview: Preview

    @property
    def has_errors(self) -> bool:
        return any(n.severity == "error" for n in self.notes) or any(d.severity == "error" for d in self.new)


@dataclass(frozen=True)
class Review:
    """A folder's change between a revision and the working tree."""

    folder: str
    revision: str
    commit: str
    files: tuple[str, ...]
    """Files that differ."""
    recipes: tuple[RecipeReview, ...]
    untouched: int
    left_out: tuple[tuple[str, str], ...] = ()
    """(file, why) of what was not read."""
    notes: tuple[str, ...] = field(default=())

    @property
    def has_errors(self) -> bool:
        return any(recipe.has_errors for recipe in self.recipes)

    @property
    def to_run(self) -> int:
        return sum(profile.to_run for recipe in self.recipes for profile in recipe.profiles)


def review(
    old: Snapshot, new: Snapshot, shown: str, revision: str, commit: str, store: Store, only: str | None = None,
    profile: str | None = None,
) -> Review:  # fmt: skip
    """Compare two copies of a recipe folder. `shown` is what people call it; `only` is one recipe in it.

    Raises UserError `unknown-recipe`, and what the store says.
    """
    differing = {p for p in {*old.digests, *new.digests} if old.digests.get(p) != new.digests.get(p)}
    names = _recipes(old, new)
    if only is not None:
        if only not in names:
            raise user_error("unknown-recipe", f"neither side has the recipe {shown}/{only}")
        names = [only]
    notes = [f"only the first {MAX_RECIPES} of {len(names)} recipes were looked at"] if len(names) > MAX_RECIPES else []
    found: list[RecipeReview] = []
    untouched = 0
    deadline = monotonic() + MAX_SECONDS
    names = names[:MAX_RECIPES]
    for number, name in enumerate(names if differing else ()):
        if monotonic() >= deadline:
            notes.append(f"time was up: {len(names) - number} of {len(names)} recipes were not looked at")
            break
        one = _recipe(name, old, new, shown, differing, store, profile, deadline)
        untouched += one is None
        found += [one] if one else []
    untouched += 0 if differing else len(names)
    order = {"changed": 1, "added": 0, "deleted": 2}
    found.sort(key=lambda r: (not r.has_errors, order[r.status], r.file))
    left_out = tuple(dict.fromkeys([*new.left_out, *old.left_out]))
    return Review(shown, revision, commit, tuple(sorted(differing)), tuple(found), untouched, left_out, tuple(notes))


def _recipes(*sides: Snapshot) -> list[str]:
    return sorted({path for side in sides for path in side.digests if re.fullmatch(r"[^/]+\.ya?ml", path)})


def _recipe(
    name: str,
    old: Snapshot,
    new: Snapshot,
    shown: str,
    differing: set[str],
    store: Store,
    asked: str | None,
    deadline: float,
) -> RecipeReview | None:
    """None where nothing that the recipe reads differs."""
    sides = [(side, name in side.digests) for side in (old, new)]
    was, now = (_states(side.folder, name, shown, asked, deadline) if there else {} for side, there in sides)
    reads = {path for state in (*was.values(), *now.values()) for path in state.reads}
    # A file that is not there yet, or no longer, may be what an error is about.
    broken = any(state.plan is None for state in (*was.values(), *now.values()))
    if not reads & differing and not (broken and _all(was) != _all(now)):
        return None
    profiles = list(dict.fromkeys([*now, *was]))
    chosen = asked or (FULL if FULL in profiles else profiles[0])
    before, after = was.get(chosen), now.get(chosen)
    plans = before.plan if before else None, after.plan if after else None
    added, fixed = diagnostic_changes(_all(was), _all(now))
    least = least_bump(plans[0], plans[1]) if plans[0] and plans[1] else None
    versions = tuple(_text(state, "version") for state in (before, after))
    return RecipeReview(
        file=name,
        name=_text(after, "name") or _text(before, "name") or name,
        status="added" if not was else "deleted" if not now else "changed",
        versions=(versions[0], versions[1]),
        files=tuple(sorted(reads & differing)),
        profile=chosen,
        profiles=tuple(_profile(p, was.get(p), now.get(p), store) for p in profiles),
        keys=tuple(key_changes(before.tree, after.tree)) if before and after else (),
        prompts=tuple(text_changes(before.prompts, after.prompts)) if before and after else (),
        least=least,
        notes=tuple(version_notes(versions[0], versions[1], least)) if least and versions[1] else (),
        new=tuple(added),
        fixed=tuple(fixed) if now else (),
        remaining=sum(d.severity == "error" for d in _all(now)) - sum(d.severity == "error" for d in added),
        preview=preview(plans[0], plans[1], store) if plans[0] and plans[1] else Preview(why_not=_no_preview(plans)),
    )


def _no_preview(plans: tuple[AnyPlan | None, AnyPlan | None]) -> str:
    match plans:
        case (None, None):
            return "neither side has a plan"
        case (None, _):
            return "there is no plan of before"
        case _:
            return "there is no plan of after"


def _states(folder: Path, name: str, shown: str, asked: str | None, deadline: float) -> dict[str, State]:
    """The recipe under each of its profiles, or the one that was asked for."""
    first = read_state(folder, name, asked, shown)
    found = {first.profile: first}
    if asked is None:
        for profile in first.profiles[:MAX_PROFILES]:
            if profile not in found and monotonic() < deadline:
                found[profile] = read_state(folder, name, profile, shown)
    return found


def _all(states: dict[str, State]) -> list[Diagnostic]:
    """What is wrong under any profile, each once."""
    return list(dict.fromkeys(d for state in states.values() for d in state.diagnostics))


def _text(state: State | None, key: str) -> str | None:
    value = state.tree.data.get(key) if state else None
    return value if isinstance(value, str) else None


def _profile(name: str, was: State | None, now: State | None, store: Store) -> ProfileReview:
    old, new = was.plan if was else None, now.plan if now else None
    outside = tuple(dict.fromkeys([*(now.outside if now else ()), *(was.outside if was else ())]))
    total = len(new.stages if new else old.stages if old else ())
    if new is None or (old is None and was is not None):
        return ProfileReview(name, None, total, Bill(), 0, outside)
    if old is None:
        stages = tuple(StageChange(stage.label, "new", "new", True) for stage in new.stages)
    else:
        stages = tuple(stage_changes(stages_of(old), stages_of(new)))
    labels = {change.label for change in stages if change.kind != "gone"}
    to_run = _to_run(new, labels, store)
    bill = _bill(to_run)
    if bill.calls.unknown and now is not None and now.limited is not None:
        # Of what has still to run alone: the plan over fewer documents has other fingerprints.
        open_labels = {cost.stage.label for cost in to_run}
        bill = replace(_bill(_to_run(now.limited, open_labels, store)), documents=SAMPLED_DOCUMENTS)
    return ProfileReview(name, stages, total, bill, len(to_run), outside)


def _to_run(plan: AnyPlan, labels: set[str], store: Store) -> list[StageCost]:
    """Costs of those of some stages that the store does not have."""
    if not labels:
        return []
    return [cost for cost in cost_plan(plan, store) if cost.stage.label in labels and cost.state == "run"]


def _bill(costs: Sequence[StageCost]) -> Bill:
    asking = [cost for cost in costs if cost.stage.asks and cost.calls != 0]
    on_gpu = [c for c in asking if _model_engine(c) != "embedded"]
    return Bill(
        Sum.of([c.calls for c in asking]),
        Sum.of([c.tokens for c in asking]),
        Sum.of([c.dollars for c in asking]),
        Sum.of([None if c.seconds is None else c.seconds / 3600 for c in on_gpu]),
        any(cost.measured for cost in costs),
    )


def _model_engine(cost: StageCost) -> str | None:
    """The engine of the model that a stage asks; a refining round asks its writer."""
    stage = cost.stage if cost.stage.model else cost.stage.ancestor("generate")
    return stage.model.engine if stage and stage.model else None
