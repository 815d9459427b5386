"""A few rows before and after a change, where both are in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xirecipe import tables
from xirecipe.artifact import Artifact
from xirecipe.plan import AnyPlan
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.tables import Row

#: Documents shown, and rows looked at of each side: a page of examples, in seconds.
EXAMPLES, MAX_ROWS = 3, 50_000
#: Shown where they differ; the rest of a row says less.
COLUMNS = ("instruction", "text", "score", "rubric_score", "likelihood_gain", "similarity", "split", "prompt")


@dataclass(frozen=True)
class Example:
    """A document's row on both sides. None where it is not there; columns that differ, instruction first."""

    document_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class Preview:
    """Examples at the last stage that both plans have finished; `why_not` where there is none."""

    stage: str | None = None
    examples: tuple[Example, ...] = ()
    why_not: str | None = None


def preview(old: AnyPlan, new: AnyPlan, store: Store) -> Preview:
    """Rows of documents that the store has for both plans, those that changed first."""
    before = {stage.label: stage for stage in old.document_stages}
    finished: list[str] = []
    for stage in reversed(new.document_stages):
        was = before.get(stage.label)
        if was is None or was.fingerprint == stage.fingerprint:
            continue
        sides = _artifact(store, was), _artifact(store, stage)
        if all(side.done for side in sides):
            examples = tuple(_examples(_rows(sides[0]), _rows(sides[1])))
            if examples:
                return Preview(stage.label, examples)
            return Preview(why_not=f"{stage.label} was run for both, and no row differs")
        finished += [name for name, side in zip(("the old", "the new"), sides, strict=True) if side.done]
    missing = "neither plan was run" if not finished else f"only {finished[0]} plan was run"
    return Preview(why_not=f"{missing} with this store, as far as its stages differ")


def _artifact(store: Store, stage: Stage) -> Artifact:
    return store.artifact(stage.kind, stage.fingerprint)


def _rows(artifact: Artifact) -> dict[str, Row]:
    """The first row of each document."""
    found: dict[str, Row] = {}
    for row in _bounded(artifact):
        found.setdefault(row["document_id"], row)
    return found


def _bounded(artifact: Artifact) -> Iterator[Row]:
    for number, row in enumerate(tables.read(artifact.data)):
        if number >= MAX_ROWS:
            return
        yield {name: row.get(name) for name in ("document_id", *COLUMNS)}


def _examples(before: dict[str, Row], after: dict[str, Row]) -> Iterator[Example]:
    """Changed rows, then rows that came, then rows that went; in the order of their documents."""
    changed = [d for d in before if d in after and before[d] != after[d]]
    came, went = [d for d in after if d not in before], [d for d in before if d not in after]
    for document in [*changed, *came, *went][:EXAMPLES]:
        old, new = before.get(document), after.get(document)
        differing = [
            name for name in COLUMNS
            if name == "instruction" or (old or {}).get(name) != (new or {}).get(name)
        ]  # fmt: skip
        yield Example(document, _shown(old, differing), _shown(new, differing))


def _shown(row: Row | None, names: list[str]) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in names if row.get(name) is not None}
