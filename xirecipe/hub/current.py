"""The manifest of a release folder: reading it, and whether the folder is what a plan would write.

The second is asked on every run, so it reads this one small file and no data.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from xirecipe.fingerprint import digest
from xirecipe.plan import AnyPlan
from xirecipe.store import Store

MANIFEST = "provenance/manifest.json"


#: What every manifest has; a stranger's tree may hold another kind of file by this name.
_SHAPE = {
    "name": str, "version": str, "profile": str, "rows": dict, "rows_sha256": str, "recipe_sha256": str,
    "files": dict, "stages": list,
}  # fmt: skip


def manifest_in(folder: Path) -> dict[str, Any] | None:
    """The manifest of a released tree; None for whatever is not one of ours."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(data, dict) and all(isinstance(data.get(key), kind) for key, kind in _SHAPE.items())
    return data if known else None


def recipe_digest(plan: AnyPlan) -> str:
    """sha256 over the whole recipe, card texts and licences included."""
    return digest(plan.recipe.model_dump(mode="json"))


def is_current(plan: AnyPlan, store: Store, folder: Path) -> bool:
    """Whether `folder` holds this very plan as it was last run: recipe, files, stages. Does not open the data."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        made = [
            (stage.fingerprint, store.artifact(stage.kind, stage.fingerprint).manifest().finished)
            for stage in plan.stages
        ]
        files = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in plan.files.items()}
        return (
            (folder / "README.md").exists()
            and manifest["recipe_digest"] == recipe_digest(plan)
            and [(stage["fingerprint"], stage["finished"]) for stage in manifest["stages"]] == made
            and all(manifest["files"].get(f"recipe/{path}") == found for path, found in files.items())
            and all(manifest["files"].get(f"recipe/{path}") for path in plan.attachments)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False
