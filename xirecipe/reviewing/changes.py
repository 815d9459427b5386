"""What differs between two states of a recipe: keys with their places, prompts, stages, diagnostics. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xirecipe.columns import StageKind
from xirecipe.diagnostics import Diagnostic, Span
from xirecipe.fingerprint import DEFAULT
from xirecipe.overlay import Tree
from xirecipe.plan import AnyPlan
from xirecipe.reasons import reason
from xirecipe.yaml import Path_

#: Lines of a text that are compared line by line: a stranger's text can make that slow.
MAX_DIFF_LINES = 2_000


@dataclass(frozen=True)
class KeyChange:
    """A key with another value. DEFAULT stands where nobody wrote one."""

    path: Path_
    old: Any
    new: Any
    old_span: Span | None
    new_span: Span | None


@dataclass(frozen=True)
class StageChange:
    """A stage whose rows may be others. `first` is the reason of the first one that differs by itself."""

    label: str
    kind: Literal["changed", "new", "gone"]
    why: str
    by_itself: bool
    """Whether it differs by more than what it reads."""


@dataclass(frozen=True)
class TextChange:
    """A text file's change: a unified diff, or None where it is too long to compare."""

    path: str
    diff: str | None
    """Without its header lines."""


def key_changes(old: Tree, new: Tree) -> list[KeyChange]:
    """Where two merged recipes differ, in the order of the keys. Lists are single values."""
    before, after = dict(_leaves(old.data, ())), dict(_leaves(new.data, ()))
    changed = [path for path in dict.fromkeys([*after, *before]) if _differ(before, after, path)]
    return [
        KeyChange(
            path, before.get(path, DEFAULT), after.get(path, DEFAULT),
            old.span(path) if path in before else None, new.span(path) if path in after else None,
        )
        for path in changed
    ]  # fmt: skip


def _differ(before: Mapping[Path_, Any], after: Mapping[Path_, Any], path: Path_) -> bool:
    if path not in before or path not in after:
        return True
    old, new = before[path], after[path]
    # 1 and true, and 1 and 1.0, are other things in a recipe.
    return type(old) is not type(new) or bool(old != new)


def _leaves(data: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _leaves(value, (*path, key))
    elif path:
        yield path, data


def text_changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[TextChange]:
    """Texts that came, went or changed, by path."""
    paths = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    return [TextChange(path, unified(old.get(path, ""), new.get(path, ""))) for path in paths]


def unified(old: str, new: str) -> str | None:
    """A unified diff without its header; None where one of the texts is too long."""
    before, after = old.splitlines(), new.splitlines()
    if max(len(before), len(after)) > MAX_DIFF_LINES:
        return None
    return "\n".join(list(difflib.unified_diff(before, after, lineterm="", n=2))[2:])


@dataclass(frozen=True)
class StageState:
    """A stage as one side has it: who it is, and what it hangs on."""

    label: str
    kind: StageKind
    fingerprint: str
    payload: dict[str, Any]


def stages_of(plan: AnyPlan) -> list[StageState]:
    return [StageState(stage.label, stage.kind, stage.fingerprint, stage.payload) for stage in plan.stages]


def stage_changes(old: Sequence[StageState], new: Sequence[StageState]) -> list[StageChange]:
    """New stages with other fingerprints, in order, then those that are gone."""
    before, after = ({stage.label: stage for stage in side} for side in (old, new))
    found: list[StageChange] = []
    for label, stage in after.items():
        if label not in before:
            found.append(StageChange(label, "new", "new", True))
        elif stage.fingerprint != before[label].fingerprint:
            was, now = before[label].payload, stage.payload
            own = {k: v for k, v in was.items() if k != "inputs"} != {k: v for k, v in now.items() if k != "inputs"}
            read = any(
                was["inputs"].get(k) != now["inputs"].get(k) for k in {*was["inputs"], *now["inputs"]} if ":" in k
            )
            found.append(StageChange(label, "changed", reason(stage.kind, was, now), own or read))
    found += [StageChange(label, "gone", "gone", True) for label in before if label not in after]
    return found


def diagnostic_changes(
    old: Sequence[Diagnostic], new: Sequence[Diagnostic]
) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """Diagnostics that are new, and those that are fixed. The same mistake at another line is the same."""

    def key(d: Diagnostic) -> tuple[str, str, str]:
        return d.code, d.message, d.span.file if d.span else ""

    def beyond(these: Sequence[Diagnostic], others: Sequence[Diagnostic]) -> list[Diagnostic]:
        known = Counter(key(d) for d in others)
        found = []
        for d in these:
            known[key(d)] -= 1
            if known[key(d)] < 0:
                found.append(d)
        return found

    return beyond(new, old), beyond(old, new)
