"""What the commands share: compiling a recipe for a store, and finding finished artifacts."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xirecipe import settings as settings_module
from xirecipe.columns import MIX_STAGES, STAGES, StageKind
from xirecipe.compile import compile_recipe
from xirecipe.diagnostics import did_you_mean, user_error
from xirecipe.plan import AnyPlan
from xirecipe.settings import Settings
from xirecipe.store import Store


@dataclass(frozen=True)
class Session:
    """A compiled recipe with the store and settings it runs in."""

    plan: AnyPlan
    store: Store
    settings: Settings


def open_session(recipe: Path, profile: str | None, overrides: Sequence[str], limit: int | None = None) -> Session:
    """Compile a recipe. Raises BrokenRecipe with every mistake."""
    settings = settings_module.from_environment()
    store = Store.of(settings)
    store.check_layout()
    plan = compile_recipe(recipe, profile, overrides, limit, store.root / "hashes.json")
    return Session(plan, store, settings)


def said(text: str) -> None:
    """A line of progress, for people: on stderr."""
    print(text, file=sys.stderr, flush=True)


def stage_kind(name: str) -> StageKind:
    for kind in (*STAGES, *MIX_STAGES):
        if kind == name:
            return kind
    raise user_error("unknown-stage", f"there is no stage `{name}`", hint=did_you_mean(name, (*STAGES, *MIX_STAGES)))


def command_line(plan: AnyPlan, verb: str) -> str:
    """The command a person types to do `verb` with this very plan."""
    from xirecipe.loaded import shown_name

    parts = ["xirecipe", verb, shown_name(plan.path)]
    parts += ["--profile", plan.profile] if plan.profile not in ("", "sample") else []
    parts += [part for override in plan.overrides for part in ("--set", override)]
    # `preview` takes its number of documents as -n.
    limit = "-n" if verb == "preview" else "--limit"
    parts += [limit, str(plan.limit)] if plan.limit is not None else []
    return shlex.join(parts)
