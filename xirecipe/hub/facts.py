"""Everything a card says, as typed values: each number is read from a manifest or counted in the stored rows."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xirecipe.artifact import Manifest
from xirecipe.columns import StageKind
from xirecipe.diagnostics import user_error
from xirecipe.hub import provenance
from xirecipe.hub.measure import Histogram, Spread, chars, column, counted, empty_ratio, finite, histogram, spread
from xirecipe.hub.provenance import ModelUse, SourceUse
from xirecipe.hub.rounds import EvaluatorFacts, RoundFacts, evaluators, rounds
from xirecipe.hub.rows import RELEASE_COLUMNS, SPLITS, split_table
from xirecipe.hub.trainings import TrainingFacts, trainings
from xirecipe.hub.version_facts import FileFacts, VersionFacts
from xirecipe.loaded import shown_name
from xirecipe.plan import AnyPlan, Plan
from xirecipe.recipe.language import Language
from xirecipe.recipe.recipe import Recipe
from xirecipe.selecting import SCORE_COLUMNS, fold
from xirecipe.store import Store
from xirecipe.tables import Row

#: Example rows on a card, drawn with this seed, so that nobody picks the good ones.
EXAMPLES, EXAMPLE_SEED = 3, 0
#: Instructions are counted by their first word; so many of the commonest are shown.
FIRST_WORDS = 5
#: What the judge's scores are called on a card, with their units.
SCORE_NAMES = {
    "rubric": "Rubric level", "likelihood": "Likelihood gain (nats a token)", "similarity": "Similarity (cosine)",
}  # fmt: skip


@dataclass(frozen=True)
class StageFacts:
    """One line of the documents' funnel: asked = kept + dropped + failed, in rows."""

    stage: str
    asked: int
    kept: int
    dropped: dict[str, int]
    failed: dict[str, int]

    @property
    def kept_ratio(self) -> float | None:
        return self.kept / self.asked if self.asked else None


@dataclass(frozen=True)
class SplitFacts:
    """A split's rows and the lengths of its texts, in characters. Spreads are None where there are no rows."""

    name: str
    rows: int
    instruction: Spread | None
    response: Spread | None


@dataclass(frozen=True)
class FieldFacts:
    name: str
    type: str
    meaning: str
    stage: StageKind
    empty_ratio: float | None


@dataclass(frozen=True)
class Masked:
    """Personal information replaced in texts: which detectors ran, and what they found."""

    detectors: tuple[str, ...]
    corpus_rows: int | None
    corpus_items: int | None
    released_rows: int
    released_items: int


@dataclass(frozen=True)
class Decontamination:
    """Evaluation prompts that candidates were compared with. `evaluations` are (name, prompts, candidates dropped)."""

    ngram_words: int
    columns: tuple[str, ...]
    evaluations: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class CardFacts(VersionFacts):
    """What a card is rendered from. None means that nothing recorded it."""

    recipe: Recipe
    language: Language
    funnel: tuple[StageFacts, ...]
    splits: tuple[SplitFacts, ...]
    fields: tuple[FieldFacts, ...]
    scores: Histogram | None
    evaluators: tuple[EvaluatorFacts, ...]
    rounds: tuple[RoundFacts, ...]
    trainings: tuple[TrainingFacts, ...]
    spreads: tuple[tuple[str, Spread | None], ...]
    """Every score the judge gives, of all candidates and of the released rows."""
    language_scores: Spread | None
    repeated_instructions: float | None
    first_words: tuple[tuple[str, int], ...]
    clusters: int
    largest_cluster_ratio: float | None
    masked: Masked
    sources: tuple[SourceUse, ...]
    models: tuple[ModelUse, ...]
    processing: tuple[tuple[str, str], ...]
    decontamination: Decontamination | None
    examples: tuple[Row, ...]


def manifests_of(plan: AnyPlan, store: Store) -> dict[str, Manifest]:
    """The manifests of a finished plan by the stages' labels, in order.

    Raises UserError `not-finished`, which names what is missing.
    """
    found = {stage.label: store.artifact(stage.kind, stage.fingerprint) for stage in plan.stages}
    missing = [kind for kind, artifact in found.items() if not artifact.done]
    if missing:
        stages = ", ".join(missing)
        raise user_error(
            "not-finished",
            f"{plan.recipe.name}: {'stage' if len(missing) == 1 else 'stages'} {stages} not done yet",
            hint=f"`{provenance.command(plan, shown_name(plan.path))}`",
        )
    return {kind: artifact.manifest() for kind, artifact in found.items()}


def collect(plan: Plan, store: Store) -> CardFacts:
    """The facts of a finished plan. Raises UserError `not-finished` when a stage has no manifest."""
    manifests = manifests_of(plan, store)
    recipe = plan.recipe
    table = split_table(store.artifact("split", plan.stage("split").fingerprint))
    judged = store.artifact(plan.rated.kind, plan.rated.fingerprint).data
    instructions: list[str] = table["instruction"].to_pylist()
    clusters = counted([pc.cast(table["cluster"], pa.string())])
    split_manifest = manifests["split"]
    return CardFacts(
        recipe=recipe,
        language=plan.language,
        profile=plan.profile,
        date=split_manifest.finished[:10] or None,
        tool=split_manifest.tool or None,
        versions=package_versions(manifests),
        recipe_sha256=text_sha256(provenance.resolved_yaml(recipe)),
        fingerprint=plan.stage("split").fingerprint,
        command=provenance.command(plan, recipe_file(plan)),
        funnel=tuple(_line(manifests[stage.label]) for stage in plan.document_stages),
        splits=tuple(facts for split in SPLITS if (facts := _split(split, table)).rows),
        fields=tuple(
            FieldFacts(c.name, c.shown_type, c.meaning, c.stage, empty_ratio(table[c.source or "instruction"]))
            for c in RELEASE_COLUMNS
        ),
        scores=_scores(recipe, judged),
        evaluators=evaluators(manifests.values()),
        rounds=rounds(manifests.values()),
        trainings=trainings(manifests.values()),
        spreads=_spreads(recipe, judged, table),
        language_scores=spread(finite(table["language_score"])),
        repeated_instructions=1 - len({fold(i) for i in instructions}) / len(instructions) if instructions else None,
        first_words=tuple(Counter(fold(i).partition(" ")[0] for i in instructions).most_common(FIRST_WORDS)),
        clusters=len(clusters),
        largest_cluster_ratio=max(clusters.values()) / len(instructions) if clusters else None,
        masked=_masked(plan, store, table),
        sources=provenance.sources(plan, store, counted([table["source"]])),
        models=provenance.models(plan, manifests),
        processing=provenance.processing(recipe),
        decontamination=_decontamination(manifests.get("decontaminate")),
        seeds=provenance.seeds(recipe),
        examples=_examples(table),
        files=tuple(FileFacts(path, text_sha256(text), text) for path, text in sorted(plan.files.items())),
        limit=plan.limit,
    )


def _line(manifest: Manifest) -> StageFacts:
    return StageFacts(manifest.label, manifest.asked, manifest.kept, manifest.dropped, manifest.failed)


def text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def recipe_file(plan: AnyPlan) -> str:
    """The recipe's name inside its own folder, which is where the published copy is run from."""
    return plan.path.resolve().relative_to(plan.root.resolve()).as_posix()


def package_versions(manifests: dict[str, Manifest]) -> dict[str, tuple[str, ...]]:
    """Package -> versions; more than one where stages were made on different days."""
    found: dict[str, set[str]] = {}
    for manifest in manifests.values():
        for package, version in manifest.versions.items():
            found.setdefault(package, set()).add(version)
    return {package: tuple(sorted(versions)) for package, versions in sorted(found.items())}


def _split(name: str, table: pa.Table) -> SplitFacts:
    rows = table.filter(pc.equal(table["split"], name))
    return SplitFacts(name, rows.num_rows, spread(chars(rows["instruction"])), spread(chars(rows["text"])))


def _scores(recipe: Recipe, judged: Any) -> Histogram | None:
    name = SCORE_COLUMNS[recipe.select.score]
    rubric = recipe.judge.rubric
    bounds = (min(rubric.levels.values()), max(rubric.levels.values())) if rubric and name == "rubric_score" else None
    return histogram(name, column(judged, name), recipe.select.min_score, bounds)


def _spreads(recipe: Recipe, judged: Path, table: pa.Table) -> tuple[tuple[str, Spread | None], ...]:
    found: list[tuple[str, Spread | None]] = []
    for score, name in SCORE_COLUMNS.items():
        if getattr(recipe.judge, score) is not None:
            label = SCORE_NAMES[score]
            found.append((f"{label} of all judged candidates", spread(finite(column(judged, name)))))
            found.append((f"{label} of released rows", spread(finite(table[name]))))
    return tuple(found)


def _masked(plan: Plan, store: Store, table: pa.Table) -> Masked:
    config = plan.recipe.corpus.personal_information
    detectors = tuple(name.removeprefix("mask_").replace("_", " ") for name, on in config if on)
    corpus = column(store.artifact("corpus", plan.stage("corpus").fingerprint).data, "masked")
    in_corpus = finite(corpus)
    released = finite(table["masked"])
    return Masked(
        detectors=detectors,
        corpus_rows=None if corpus is None else sum(n > 0 for n in in_corpus),
        corpus_items=None if corpus is None else int(sum(in_corpus)),
        released_rows=sum(n > 0 for n in released),
        released_items=int(sum(released)),
    )


def _decontamination(manifest: Manifest | None) -> Decontamination | None:
    """None where the plan has no such stage."""
    if manifest is None:
        return None
    facts = manifest.facts
    counts = tuple((name, found["prompts"], found["rows"]) for name, found in facts["evaluations"].items())
    return Decontamination(facts["ngram_words"], tuple(facts["columns"]), counts)


def _examples(table: pa.Table) -> tuple[Row, ...]:
    # Random(str) hashes with sha512: the same choice on every machine and Python version.
    drawn = random.Random(f"examples-{EXAMPLE_SEED}").sample(range(table.num_rows), min(EXAMPLES, table.num_rows))
    return tuple(table.slice(i, 1).to_pylist()[0] for i in drawn)
