"""How many documents are enough for the rows that a recipe asks for, at the rates of a run that was made. Pure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import ceil

from xirecipe.artifact import Manifest
from xirecipe.columns import BESIDE, STAGES
from xirecipe.diagnostics import UserError
from xirecipe.plan import AnyPlan
from xirecipe.recipe.selection import Select
from xirecipe.store import Store

#: Rows that are left out because there are enough.
_SURPLUS = "select.rows"


@dataclass(frozen=True)
class Enough:
    """What `select.rows` needs, and the run it was read from."""

    documents: int
    """To read, for `rows`; more rows are more alike, so that it is rather more than less."""
    rows: int
    measured_documents: int
    """Read in that run."""
    measured_rows: int
    """Of which passed all thresholds but `select.rows`."""


def enough_documents(plan: AnyPlan, store: Store) -> Enough | None:
    """From the newest run of this recipe that selected anything; None without one, or where all rows are taken."""
    wanted = next((stage.config.rows for stage in plan.stages if isinstance(stage.config, Select)), None)
    if wanted is None:
        return None
    for artifact in store.artifacts("select"):
        # A broken manifest of another recipe's artifact must not stand in this one's way.
        with suppress(UserError):
            selected = artifact.manifest()
            passed = selected.kept + selected.dropped.get(_SURPLUS, 0)
            read = _documents_read(selected, store) if selected.recipe == plan.recipe.name and passed else None
            if read:
                return Enough(ceil(wanted * read / passed), wanted, read, passed)
    return None


def _documents_read(manifest: Manifest, store: Store) -> int | None:
    """What the corpus stage read that these rows come from; None where a manifest on the way is gone."""
    while manifest.stage != "corpus":
        given = {kind: manifest.payload["inputs"].get(kind) for kind in STAGES if kind not in BESIDE}
        before = [store.artifact(kind, fingerprint) for kind, fingerprint in given.items() if fingerprint]
        if not before or not before[0].done:
            return None
        manifest = before[0].manifest()
    return manifest.rows_in
