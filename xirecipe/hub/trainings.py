"""What the models of a plan learnt, for card and report: read from the manifests of its train stages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from xirecipe.artifact import Manifest


@dataclass(frozen=True)
class TrainingFacts:
    """One training. Nats are -log p of an answer's token, over the pairs held out; None where none were.

    `accuracy` and `auc` are an evaluator's on the part of the rating set held out; None for a writer.
    """

    role: str
    round: int | None
    """The round of refinement before which a writer was trained again; None for the first training."""
    learnt: int
    best_rows: int
    """How many of those learnt were best rows of the round before."""
    held_out: int
    steps: int
    nats_before: float | None
    nats_after: float | None
    accuracy_before: float | None
    accuracy_after: float | None
    auc_before: float | None
    auc_after: float | None
    device: str
    precision: str
    parameters: int
    adapter_sha256: str
    license: str


def trainings(manifests: Iterable[Manifest]) -> tuple[TrainingFacts, ...]:
    """Every training of a plan, in order, but those before a round that was not run."""
    made = (manifest for manifest in manifests if manifest.stage == "train" and not manifest.facts.get("stopped"))
    return tuple(_training(manifest) for manifest in made)


def _training(manifest: Manifest) -> TrainingFacts:
    facts: dict[str, Any] = manifest.facts
    before, after = facts.get("evaluator_before", {}), facts.get("evaluator_after", {})
    return TrainingFacts(
        role=str(manifest.payload["identity"]["role"]),
        round=manifest.payload["identity"].get("round"),
        learnt=facts["learn"]["pairs"],
        best_rows=facts.get("best_rows", 0),
        held_out=facts["held_out"]["pairs"],
        steps=facts["steps"],
        nats_before=facts["held_out"]["nats_before"],
        nats_after=facts["held_out"]["nats_after"],
        accuracy_before=before.get("accuracy"),
        accuracy_after=after.get("accuracy"),
        auc_before=before.get("auc"),
        auc_after=after.get("auc"),
        device=facts["device"],
        precision=facts["precision"],
        parameters=facts["parameters"],
        adapter_sha256=facts["adapter"]["sha256"],
        license=facts["adapter"]["license"],
    )
