"""Rules that a schema cannot say: names that must exist, files that must be there, numbers that must fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xirecipe.columns import columns_before
from xirecipe.diagnostics import Diagnostic, UserError, did_you_mean
from xirecipe.load import Loaded, inside, shown_name
from xirecipe.prompts import TemplateSyntaxError, names_used
from xirecipe.recipe.corpus import FileSource, HubSource
from xirecipe.recipe.models import EmbeddedModel
from xirecipe.recipe.recipe import Recipe
from xirecipe.seed import choose, read_pairs

_COMMIT = re.compile(r"^[0-9a-f]{40}$")


def lint(loaded: Loaded) -> list[Diagnostic]:
    """Everything wrong with a recipe that was read. Opens prompts and seed; looks whether corpus files are there."""
    if loaded.recipe is None:
        return []
    recipe = loaded.recipe
    rules = (_models, _prompts, _seed, _corpus, _scores, _pins)
    return [diagnostic for rule in rules for diagnostic in rule(recipe, loaded)]


def _models(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    for section, name in (("generate", recipe.generate.model), ("judge", recipe.judge.model)):
        if name not in recipe.models:
            message = f"`{section}.model` names `{name}`, which is not under `models`"
            yield Diagnostic("unknown-model", message, loaded.span(section, "model"), did_you_mean(name, recipe.models))
    for name in recipe.rates:
        if name not in recipe.models:
            message = f"`rates.{name}` is for no model under `models`"
            yield Diagnostic("unknown-model", message, loaded.key_span("rates", name), did_you_mean(name, recipe.models))
    for name, model in recipe.models.items():
        if isinstance(model, EmbeddedModel):
            from_package, from_hub = model.package is not None, model.repository is not None and model.file is not None
            if from_package == from_hub:
                message = f"`models.{name}` needs either `package`, or `repository` and `file`"
                yield Diagnostic("bad-value", message, loaded.key_span("models", name))


def _prompts(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    used = [("generate", ("generate", "prompt"), recipe.generate.prompt)]
    if recipe.judge.rubric:
        used.append(("judge", ("judge", "rubric", "prompt"), recipe.judge.rubric.prompt))
    if recipe.judge.likelihood:
        used.append(("judge", ("judge", "likelihood", "prompt"), recipe.judge.likelihood.prompt))
    for stage, path, name in used:
        span = loaded.span(*path)
        known = {c.name for c in columns_before("generate" if stage == "generate" else "judge")} | {"language"}
        known |= {"exemplars"} if stage == "generate" else set()
        try:
            file = inside(loaded.root, name, span, "prompt")
        except UserError as error:
            yield from error.diagnostics
            continue
        if not file.is_file():
            hint = did_you_mean(name, [p.relative_to(loaded.root).as_posix() for p in loaded.root.glob("prompts/*.j2")])
            yield Diagnostic("missing-prompt", f"there is no prompt {name}", span, hint)
            continue
        try:
            text = file.read_text(encoding="utf-8")
            unknown = sorted(names_used(text) - known)
        except UnicodeDecodeError as error:
            yield Diagnostic("not-utf-8", f"{name}: byte {error.start} is not UTF-8", span)
        except TemplateSyntaxError as error:
            yield Diagnostic("bad-prompt", f"{name}:{error.lineno}: {error.message}", span)
        else:
            for variable in unknown:
                message = f"{name} reads `{variable}`, which no stage before `{stage}` writes"
                yield Diagnostic("unknown-column", message, span, did_you_mean(variable, known))


def _seed(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    wanted = recipe.generate.exemplars
    span = loaded.span("generate", "exemplars", "seed")
    try:
        file = inside(loaded.root, wanted.seed, span, "seed")
        if not file.is_file():
            yield Diagnostic("missing-seed", f"there is no seed file {wanted.seed}", span)
            return
        pairs = read_pairs(file, shown_name(file))
    except UserError as error:
        yield from error.diagnostics
        return
    try:
        choose(pairs, wanted)
    except UserError as error:
        at = loaded.span("generate", "exemplars", "ids" if wanted.ids else "count")
        for d in error.diagnostics:
            yield Diagnostic(d.code, d.message, at, d.hint)


def _corpus(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    for name, source in recipe.corpus.sources.items():
        if not isinstance(source, FileSource):
            continue
        span = loaded.span("corpus", "sources", name, "path")
        path = loaded.root / source.path
        if not path.exists():
            yield Diagnostic("missing-corpus", f"{source.path} does not exist", span, "paths start at the recipe's folder")
        elif path.is_file() and path.stat().st_size == 0:
            yield Diagnostic("empty-corpus", f"{source.path} is empty", span)
        elif path.is_dir() and not any(path.glob(f"*.{source.format}*")):
            yield Diagnostic("empty-corpus", f"{source.path} has no *.{source.format} file", span)


def _scores(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    select, judge = recipe.select, recipe.judge
    if getattr(judge, select.score) is None:
        message = f"`select.score` is {select.score}, but `judge` has no `{select.score}`"
        yield Diagnostic("missing-score", message, loaded.span("select", "score"), f"add `judge.{select.score}`")
    if select.score == "rubric" and judge.rubric and select.min_score is not None:
        top = max(judge.rubric.levels.values())
        if select.min_score > top:
            message = f"`select.min_score` is {select.min_score:g}, above the highest level of the rubric ({top:g})"
            yield Diagnostic("out-of-range", message, loaded.span("select", "min_score"))


def _pins(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    pins = [
        (("corpus", "sources", name, "revision"), source.revision)
        for name, source in recipe.corpus.sources.items()
        if isinstance(source, HubSource)
    ]
    pins += [
        (("models", name, "revision"), model.revision)
        for name, model in recipe.models.items()
        if model.engine == "vllm" or (isinstance(model, EmbeddedModel) and model.repository)
    ]
    for path, revision in pins:
        if not _COMMIT.match(revision):
            message = f"`{revision}` is not a commit hash; what it names can change"
            hint = "use the 40 hexadecimal digits from the repository's history"
            yield Diagnostic("unpinned", message, loaded.span(*path), hint, severity="warning")
