"""How many documents are enough for the rows that a recipe asks for, at rates that were measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from math import ceil
from typing import Any

from xirecipe.artifact import Artifact, Manifest
from xirecipe.diagnostics import UserError
from xirecipe.plan import AnyPlan
from xirecipe.recipe.selection import Select
from xirecipe.stage import Stage
from xirecipe.store import Store

#: Rows that are left out because there are enough.
_SURPLUS = "select.rows"
#: Documents are read in whole shards, so that the same answers always give the same reading.
SHARD = 100
#: Read beyond what a rate says, in percent: more rows are more alike, and a turn too few costs more than this.
_SPARE = 10
#: A reading grows at most so much in a turn: a rate measured on a few rows may be several times too low.
_GROWTH = 4
#: So many documents without one row say that no number of them is enough.
HOPELESS = 1_000


def rows_wanted(plan: AnyPlan) -> int | None:
    """`select.rows`; None where all rows are taken, or nothing selects."""
    return next((stage.config.rows for stage in plan.stages if isinstance(stage.config, Select)), None)


def rows_passed(select: Manifest) -> int:
    """Rows that passed all thresholds, those too many among them."""
    return select.kept + select.dropped.get(_SURPLUS, 0)


def next_documents(wanted: int, read: int = 0, passed: int = 0) -> int:
    """How many documents to read for `wanted` rows, where `passed` of the first `read` gave one.

    Before anything is read, as many as rows: no document gives two.
    """
    if not read:
        return wanted
    most = read * _GROWTH
    return min(ceil(wanted * read * (100 + _SPARE) / (100 * passed)), most) if passed else most


def spread(documents: int, most: Mapping[str, int | None]) -> dict[str, int]:
    """How many to read of each source for so many of all: as many of each, in whole shards.

    `most` is how many a source has, as far as that is known. Where some have fewer, the others give more; where all do,
    it is all that there is.
    """
    left, waiting = documents, len(most)
    for full in sorted(known for known in most.values() if known is not None):
        if full * waiting >= left:
            break
        left, waiting = left - full, waiting - 1
    # Where all of them have fewer, `most` says how much of each.
    share = max(1, ceil(left / (max(1, waiting) * SHARD))) * SHARD
    return {name: share if known is None or (waiting and share < known) else known for name, known in most.items()}


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
    run: str
    """When it ended (ISO 8601, UTC)."""


def enough_documents(plan: AnyPlan, store: Store) -> Enough | None:
    """From the newest run that differs from this plan only in how many documents it read and how many rows it took.

    None without one, or where all rows are taken. A run of another profile, of other sources, filters, models or
    thresholds has other rates.
    """
    wanted = rows_wanted(plan)
    if wanted is None:
        return None
    for artifact in store.artifacts("select"):
        # A broken manifest of another recipe's artifact must not stand in this one's way.
        with suppress(UserError):
            selected, corpus = artifact.manifest(), _Alike(store).corpus(artifact, plan.stage("select"))
            passed = rows_passed(selected)
            if corpus is not None and corpus.rows_in and passed:
                documents = ceil(wanted * corpus.rows_in / passed)
                return Enough(documents, wanted, corpus.rows_in, passed, selected.finished)
    return None


class _Alike:
    """Compares finished artifacts with stages of a plan, each once: a round hangs on the one before by two ways."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._corpora: dict[str, Manifest | None] = {}

    def corpus(self, artifact: Artifact, stage: Stage) -> Manifest | None:
        """The corpus stage that its rows come from, if that and all stages between were made as `stage` would be made.

        Raises UserError for a broken manifest.
        """
        manifest = artifact.manifest()
        inputs: dict[str, str] = manifest.payload["inputs"]
        if _made_by(manifest.payload) != _made_by(stage.payload) or set(inputs) != set(stage.payload["inputs"]):
            return None
        if any(inputs[role] != content for role, content in stage.files.items()):
            return None
        corpora = [self._input(inputs[given.slot], given) for given in stage.inputs]
        return None if None in corpora else next(iter(corpora), manifest)

    def _input(self, fingerprint: str, stage: Stage) -> Manifest | None:
        if fingerprint not in self._corpora:
            artifact = self._store.artifact(stage.kind, fingerprint)
            self._corpora[fingerprint] = self.corpus(artifact, stage) if artifact.done else None
        return self._corpora[fingerprint]


def _made_by(payload: dict[str, Any]) -> dict[str, Any]:
    """What a stage was told, but for how many documents to read and how many rows to take."""
    told = {key: deepcopy(payload[key]) for key in ("stage", "revision", "identity")}
    if payload["stage"] == "corpus":
        told["identity"].pop("limit", None)
        for source in told["identity"]["config"]["sources"].values():
            source.pop("documents", None)
    if payload["stage"] == "select":
        told["identity"]["config"].pop("rows", None)
    return told
