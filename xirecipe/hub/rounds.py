"""What the evaluator and the rounds of refinement were measured at, for the card."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xirecipe.artifact import Manifest


@dataclass(frozen=True)
class EvaluatorFacts:
    """A score on the part of the rating set held out. A number is None where the set was too small for it."""

    score: str
    learned_from: int
    held_out: int
    accuracy: float | None
    auc: float | None
    calibration_error: float | None


@dataclass(frozen=True)
class RoundFacts:
    """A round: `yielded` is the share of documents whose best draft is not flawed.

    `kept_ratings` are candidates that have the rating of the round before, because this one's never came.
    """

    number: int
    stopped: bool
    flawed: int | None = None
    redrafted: int | None = None
    changed_ratio: float | None = None
    agreement: float | None = None
    mean_score: float | None = None
    yielded: float | None = None
    kept_ratings: int = 0


def evaluators(manifests: Iterable[Manifest]) -> tuple[EvaluatorFacts, ...]:
    """Of the last pass over the candidates, which gave the scores that are released."""
    recorded = [m.facts["evaluators"] for m in manifests if m.facts.get("evaluators")]
    return tuple(
        EvaluatorFacts(
            name, facts["learned_from"], facts["held_out"], facts["accuracy"], facts["auc"], facts["calibration_error"]
        )
        for name, facts in (recorded[-1] if recorded else {}).items()
    )


def rounds(manifests: Iterable[Manifest]) -> tuple[RoundFacts, ...]:
    """Every round of a plan, in order."""
    found = []
    for manifest in manifests:
        facts = manifest.facts.get("round")
        if manifest.stage != "refine" or facts is None:
            continue
        if facts["stopped"]:
            found.append(RoundFacts(facts["round"], stopped=True))
            continue
        found.append(
            RoundFacts(
                facts["round"], False, facts["flawed"], facts["redrafted"], facts["changed_ratio"], facts["agreement"],
                facts["mean_score_after"], facts["yield_after"], facts.get("kept_ratings", 0),
            )
        )  # fmt: skip
    return tuple(found)
