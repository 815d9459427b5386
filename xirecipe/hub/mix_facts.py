"""What the card of a mixing recipe says, as typed values: read from a manifest, or counted in the rows."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from xirecipe.artifact import Manifest
from xirecipe.hub import provenance
from xirecipe.hub.facts import (
    EXAMPLE_SEED,
    EXAMPLES,
    StageFacts,
    manifests_of,
    package_versions,
    recipe_file,
    text_sha256,
)  # fmt: skip
from xirecipe.hub.measure import column, counted
from xirecipe.hub.mix_rows import split_table
from xirecipe.hub.provenance import ModelUse, SourceUse
from xirecipe.hub.rows import SPLITS
from xirecipe.hub.version_facts import FileFacts, VersionFacts
from xirecipe.plan import MixPlan
from xirecipe.recipe.language import Language
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.mixing import HubVersion
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.tables import Row


@dataclass(frozen=True)
class SplitRows:
    """A split of all configs together."""

    name: str
    rows: int


@dataclass(frozen=True)
class PartFacts:
    """A part of the mix: what it drew, and the rows that stayed of it. `pool`: rows of the dataset it could draw."""

    name: str
    dataset: str
    shape: str
    config: str
    licenses: tuple[str, ...]
    draws: int
    pool: int
    rows: int


@dataclass(frozen=True)
class LanguageRows:
    """Rows of a part with their instruction in one language and their response in another, or in the same."""

    part: str
    instruction: str
    response: str
    rows: int


@dataclass(frozen=True)
class Misaligned:
    """Rows of a dataset that a language lacks and others have; some of their ids."""

    dataset: str
    language: str
    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MixFacts(VersionFacts):
    """What the card of a mix is rendered from. None means that nothing recorded it."""

    recipe: MixRecipe
    languages: dict[str, Language]
    funnel: tuple[StageFacts, ...]
    splits: tuple[SplitRows, ...]
    parts: tuple[PartFacts, ...]
    table: tuple[LanguageRows, ...]
    misaligned: tuple[Misaligned, ...]
    sources: tuple[SourceUse, ...]
    models: tuple[ModelUse, ...]
    examples: tuple[Row, ...]

    @property
    def spoken(self) -> list[Language]:
        """The languages that rows are in, English first, then by code."""
        codes = {code for line in self.table for code in (line.instruction, line.response)}
        return sorted((self.languages[code] for code in codes), key=lambda one: (one.hub_code != "en", one.code))


def collect(plan: MixPlan, store: Store) -> MixFacts:
    """The facts of a finished plan. Raises UserError `not-finished` when a stage has no manifest."""
    manifests = manifests_of(plan, store)
    recipe, split = plan.recipe, manifests["split"]
    table = split_table(store.artifact("split", plan.stage("split").fingerprint))
    return MixFacts(
        recipe=recipe,
        languages=plan.languages,
        profile=plan.profile,
        date=split.finished[:10] or None,
        tool=split.tool or None,
        versions=package_versions(manifests),
        recipe_sha256=text_sha256(provenance.resolved_yaml(recipe)),
        fingerprint=plan.stage("split").fingerprint,
        command=provenance.command(plan, recipe_file(plan)),
        funnel=tuple(StageFacts(kind, m.asked, m.kept, m.dropped, m.failed) for kind, m in manifests.items()),
        splits=tuple(SplitRows(name, n) for name in SPLITS if (n := pc.sum(pc.equal(table["split"], name)).as_py())),
        parts=_parts(recipe, manifests["mix"], table),
        table=_table(recipe, table),
        misaligned=_misaligned(manifests),
        sources=_sources(plan, store, table),
        models=_models(plan, manifests),
        seeds=(
            *((f"mix.parts.{n}.seed", p.seed) for n, p in recipe.mix.chosen.items()),
            ("split.seed", recipe.split.seed),
        ),
        examples=_examples(recipe, table),
        files=tuple(FileFacts(path, text_sha256(text), text) for path, text in sorted(plan.files.items())),
        limit=plan.limit,
    )


def _parts(recipe: MixRecipe, mixed: Manifest, table: pa.Table) -> tuple[PartFacts, ...]:
    rows = Counter(table["part"].to_pylist())
    licenses: dict[str, dict[str, None]] = {}
    for part, license_ in zip(table["part"].to_pylist(), table["license"].to_pylist(), strict=True):
        licenses.setdefault(part, {})[license_] = None
    return tuple(
        PartFacts(
            name, part.dataset, part.shape, part.config, tuple(sorted(licenses.get(name, {}))),
            mixed.facts["parts"][name]["draws"], mixed.facts["parts"][name]["pool"], rows[name],
        )
        for name, part in recipe.mix.chosen.items()
    )  # fmt: skip


def _table(recipe: MixRecipe, table: pa.Table) -> tuple[LanguageRows, ...]:
    keys = ("part", "instruction_language", "response_language")
    rows = Counter(tuple(row[key] for key in keys) for row in table.select(list(keys)).to_pylist())
    order = list(recipe.mix.chosen)
    ordered = sorted(rows.items(), key=lambda item: (order.index(item[0][0]), item[0]))
    return tuple(LanguageRows(part, one, other, n) for (part, one, other), n in ordered)


def _misaligned(manifests: dict[str, Manifest]) -> tuple[Misaligned, ...]:
    return tuple(
        Misaligned(manifest.payload["identity"]["dataset"], code, found["count"], tuple(found["ids"]))
        for manifest in manifests.values()
        for code, found in manifest.facts.get("misaligned", {}).items()
    )


def _sources(plan: MixPlan, store: Store, table: pa.Table) -> tuple[SourceUse, ...]:
    """Every language version of every dataset that was read. Released rows count where a version gave either side."""
    keys = ["dataset", "instruction_language", "response_language"]
    released = Counter(
        (row["dataset"], code) for row in table.select(keys).to_pylist() for code in {row[keys[1]], row[keys[2]]}
    )
    found = []
    for stage in plan.stages:
        if stage.kind != "read":
            continue
        dataset, artifact = plan.recipe.datasets[stage.dataset], store.artifact(stage.kind, stage.fingerprint)
        read = counted(column(folder, "language") for folder in (artifact.data, artifact.dropped, artifact.failed))
        for code, version in dataset.versions.items():
            name = f"{stage.dataset}/{code}"
            location: str
            pinned: str | None
            if isinstance(version, HubVersion):
                location, pinned = f"{version.repository}: {version.files}", f"revision {version.revision}"
            else:
                content = stage.files.get(f"version:{name}", "")
                location, pinned = PurePosixPath(version.path).name, f"sha256 {content}" if content else None
            license_ = version.license or dataset.license
            rows = released[(stage.dataset, code)]
            found.append(SourceUse(name, location, pinned, license_, "rows", read.get(code, 0), rows))
    return tuple(found)


def _models(plan: MixPlan, manifests: dict[str, Manifest]) -> tuple[ModelUse, ...]:
    def translator(stage: Stage) -> ModelUse:
        made = manifests[stage.label]
        sampling = provenance.settings(plan.recipe.translate[stage.dataset].sampling)
        return provenance.asked_model("translator", stage, made.calls + made.reused, sampling)

    return tuple(translator(stage) for stage in plan.stages if stage.kind == "translate")


def _examples(recipe: MixRecipe, table: pa.Table) -> tuple[Row, ...]:
    """Some rows of every part, drawn evenly."""
    found: list[Row] = []
    for name in recipe.mix.chosen:
        own = table.filter(pc.equal(table["part"], name))
        # Random(str) hashes with sha512: the same choice on every machine and Python version.
        drawn = random.Random(f"examples-{EXAMPLE_SEED}-{name}").sample(
            range(own.num_rows), min(EXAMPLES, own.num_rows)
        )
        found += [own.slice(i, 1).to_pylist()[0] for i in drawn]
    return tuple(found)
