"""Why a stage would run: what differs between two payloads, in the words of a recipe. Pure."""

from __future__ import annotations

from typing import Any

from xirecipe.columns import StageKind
from xirecipe.diagnostics import shortened
from xirecipe.fingerprint import differences

#: Changed keys that are named of one stage.
MOST_CHANGES = 8


def reason(kind: StageKind, before: dict[str, Any], after: dict[str, Any]) -> str:
    """What differs between two payloads of a stage: the keys with their old and new values, or the stage before."""
    changes = differences(before, after)
    own = [c for c in changes if not c[0].startswith("inputs.")]
    files = [path.partition(":")[2] for path, _, _ in changes if path.startswith(("inputs.source:", "inputs.version:"))]
    if own:
        more = f"; and {len(own) - MOST_CHANGES} more" if len(own) > MOST_CHANGES else ""
        return "; ".join(_change(kind, path, old, new) for path, old, new in own[:MOST_CHANGES]) + more
    if files:
        return ", ".join(f"{name}: other content" for name in files)
    if changes:
        return ", ".join(path.removeprefix("inputs.") for path, _, _ in changes) + " changed"
    return "its artifact is gone"


def _change(kind: StageKind, path: str, old: Any, new: Any) -> str:
    """`select.min_score: 2.5 → 3`; of texts that differ somewhere in the middle, only that they do."""
    name = path.removeprefix("identity.")
    if name in ("prompts", "exemplars", "pairs"):
        return f"{name}: other text"
    name = f"{kind}{name.removeprefix('config')}" if name.startswith("config") else name
    # By which rule the training of a round chooses its best rows.
    name = f"refine{name.removeprefix('best')}" if name.startswith("best.") else name
    return f"{name}: {short(old)} → {short(new)}"


def short(value: Any) -> str:
    """A value in a few characters."""
    return shortened("null" if value is None else value, 40)
