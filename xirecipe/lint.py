"""Rules that a schema cannot say: names that must exist, files that must be there, numbers that must fit together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from xirecipe import lint_learning, lint_prompts
from xirecipe.diagnostics import Diagnostic, UserError, did_you_mean, shortened
from xirecipe.evaluation_prompts import broken_prompts
from xirecipe.licences import conflicts
from xirecipe.loaded import Loaded, inside, shown_name
from xirecipe.pairs import Pair
from xirecipe.pins import pins
from xirecipe.recipe.corpus import FileSource, Source
from xirecipe.recipe.generation import MIN_RATED_PAIRS, Exemplars, Seed
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.models import EmbeddedModel, ServerModel
from xirecipe.recipe.recipe import Recipe
from xirecipe.seed import choose, read_pairs
from xirecipe.source_files import may_be_listed, source_files
from xirecipe.yaml import Path_

Rule = Callable[[Recipe, Loaded], Iterator[Diagnostic]]

#: Of a rating set; `rating.LEVELS` names them, but reads rows, which takes too long to load for a check.
RATED_LEVELS = 3


def lint(loaded: Loaded) -> list[Diagnostic]:
    """Everything wrong with a recipe that was read. Opens prompts and seed; looks whether corpus files are there.

    A rule whose sections could not be read is left out: they have errors of their own.
    """
    recipe = loaded.recipe
    if not isinstance(recipe, Recipe):
        return []
    rules: tuple[tuple[Rule, set[str]], ...] = (
        (_models, {"models", "generate", "judge", "rates"}),
        (lint_prompts.prompts, {"generate", "judge"}),
        (lint_prompts.evaluation, {"models", "evaluate"}),
        (_seed, {"seed", "generate"}),
        (lint_learning.learning, {"seed", "generate", "judge", "models"}),
        (lint_learning.rounds, {"generate", "refine"}),
        (lint_learning.students, {"models", "evaluate"}),
        (_corpus, {"corpus"}),
        (_decontamination, {"decontaminate"}),
        (_scores, {"select", "judge", "embed", "refine"}),
        (_levels, {"judge"}),
        (lint_prompts.messages, {"messages"}),
        (_budget, {"budget", "rates", "models", "generate", "judge"}),
        (_pins, {"corpus", "models"}),
        (licences, {"corpus", "models", "seed", "generate", "release"}),
    )
    there = recipe.model_fields_set | (type(recipe).model_fields.keys() & vars(recipe).keys())
    return [found for rule, needed in rules if needed <= there for found in rule(recipe, loaded)]


def _models(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    # As written: a model with a mistake in it is there all the same.
    written = loaded.tree.part("models").data
    for section, name in (("generate", recipe.generate.model), ("judge", recipe.judge.model)):
        if name is not None and name not in written:
            message = f"`{section}.model` names `{shortened(name)}`, which is not under `models`"
            yield Diagnostic("unknown-model", message, loaded.span(section, "model"), did_you_mean(name, written))
    for name in recipe.rates:
        if name not in written:
            message = f"`rates.{shortened(name)}` is for no model under `models`"
            yield Diagnostic("unknown-model", message, loaded.key_span("rates", name), did_you_mean(name, written))
    for name, model in recipe.models.items():
        if isinstance(model, EmbeddedModel):
            from_package, from_hub = model.package is not None, model.repository is not None and model.file is not None
            if from_package == from_hub:
                message = f"`models.{name}` needs either `package`, or `repository` and `file`"
                yield Diagnostic("bad-value", message, loaded.key_span("models", name))
        if not isinstance(model, ServerModel) and model.adapter is not None:
            span = loaded.span("models", name, "adapter", "path")
            try:
                if inside(loaded.root, model.adapter.path, span, "adapter").exists():
                    continue
            except UserError as error:
                yield from error.diagnostics
            else:
                yield Diagnostic("missing-adapter", f"there is no adapter {shortened(model.adapter.path, 200)}", span)


def _seed(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    found: list[Diagnostic] = []
    own = _pairs(recipe.seed, ("seed",), loaded, found)
    wanted = recipe.generate.exemplars
    shown = own if wanted.seed is None else _pairs(wanted.seed, ("generate", "exemplars", "seed"), loaded, found)
    yield from found
    if shown is not None:
        yield from _chosen(shown, wanted, loaded)
    if recipe.rating_set is not None and own is not None and len(own) < MIN_RATED_PAIRS:
        message = f"the seed has {len(own)} pairs; a rating set is made of at least {MIN_RATED_PAIRS}"
        yield Diagnostic("small-seed", message, loaded.key_span("rating_set"), "add pairs, or `rating_set: null`")
    rubric = recipe.judge.rubric if "judge" in vars(recipe) else None
    if rubric is None or not rubric.examples_per_level:
        return
    if recipe.rating_set is not None and own is not None and len(own) >= MIN_RATED_PAIRS:
        learn = len(own) - round(len(own) * recipe.rating_set.held_out_ratio)
        wanted_pairs = rubric.examples_per_level * RATED_LEVELS
        if learn < wanted_pairs:
            message = f"the rating set learns from {learn} seed pairs; {wanted_pairs} are wanted, one for each example"
            span = loaded.span("judge", "rubric", "examples_per_level")
            yield Diagnostic("small-seed", message, span, "add pairs, or hold fewer out (`rating_set.held_out_ratio`)")
    elif loaded.tree.data.get("rating_set") is None:
        message = "`judge.rubric.examples_per_level` shows pairs of the rating set, and there is none"
        span = loaded.span("judge", "rubric", "examples_per_level")
        yield Diagnostic("missing-rating-set", message, span, "add `rating_set: {}`")


def _pairs(seed: Seed, place: Path_, loaded: Loaded, found: list[Diagnostic]) -> list[Pair] | None:
    span = loaded.span(*place, "path")
    try:
        file = inside(loaded.root, seed.path, span, "seed")
        if file.is_file():
            return read_pairs(file, shown_name(file))
        found.append(Diagnostic("missing-seed", f"there is no seed file {shortened(seed.path, 200)}", span))
    except UserError as error:
        found += error.diagnostics
    return None


def _chosen(pairs: list[Pair], wanted: Exemplars, loaded: Loaded) -> Iterator[Diagnostic]:
    try:
        choose(pairs, wanted)
    except UserError as error:
        unknown = (i for i, name in enumerate(wanted.ids) if name not in {pair.id for pair in pairs})
        for d in error.diagnostics:
            place = ("ids", next(unknown)) if d.code == "unknown-pair" else ("count",)
            yield replace(d, span=loaded.span("generate", "exemplars", *place))


def _corpus(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    window, length = recipe.corpus.clean.max_chars, recipe.corpus.filters.length
    if window is not None and length is not None and window < length.min_chars:
        least = f"`filters.length.min_chars` ({length.min_chars})"
        message = f"`corpus.clean.max_chars` cuts texts to {window}, below {least}"
        span = loaded.span("corpus", "clean", "max_chars")
        yield Diagnostic("out-of-range", message, span, "every cut text would be dropped")
    yield from _files(recipe.corpus.sources, ("corpus", "sources"), "corpus", loaded)


def _decontamination(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    if recipe.decontaminate is None:
        return
    evaluations = recipe.decontaminate.evaluations
    found: list[Diagnostic] = []
    for name, source in evaluations.items():
        if isinstance(source, FileSource):
            try:
                # What is read here is quoted: a stranger's recipe must not point at other people's files.
                inside(loaded.root, source.path, loaded.span("decontaminate", "evaluations", name, "path"), "path")
            except UserError as error:
                found += error.diagnostics
    found = found or list(_files(evaluations, ("decontaminate", "evaluations"), "evaluation", loaded))
    yield from found
    if not found:
        for source in evaluations.values():
            if isinstance(source, FileSource):
                for file in source_files(loaded.root, source):
                    yield from broken_prompts(file, source, shown_name(file))


def _files(sources: Mapping[str, Source], place: Path_, what: str, loaded: Loaded) -> Iterator[Diagnostic]:
    """Local sources that are not there or hold nothing."""
    for name, source in sources.items():
        if not isinstance(source, FileSource):
            continue
        span = loaded.span(*place, name, "path")
        path, shown = loaded.root / source.path, shortened(source.path, 200)
        try:
            there = path.exists()
        except OSError:
            there = False
        if not there:
            yield Diagnostic(f"missing-{what}", f"{shown} does not exist", span, "paths start at the recipe's folder")
        elif not path.is_file() and not path.is_dir():
            yield Diagnostic(f"missing-{what}", f"{shown} is neither a file nor a folder", span)
        elif path.is_file() and path.stat().st_size == 0:
            yield Diagnostic(f"empty-{what}", f"{shown} is empty", span)
        elif path.is_dir() and may_be_listed(loaded.root, source) and not source_files(loaded.root, source):
            yield Diagnostic(f"empty-{what}", f"{shown} has no *.{source.format} file", span)


def _scores(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    judge = recipe.judge
    for section, config in (("select", recipe.select), ("refine", recipe.refine)):
        if config is None:
            continue
        if getattr(judge, config.score) is None:
            message = f"`{section}.score` is {config.score}, but `judge` has no `{config.score}`"
            yield Diagnostic("missing-score", message, loaded.span(section, "score"), f"add `judge.{config.score}`")
        highest: tuple[float, str] | None = None
        if config.score == "rubric" and judge.rubric:
            highest = max(judge.rubric.levels.values()), "the highest level of the rubric"
        elif config.score == "similarity":
            highest = 1.0, "what a cosine can be"
        if highest is not None and config.min_score is not None:
            top, what = highest
            if config.min_score > top:
                message = f"`{section}.min_score` is {config.min_score:g}, above {what} ({top:g})"
                yield Diagnostic("out-of-range", message, loaded.span(section, "min_score"))
    if recipe.select.max_instruction_similarity is not None and recipe.embed.column != "instruction":
        message = "`select.max_instruction_similarity` compares instructions, and `embed` embeds responses"
        span = loaded.span("select", "max_instruction_similarity")
        yield Diagnostic("out-of-range", message, span, "`embed.column: instruction`, or null")


def _levels(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    """Two labels of one value would be one level with two names."""
    first: dict[float, str] = {}
    for label, value in recipe.judge.rubric.levels.items() if recipe.judge.rubric else ():
        if value in first:
            message = f"`judge.rubric.levels` has the value {value:g} for `{first[value]}` and for `{shortened(label)}`"
            span = loaded.span("judge", "rubric", "levels", label)
            yield Diagnostic("bad-value", message, span, "give each level a value of its own")
        first.setdefault(value, shortened(label))


def _budget(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    if recipe.budget.dollars is None:
        return
    for name in sorted({recipe.generate.model, recipe.judge.asked or recipe.generate.model}):
        if name in recipe.models and recipe.models[name].engine != "embedded" and name not in recipe.rates:
            message = f"`budget.dollars` never stops a run while `rates` says nothing of `{name}`"
            hint = f"add `rates.{name}.dollars_per_million_completion_tokens`"
            yield Diagnostic("missing-rates", message, loaded.span("budget", "dollars"), hint)


def _pins(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    yield from moving(recipe, loaded)


def moving(recipe: Recipe | MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    """Revisions that are no commits, each of them once however many languages or profiles it gives."""
    told: set[tuple[str, str]] = set()
    for pin in pins(recipe):
        # A server may call a version of its weights as it likes; the gate of a release asks for more.
        served = pin.kind == "model" and recipe.models[pin.path[1]].engine == "server"
        if pin.moves and not served and (pin.repository, pin.revision) not in told:
            told.add((pin.repository, pin.revision))
            message = f"`{pin.revision}` is not a commit hash; what it names can change"
            hint = f"`xirecipe pin {shown_name(loaded.path)}` writes the commit that it is today"
            yield Diagnostic("unpinned", message, loaded.span(*pin.path), hint, severity="warning")


def licences(recipe: Recipe | MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    for found in conflicts(recipe):
        place = loaded.span(*found.input.path)
        if found.severity == "warning":
            yield Diagnostic(found.code, found.message, place, found.hint, severity="warning")
        else:
            notes = (f"{place.file}:{place.line}: the licence it must fit",)
            yield Diagnostic(found.code, found.message, loaded.span("release", "license"), found.hint, notes)
