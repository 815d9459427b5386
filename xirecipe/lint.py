"""Rules that a schema cannot say: names that must exist, files that must be there, numbers that must fit together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from xirecipe.columns import ColumnType, columns_before
from xirecipe.diagnostics import Diagnostic, UserError, did_you_mean, shortened
from xirecipe.load import Loaded, inside, shown_name
from xirecipe.prompts import TemplateError, TemplateSyntaxError, names_used, render
from xirecipe.recipe.corpus import FileSource, HubSource
from xirecipe.recipe.language import Language
from xirecipe.recipe.models import EmbeddedModel
from xirecipe.recipe.recipe import Recipe
from xirecipe.seed import choose, read_pairs
from xirecipe.source_files import source_files
from xirecipe.stage import Exemplar
from xirecipe.yaml import Path_

Rule = Callable[[Recipe, Loaded], Iterator[Diagnostic]]

_COMMIT = re.compile(r"^[0-9a-f]{40}$")


def lint(loaded: Loaded) -> list[Diagnostic]:
    """Everything wrong with a recipe that was read. Opens prompts and seed; looks whether corpus files are there.

    A rule whose sections could not be read is left out: they have errors of their own.
    """
    recipe = loaded.recipe
    if recipe is None:
        return []
    rules: tuple[tuple[Rule, set[str]], ...] = (
        (_models, {"models", "generate", "judge", "rates"}),
        (_prompts, {"generate", "judge"}),
        (_seed, {"generate"}),
        (_corpus, {"corpus"}),
        (_scores, {"select", "judge"}),
        (_budget, {"budget", "rates", "models", "generate", "judge"}),
        (_pins, {"corpus", "models"}),
    )
    there = recipe.model_fields_set | (type(recipe).model_fields.keys() & vars(recipe).keys())
    return [found for rule, needed in rules if needed <= there for found in rule(recipe, loaded)]


def _models(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    # As written: a model with a mistake in it is there all the same.
    written = loaded.tree.part("models").data
    for section, name in (("generate", recipe.generate.model), ("judge", recipe.judge.model)):
        if name not in written:
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


def _prompts(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    used: list[tuple[str, Path_, str]] = [("generate", ("generate", "prompt"), recipe.generate.prompt)]
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
            if not unknown:
                render(text, _example(stage, loaded))
        except UnicodeDecodeError as error:
            yield Diagnostic("not-utf-8", f"{name}: byte {error.start} is not UTF-8", span, "save the file as UTF-8")
        except TemplateSyntaxError as error:
            yield Diagnostic("bad-prompt", f"{name}:{error.lineno}: {shortened(error.message, 200)}", span)
        except TemplateError as error:
            yield Diagnostic("bad-prompt", f"{name}: {shortened(error.message, 200)}", span)
        else:
            for variable in unknown:
                message = f"{name} reads `{variable}`, which no stage before `{stage}` writes"
                yield Diagnostic("unknown-column", message, span, did_you_mean(variable, known))


def _example(stage: str, loaded: Loaded) -> dict[str, object]:
    """A row to try a prompt on, so that `pair.respnse` is found before a corpus has been read."""
    examples: dict[ColumnType, object] = {"string": "text", "int64": 0, "float64": 0.0, "list<float32>": []}
    row = {c.name: examples[c.type] for c in columns_before("generate" if stage == "generate" else "judge")}
    # Without a language file there is another error, and any language will do.
    language = loaded.language or Language(
        code="und_Zyyy", name="", native_name="", hub_code="und", lid_labels=("und",), sources=("",)
    )
    return {**row, "language": language, "exemplars": (Exemplar("instruction", "response"),)}


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
        unknown = (i for i, name in enumerate(wanted.ids) if name not in {pair.id for pair in pairs})
        for d in error.diagnostics:
            place = ("ids", next(unknown)) if d.code == "unknown-pair" else ("count",)
            yield replace(d, span=loaded.span("generate", "exemplars", *place))


def _corpus(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    for name, source in recipe.corpus.sources.items():
        if not isinstance(source, FileSource):
            continue
        span = loaded.span("corpus", "sources", name, "path")
        path, shown = loaded.root / source.path, shortened(source.path, 200)
        try:
            there = path.exists()
        except OSError:
            there = False
        if not there:
            yield Diagnostic("missing-corpus", f"{shown} does not exist", span, "paths start at the recipe's folder")
        elif not path.is_file() and not path.is_dir():
            yield Diagnostic("missing-corpus", f"{shown} is neither a file nor a folder", span)
        elif path.is_file() and path.stat().st_size == 0:
            yield Diagnostic("empty-corpus", f"{shown} is empty", span)
        elif path.is_dir() and not source_files(loaded.root, source):
            yield Diagnostic("empty-corpus", f"{shown} has no *.{source.format} file", span)


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


def _budget(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    if recipe.budget.dollars is None:
        return
    for name in sorted({recipe.generate.model, recipe.judge.model}):
        if name in recipe.models and recipe.models[name].engine != "embedded" and name not in recipe.rates:
            message = f"`budget.dollars` never stops a run while `rates` says nothing of `{name}`"
            hint = f"add `rates.{name}.dollars_per_million_completion_tokens`"
            yield Diagnostic("missing-rates", message, loaded.span("budget", "dollars"), hint)


def _pins(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    pins: list[tuple[Path_, str]] = [
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
