"""Is a released tree what its own manifest says? Files by hash, rows by count and hash, plan by fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from xirecipe.compile import compile_recipe
from xirecipe.diagnostics import UserError, user_error
from xirecipe.fingerprint import file_digest
from xirecipe.hub.current import MANIFEST, manifest_in
from xirecipe.hub.diffing import layout
from xirecipe.hub.rows import CONFIG, row_digest
from xirecipe.plan import MixPlan, Plan
from xirecipe.recipe.corpus import FileSource, Source
from xirecipe.recipe.mixing import FileVersion, Version
from xirecipe.tables import read_files


@dataclass(frozen=True)
class Replanned:
    """The recovered recipe compiled again.

    `missing`: local source files that the release does not carry, as (path in the recipe folder, sha256). `differing`:
    stages whose fingerprint is not the manifest's. `problem`: why this xirecipe cannot compile it.
    """

    recipe: Path
    profile: str
    stages: int = 0
    missing: tuple[tuple[str, str], ...] = ()
    differing: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def reproduced(self) -> bool:
        """Whether every stage has the fingerprint it was released with."""
        return self.problem is None and not self.differing


def read_manifest(folder: Path, where: str) -> dict[str, Any]:
    """The manifest of a released tree. Raises UserError `not-a-release` where there is none of ours."""
    if (found := manifest_in(folder)) is not None:
        return found
    hint = "only what `xirecipe release` wrote can be pulled; use `datasets.load_dataset` for the rest"
    raise user_error("not-a-release", f"{where} has no {MANIFEST}", hint=hint)


def wrong_files(folder: Path, manifest: Mapping[str, Any], wanted: Iterable[str]) -> list[str]:
    """Those of the wanted files that are missing or have another content than the manifest says."""
    hashes = manifest["files"]
    return [
        path for path in wanted
        if path != MANIFEST and (not (folder / path).is_file() or file_digest(folder / path) != hashes.get(path))
    ]  # fmt: skip


def check_rows(folder: Path, manifest: Mapping[str, Any]) -> dict[str, int]:
    """Rows by split of the default config. Raises UserError `row-count`, `row-hash` where the manifest says otherwise.

    The hash is over rows and splits, sorted: `rows_sha256` of the manifest.
    """
    splits = layout(folder).get(CONFIG, {})
    counts = {split: sum(pq.read_metadata(path).num_rows for path in files) for split, files in splits.items()}
    expected = {split: int(count) for split, count in manifest["rows"].items() if count}
    if counts != expected:
        raise user_error("row-count", f"the files have {_counted(counts)}, the manifest says {_counted(expected)}")
    digests = sorted(row_digest(split, row) for split, files in splits.items() for row in read_files(files))
    found = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    if found != manifest["rows_sha256"]:
        raise user_error("row-hash", f"the rows hash to {found}, the manifest says {manifest['rows_sha256']}")
    return counts


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in sorted(rows.items())) or "no rows"


def replan(folder: Path, manifest: Mapping[str, Any]) -> Replanned | None:
    """Compile the recipe in a released tree and compare each stage with the manifest.

    Local sources that are not there count with the hash that the manifest has of them. None where the manifest does
    not name its recipe.
    """
    name = manifest.get("recipe_file")
    if not isinstance(name, str) or not (folder / name).is_file():
        return None
    recorded = {key: value for s in manifest["stages"] for key, value in s["payload"]["inputs"].items() if ":" in key}
    profile = str(manifest.get("profile") or "")
    try:
        plan = compile_recipe(folder / name, profile or None, contents=recorded)
    except UserError as error:
        # The data is good all the same: another version of xirecipe may have made it.
        errors = [d.message for d in error.diagnostics if d.severity == "error"]
        return Replanned(folder / name, profile, problem="; ".join(errors[:3]))
    made = {(stage["stage"], stage["fingerprint"]) for stage in manifest["stages"]}
    wanted = _read_by(plan)
    missing = [
        (source.path, recorded.get(key, "not recorded"))
        for key, source in wanted
        if isinstance(source, FileSource | FileVersion) and not (plan.root / source.path).exists()
    ]
    differing = [stage.label for stage in plan.stages if (stage.kind, stage.fingerprint) not in made]
    return Replanned(folder / name, profile, len(plan.stages), tuple(missing), tuple(differing))


def _read_by(plan: Plan | MixPlan) -> list[tuple[str, Source | Version]]:
    """What a plan reads, by the name under which a manifest has its hash."""
    if isinstance(plan, MixPlan):
        datasets = ((name, plan.recipe.datasets[name]) for name in plan.recipe.used_datasets)
        return [(f"version:{name}/{code}", v) for name, dataset in datasets for code, v in dataset.versions.items()]
    found: list[tuple[str, Source | Version]] = [
        (f"source:{name}", source) for name, source in plan.recipe.corpus.sources.items()
    ]
    if plan.recipe.decontaminate is not None:
        found += [(f"evaluation:{name}", source) for name, source in plan.recipe.decontaminate.evaluations.items()]
    return found
