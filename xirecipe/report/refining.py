"""What manifests say of the rounds and of the evaluator, read as they are: a key that is absent is None."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from xirecipe.report.funnel import StageLine


@dataclass(frozen=True)
class Round:
    """One round of refining. Counts are documents; ratios, agreement and yields are 0..1.

    `stopped`: the round before changed so little that this one passed its candidates on.
    """

    label: str
    documents: int | None
    flawed: int | None
    redrafted: int | None
    improved: int | None
    changed_ratio: float | None
    agreement: float | None
    mean_score_before: float | None
    mean_score_after: float | None
    yield_before: float | None
    yield_after: float | None
    stopped: bool | None


@dataclass(frozen=True)
class CalibrationBin:
    """Held-out ratings of one confidence: the mean confidence, and how many were right."""

    confidence: float
    accuracy: float
    rows: int


@dataclass(frozen=True)
class Evaluator:
    """How well one score of a stage agrees with the rating set's held-out part."""

    label: str
    score: str
    rows: int | None
    held_out: int | None
    accuracy: float | None
    auc: float | None
    calibration_error: float | None
    bins: tuple[CalibrationBin, ...]
    confusion: dict[str, dict[str, int]]
    """True level -> rated level -> pairs."""

    @property
    def levels(self) -> list[str]:
        """Every level, the highest first: `top`, `middle`, `bottom`, or numbers. The alphabet backwards gives both."""
        found = set(self.confusion) | {level for row in self.confusion.values() for level in row}
        return sorted(found, reverse=True)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation set that rows were compared with: its prompts, and the rows dropped for overlapping them."""

    name: str
    prompts: int | None
    rows: int | None


def rounds(lines: Iterable[StageLine]) -> tuple[Round, ...]:
    """One entry for each finished stage whose manifest tells of a round."""
    return tuple(_round(line.label, facts) for line, facts in _facts(lines, "round"))


def evaluators(lines: Iterable[StageLine]) -> tuple[Evaluator, ...]:
    """One entry for each score that a finished stage measured on the rating set's held-out part."""
    return tuple(
        _evaluator(line.label, str(score), facts)
        for line, scores in _facts(lines, "evaluators")
        for score, facts in scores.items()
        if isinstance(facts, Mapping)
    )


def evaluations(lines: Iterable[StageLine]) -> tuple[Evaluation, ...]:
    """The evaluation sets that a decontamination compared rows with."""
    return tuple(
        Evaluation(name, _count(counts, "prompts"), _count(counts, "rows"))
        for _, facts in _facts(lines, "evaluations")
        for name, counts in facts.items()
        if isinstance(counts, Mapping)
    )


def _facts(lines: Iterable[StageLine], key: str) -> Iterable[tuple[StageLine, Mapping[str, Any]]]:
    for line in lines:
        facts = line.manifest.facts.get(key) if line.manifest else None
        if isinstance(facts, Mapping):
            yield line, facts


def _round(label: str, facts: Mapping[str, Any]) -> Round:
    stopped = facts.get("stopped")
    return Round(
        label=label,
        documents=_count(facts, "documents"),
        flawed=_count(facts, "flawed"),
        redrafted=_count(facts, "redrafted"),
        improved=_count(facts, "improved"),
        changed_ratio=_number(facts, "changed_ratio"),
        agreement=_number(facts, "agreement"),
        mean_score_before=_number(facts, "mean_score_before"),
        mean_score_after=_number(facts, "mean_score_after"),
        yield_before=_number(facts, "yield_before"),
        yield_after=_number(facts, "yield_after"),
        stopped=stopped if isinstance(stopped, bool) else None,
    )


def _evaluator(label: str, score: str, facts: Mapping[str, Any]) -> Evaluator:
    confusion = facts.get("confusion") or {}
    measured = [
        CalibrationBin(confidence, accuracy, _count(entry, "rows") or 0)
        for entry in facts.get("bins") or ()
        if (confidence := _number(entry, "confidence")) is not None
        and (accuracy := _number(entry, "accuracy")) is not None
    ]
    return Evaluator(
        label=label,
        score=score,
        rows=_count(facts, "rows"),
        held_out=_count(facts, "held_out"),
        accuracy=_number(facts, "accuracy"),
        auc=_number(facts, "auc"),
        calibration_error=_number(facts, "calibration_error"),
        bins=tuple(measured),
        confusion={
            str(true): {str(rated): n for rated in row if (n := _count(row, rated)) is not None}
            for true, row in confusion.items()
            if isinstance(row, Mapping)
        },
    )


def _number(facts: Mapping[str, Any], key: str) -> float | None:
    value = facts.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _count(facts: Mapping[str, Any], key: str) -> int | None:
    value = _number(facts, key)
    return None if value is None else int(value)
