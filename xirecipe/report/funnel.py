"""The funnel: what every stage was given, kept, dropped and failed, with a few rows for each reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xirecipe.artifact import Manifest
from xirecipe.plan import AnyPlan
from xirecipe.report.sampling import Reservoir, beginning, rows
from xirecipe.store import Store

#: Rows shown for one reason, and how much of each text, in graphemes.
SAMPLES, SHOWN_GRAPHEMES = 10, 240


@dataclass(frozen=True)
class Sample:
    """A row that did not stay, and what decided."""

    document_id: str
    value: float | None
    threshold: float | None
    detail: str
    instruction: str
    text: str


@dataclass(frozen=True)
class Reason:
    """Why rows did not stay. `outcome` is `dropped` or `failed`; `count` is the manifest's."""

    name: str
    outcome: str
    count: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class StageLine:
    """One stage of the plan. `manifest` is None where it is not done; `beside`: its rows are no documents."""

    label: str
    kind: str
    fingerprint: str
    manifest: Manifest | None
    reasons: tuple[Reason, ...]
    beside: bool

    @property
    def lost(self) -> int:
        return sum(reason.count for reason in self.reasons)


def stage_lines(plan: AnyPlan, store: Store) -> tuple[StageLine, ...]:
    """Every stage of the plan in order. Raises UserError for a manifest that cannot be read."""
    path = []
    stage = plan.stages[-1] if plan.stages else None
    while stage is not None:
        path.append(stage.fingerprint)
        stage = stage.inputs[0] if stage.inputs else None
    lines = []
    for stage in plan.stages:
        artifact = store.artifact(stage.kind, stage.fingerprint)
        manifest = artifact.manifest() if artifact.done else None
        reasons: tuple[Reason, ...] = ()
        if manifest is not None:
            reasons = (
                *_reasons(artifact.dropped, "dropped", manifest.dropped),
                *_reasons(artifact.failed, "failed", manifest.failed),
            )
        label = getattr(stage, "label", stage.kind)
        lines.append(StageLine(label, stage.kind, stage.fingerprint, manifest, reasons, stage.fingerprint not in path))
    return tuple(lines)


def _reasons(folder: Path, outcome: str, counts: dict[str, int]) -> list[Reason]:
    """Reasons in the order of their counts, each with rows drawn evenly from all that it decided."""
    drawn: dict[str, Reservoir[Sample]] = {name: Reservoir(SAMPLES, name) for name in counts}
    wanted = ("document_id", "pair_id", "reason", "value", "threshold", "detail", "instruction", "text")
    for row in rows(folder, wanted) if counts else ():
        if row["reason"] in drawn:
            drawn[row["reason"]].add(
                Sample(
                    document_id=row["document_id"] or row["pair_id"] or "",
                    value=row["value"],
                    threshold=row["threshold"],
                    detail=beginning(row["detail"] or "", SHOWN_GRAPHEMES),
                    instruction=beginning(row["instruction"] or "", SHOWN_GRAPHEMES),
                    text=beginning(row["text"] or "", SHOWN_GRAPHEMES),
                )
            )
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Reason(name, outcome, n, tuple(drawn[name].items)) for name, n in ordered]
