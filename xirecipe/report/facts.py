"""Everything the page says, as typed values: each number is read from a manifest or counted in stored rows."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xirecipe import __version__
from xirecipe.diagnostics import user_error
from xirecipe.hub.trainings import TrainingFacts, trainings
from xirecipe.plan import Plan
from xirecipe.recipe.language import Language
from xirecipe.recipe.recipe import Recipe
from xirecipe.report import clusters, dataset, language_id, refining, scores
from xirecipe.report.clusters import ClusterFacts
from xirecipe.report.dataset import Dataset
from xirecipe.report.funnel import StageLine, stage_lines
from xirecipe.report.language_id import LanguageFacts
from xirecipe.report.refining import Evaluation, Evaluator, Round
from xirecipe.report.sampling import column_names
from xirecipe.report.scores import ScoreFacts
from xirecipe.stage import Stage
from xirecipe.store import Store

#: Libraries that this page itself was made with.
PAGE_PACKAGES = ("plotly", "HanTa", "scikit-learn", "pyarrow", "jinja2")


@dataclass(frozen=True)
class ReportFacts:
    """What the page is rendered from. None and empty mean that nothing recorded it."""

    recipe: Recipe
    language: Language
    profile: str
    limit: int | None
    overrides: tuple[str, ...]
    stages: tuple[StageLine, ...]
    dataset: Dataset | None
    scores: tuple[ScoreFacts, ...]
    clusters: ClusterFacts | None
    languages: LanguageFacts | None
    rounds: tuple[Round, ...]
    evaluators: tuple[Evaluator, ...]
    evaluations: tuple[Evaluation, ...]
    trainings: tuple[TrainingFacts, ...]
    versions: dict[str, tuple[str, ...]]
    page_versions: dict[str, str]
    command: str
    run_command: str

    @property
    def done(self) -> tuple[StageLine, ...]:
        return tuple(line for line in self.stages if line.manifest is not None)

    @property
    def missing(self) -> tuple[StageLine, ...]:
        return tuple(line for line in self.stages if line.manifest is None)

    @property
    def fingerprint(self) -> str | None:
        """Of the last stage, which hangs on all others; None while it is not done."""
        return self.stages[-1].fingerprint if self.stages and self.stages[-1].manifest else None

    @property
    def finished(self) -> str | None:
        """When the last stage that is done was done; ISO 8601, UTC."""
        return max((line.manifest.finished for line in self.done if line.manifest), default="") or None

    @property
    def documents_read(self) -> int | None:
        return next((line.manifest.asked for line in self.done if line.kind == "corpus" and line.manifest), None)

    def plans(self, kind: str) -> bool:
        """Whether the plan has a stage of this kind, done or not."""
        return any(line.kind == kind for line in self.stages)

    def total(self, field: str) -> float:
        """Sum of a manifest's number over the stages that are done: `calls`, `reused`, `seconds`, ... ."""
        return float(sum(getattr(line.manifest, field) for line in self.done))


def collect(plan: Plan, store: Store, command: str, run_command: str) -> ReportFacts:
    """The facts of a plan as far as it is done. Raises UserError `not-run` where no stage is."""
    lines = stage_lines(plan, store)
    if not any(line.manifest for line in lines):
        raise user_error("not-run", "no stage of this recipe is done", hint=f"`{run_command}`")
    rows_at = _last_with(plan, store, {"instruction", "text", "document_id"})
    clustered = _last_with(plan, store, {"cluster", "embedding", "instruction"})
    return ReportFacts(
        recipe=plan.recipe,
        language=plan.language,
        profile=plan.profile,
        limit=plan.limit,
        overrides=plan.overrides,
        stages=lines,
        dataset=_dataset(plan, store, rows_at),
        scores=scores.measure(plan, store),
        clusters=clusters.measure(_folder(store, clustered), _label(clustered)) if clustered else None,
        languages=language_id.measure(plan, store),
        rounds=refining.rounds(lines),
        evaluators=refining.evaluators(lines),
        evaluations=refining.evaluations(lines),
        trainings=trainings(line.manifest for line in lines if line.manifest is not None),
        versions=_versions(lines),
        page_versions={name: importlib.metadata.version(name) for name in PAGE_PACKAGES} | {"xirecipe": __version__},
        command=command,
        run_command=run_command,
    )


def _dataset(plan: Plan, store: Store, stage: Stage | None) -> Dataset | None:
    if stage is None:
        return None
    folder = _folder(store, stage)
    present = column_names(folder)
    wanted = scores.score_column(plan)
    column = next((name for name in (wanted, "score", *scores.KNOWN) if name in present), None)
    return dataset.measure(folder, _label(stage), column, _anchors(plan))


def _anchors(plan: Plan) -> Any:
    """The lengths that the recipe's paper measured for this language, or None."""
    return (getattr(plan.recipe, "anchors", None) or {}).get(plan.language.code)


def _last_with(plan: Plan, store: Store, columns: set[str]) -> Stage | None:
    """The last stage that is done and whose rows have these columns."""
    for stage in reversed(plan.stages):
        artifact = store.artifact(stage.kind, stage.fingerprint)
        if artifact.done and columns <= column_names(artifact.data):
            return stage
    return None


def _folder(store: Store, stage: Stage) -> Path:
    return store.artifact(stage.kind, stage.fingerprint).data


def _label(stage: Stage) -> str:
    return str(getattr(stage, "label", stage.kind))


def _versions(lines: tuple[StageLine, ...]) -> dict[str, tuple[str, ...]]:
    """Package -> versions that manifests name; more than one where stages were made on different days."""
    found: dict[str, set[str]] = {}
    for line in lines:
        for package, version in (line.manifest.versions if line.manifest else {}).items():
            found.setdefault(package, set()).add(version)
    return {package: tuple(sorted(versions)) for package, versions in sorted(found.items())}
