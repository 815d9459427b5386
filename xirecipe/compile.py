"""Recipe to plan. Reads the small files a recipe names; imports no engine and reaches no network."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xirecipe.diagnostics import Sources, UserError, user_error
from xirecipe.disk import write_whole
from xirecipe.fingerprint import digest, file_digest
from xirecipe.lint import lint
from xirecipe.lint_mixing import lint_mixing
from xirecipe.load import load
from xirecipe.loaded import Loaded, inside, with_origin
from xirecipe.mixing import named_languages
from xirecipe.pairs import Pair, Taught
from xirecipe.plan import MixPlan, Plan
from xirecipe.recipe.corpus import FileSource, HubSource
from xirecipe.recipe.generation import Seed
from xirecipe.recipe.language import Language
from xirecipe.recipe.learning import FineTune, LearnSeed, WriterFineTune
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.mixing import AnswerIn, FileVersion, HubVersion
from xirecipe.recipe.models import Model, ServerModel
from xirecipe.recipe.recipe import Recipe
from xirecipe.seed import choose, read_pairs
from xirecipe.source_files import source_files
from xirecipe.stage import Stage

#: What is said of a file that cannot be hashed, by its role.
_UNREADABLE = {"source": "unreadable-corpus", "evaluation": "unreadable-evaluation", "version": "unreadable-dataset"}
#: What is said of local files that are not here.
_MISSING = ("missing-corpus", "missing-evaluation", "missing-dataset", "missing-adapter")


class BrokenRecipe(UserError):
    """A recipe with errors, and the texts its diagnostics quote."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded.diagnostics)
        self.sources: Sources = loaded.sources


def check(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> Loaded:
    """Load and lint one recipe under one profile; everything found is in `diagnostics`."""
    loaded = load(path, profile, overrides)
    loaded.diagnostics += with_origin([*lint(loaded), *lint_mixing(loaded)], loaded)
    return loaded


def compile_recipe(
    path: Path,
    profile: str | None = None,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    hashes: Path | None = None,
    contents: Mapping[str, str] | None = None,
) -> Plan | MixPlan:
    """The plan of a recipe. `hashes` is a file that remembers content hashes by size and time of change.

    `contents` are content hashes by `source:<name>`, `evaluation:<name>` or `version:<dataset>/<language>` that stand
    for local files which are not here, as in a recipe out of a release. Raises BrokenRecipe with every error.
    """
    loaded = check(path, profile, overrides)
    if contents:
        loaded.diagnostics = [d for d in loaded.diagnostics if d.code not in _MISSING]
    if any(d.severity == "error" for d in loaded.diagnostics) or not loaded.recipe or not loaded.language:
        raise BrokenRecipe(loaded)
    if isinstance(loaded.recipe, MixRecipe):
        return _mix_plan(loaded, loaded.recipe, loaded.language, limit, hashes, contents or {})
    return _text_plan(loaded, loaded.recipe, loaded.language, limit, hashes, contents or {})


def _mix_plan(
    loaded: Loaded, recipe: MixRecipe, language: Language, limit: int | None, hashes: Path | None,
    contents: Mapping[str, str],
) -> MixPlan:  # fmt: skip
    root, files = loaded.root, dict(loaded.files)
    stages: list[Stage] = []
    mixed: list[Stage] = []
    for name in recipe.used_datasets:
        dataset, translate = recipe.datasets[name], recipe.translate.get(name)
        versions = {f"{name}/{code}": version for code, version in dataset.versions.items()}
        content = _content("version", versions, root, hashes, contents)
        stages.append(Stage("read", dataset, language, files=content, dataset=name, limit=limit, root=root))
        if translate is not None:
            files[translate.prompt] = inside(root, translate.prompt, None, "prompt").read_text(encoding="utf-8")
            stages.append(
                Stage(
                    "translate", translate, language, (stages[-1],),
                    prompts={translate.prompt: files[translate.prompt]}, model_name=translate.model,
                    model=placed(recipe.models[translate.model], root), dataset=name, root=root,
                    languages={c: loaded.languages[c] for c in (translate.from_language, *translate.into)},
                )
            )  # fmt: skip
        mixed.append(stages[-1])
    used = {code for part in recipe.mix.chosen.values() for code in part.languages or recipe.languages_of(part.dataset)}
    languages = {code: loaded.languages[code] for code in sorted(used)}
    stages.append(
        Stage(
            "mix", recipe.mix, language, tuple(mixed), languages=languages, limit=limit, root=root,
            answer_in=_named(recipe),
        )
    )  # fmt: skip
    stages.append(Stage("split", recipe.split, language, (stages[-1],), root=root))
    return MixPlan(
        recipe, language, loaded.profile or "", root, loaded.path, tuple(stages), files, _evaluated_files(recipe, root),
        loaded.overrides, limit, loaded.languages,
    )  # fmt: skip


def _named(recipe: MixRecipe) -> dict[str, AnswerIn]:
    """Phrases and names that prompts of the chosen parts can need; what none of them can say changes no row."""
    needed: dict[str, set[str]] = {}
    for part in recipe.mix.chosen.values():
        for prompt, answer in named_languages(part, part.languages or recipe.languages_of(part.dataset)):
            needed.setdefault(prompt, set()).add(answer)
    return {
        code: AnswerIn(phrase=phrase.phrase, names={a: name for a, name in phrase.names.items() if a in needed[code]})
        for code, phrase in sorted(recipe.answer_in.items())
        if code in needed
    }


def _evaluated_files(recipe: Recipe | MixRecipe, root: Path) -> dict[str, bytes]:
    """What the recipe evaluates with: prompts, sets of them and answers held out, by the paths that it names.

    No stage of this profile reads them, but they travel with a release: without them its recipe would be a broken one.
    """
    return {name: inside(root, name, None, "file").read_bytes() for name in recipe.evaluate.files}


def _text_plan(
    loaded: Loaded, recipe: Recipe, language: Language, limit: int | None, hashes: Path | None,
    contents: Mapping[str, str],
) -> Plan:  # fmt: skip
    root = loaded.root
    files = dict(loaded.files)
    attachments: dict[str, bytes] = {}

    def prompt(name: str) -> dict[str, str]:
        files[name] = inside(root, name, None, "prompt").read_text(encoding="utf-8")
        return {name: files[name]}

    def stage(kind: str, config: object, *inputs: Stage, **facts: object) -> Stage:
        return Stage(kind, config, language, inputs, root=root, **facts)  # type: ignore[arg-type]

    def pairs(seed: Seed | LearnSeed) -> list[Pair]:
        file = inside(root, seed.path, None, "seed")
        attachments[seed.path] = file.read_bytes()
        return read_pairs(file, file.name)

    def model(name: str | None) -> dict[str, object]:
        return {} if name is None else {"model_name": name, "model": placed(recipe.models[name], root)}

    def trained(asks: Stage, learn: object, *given: Stage, **facts: object) -> list[Stage]:
        """The stage that trains the model of `asks`, and `asks` with that model; alone where nothing is trained."""
        if not isinstance(learn, FineTune):
            return [asks]
        facts |= {"model_name": asks.model_name, "model": asks.model}
        train = stage("train", learn, *given, teaches=asks, **facts)
        return [train, replace(asks, inputs=(*asks.inputs, train))]

    def lessons(seeds: Mapping[str, LearnSeed], *own: Taught) -> dict[str, Any]:
        """Pairs of the recipe's own seed and of more, and the facts of their languages."""
        taught = list(own)
        for name, seed in seeds.items():
            taught += [Taught(name, seed.language or language.code, pair) for pair in pairs(seed)]
        known = {language.code: language} | loaded.languages
        return {"taught": tuple(taught), "languages": {code: known[code] for code in {t.language: 0 for t in taught}}}

    judge = recipe.judge
    judge_prompts = {
        name: text
        for part in (judge.rubric, judge.likelihood)
        if part is not None
        for name, text in prompt(part.prompt).items()
    }
    # As with what it evaluates with: the recipe names it, whether this profile reads it or not.
    attachments[recipe.seed.path] = inside(root, recipe.seed.path, None, "file").read_bytes()
    attachments |= _evaluated_files(recipe, root)
    exemplars = choose(pairs(recipe.exemplar_seed), recipe.generate.exemplars)
    exemplars = exemplars if recipe.generate.shows_exemplars else ()

    content = _content("source", recipe.corpus.sources, root, hashes, contents)
    stages = [stage("corpus", recipe.corpus, files=content, limit=limit)]
    stages.append(stage("dedup", recipe.dedup, stages[-1]))
    if recipe.polish is not None:
        stages.append(stage("polish", recipe.polish, stages[-1]))
    if exemplars and recipe.generate.exemplars.choice == "nearest":
        stages.append(stage("match", recipe.generate.exemplars, stages[-1], exemplars=exemplars))
    writer = stage(
        "generate", recipe.generate, stages[-1], exemplars=exemplars, prompts=prompt(recipe.generate.prompt),
        **model(recipe.generate.model),
    )  # fmt: skip
    learn = recipe.generate.learn
    taught = {"prompts": writer.prompts}
    if isinstance(learn, WriterFineTune):
        taught |= lessons(learn.seeds, *(Taught("seed", language.code, pair) for pair in pairs(recipe.seed)))
    stages += trained(writer, learn, **taught)
    rated_by = []
    spoken: dict[str, Language] = {}
    if recipe.rating_set is not None:
        more = lessons(recipe.rating_set.seeds)
        spoken = {language.code: language} | more["languages"] if more["taught"] else {}
        rated_by.append(stage("rating_set", recipe.rating_set, exemplars=tuple(pairs(recipe.seed)), **more))
    rater = stage("judge", judge, stages[-1], *rated_by, prompts=judge_prompts, **model(judge.asked))
    taught_by = judge.rubric or judge.likelihood
    learnt = prompt(taught_by.prompt) if taught_by is not None else {}
    stages += [*rated_by, *trained(rater, judge.learn, *rated_by, prompts=learnt, languages=spoken)]
    if recipe.refine is not None:
        for number in range(1, recipe.refine.rounds + 1):
            refine = stage("refine", recipe.refine, stages[-1], round=number)
            if recipe.refine.learn:
                facts = {"model_name": writer.model_name, "model": writer.model, "best_by": recipe.refine, **taught}
                stages.append(stage("train", learn, stages[-1], teaches=writer, round=number, **facts))
                refine = replace(refine, inputs=(*refine.inputs, stages[-1]))
            stages.append(refine)
    if recipe.decontaminate is not None:
        content = _content("evaluation", recipe.decontaminate.evaluations, root, hashes, contents)
        stages.append(stage("decontaminate", recipe.decontaminate, stages[-1], files=content))
    stages.append(stage("embed", recipe.embed, stages[-1]))
    stages.append(stage("cluster", recipe.cluster, stages[-1]))
    stages.append(stage("select", recipe.select, stages[-1]))
    stages.append(stage("messages", recipe.messages, stages[-1]))
    stages.append(stage("split", recipe.split, stages[-1]))
    return Plan(
        recipe, language, loaded.profile or "", root, loaded.path, tuple(stages), files, attachments, loaded.overrides,
        limit,
    )  # fmt: skip


def placed(model: Model, root: Path) -> Model:
    """The model with the whole path of its adapter: the process that loads it knows no recipe folder."""
    if isinstance(model, ServerModel) or model.adapter is None:
        return model
    path = inside(root, model.adapter.path, None, "adapter")
    return model.model_copy(update={"adapter": model.adapter.model_copy(update={"path": str(path)})})


def _content(
    role: str, sources: Mapping[str, FileSource | HubSource | FileVersion | HubVersion], root: Path,
    hashes: Path | None, contents: Mapping[str, str],
) -> dict[str, str]:  # fmt: skip
    """sha256 of each file source's content, by `<role>:<name>`. A folder's is over its files' names and hashes."""
    known = _remembered(hashes)
    fresh: dict[str, str] = {}

    def content(path: Path) -> str:
        stat = path.stat()
        key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        fresh[key] = known.get(key) or file_digest(path)
        return fresh[key]

    found: dict[str, str] = {}
    for name, source in sources.items():
        if isinstance(source, FileSource | FileVersion):
            path = root / source.path
            if f"{role}:{name}" in contents and not path.exists():
                found[f"{role}:{name}"] = contents[f"{role}:{name}"]
                continue
            try:
                if path.is_dir():
                    files = source_files(root, source)
                    found[f"{role}:{name}"] = digest([[p.relative_to(path).as_posix(), content(p)] for p in files])
                else:
                    found[f"{role}:{name}"] = content(path)
            except OSError as error:
                raise user_error(_UNREADABLE[role], f"{source.path}: {error.strerror}") from None
    if hashes is not None and hashes.parent.is_dir() and not fresh.items() <= known.items():
        # Only a memory: where it cannot be kept, the files are hashed again next time.
        with contextlib.suppress(OSError):
            write_whole(hashes, json.dumps(known | fresh, indent=0))
    return found


def _remembered(hashes: Path | None) -> dict[str, str]:
    """What was hashed before; nothing where the file is not there or was damaged."""
    if hashes is None:
        return {}
    try:
        known = json.loads(hashes.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
