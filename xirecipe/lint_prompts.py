"""Rules about prompts and templates: they must be there, parse, and read only what is there to be read."""

from __future__ import annotations

from collections.abc import Iterator

from xirecipe.columns import ColumnType, columns_before
from xirecipe.diagnostics import Diagnostic, Span, UserError, did_you_mean, shortened
from xirecipe.loaded import Loaded, inside
from xirecipe.pairs import Exemplar, Rated
from xirecipe.prompts import TemplateError, TemplateSyntaxError, names_used, render
from xirecipe.recipe.language import Language
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.recipe import Recipe
from xirecipe.yaml import Path_


def prompts(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    used: list[tuple[str, Path_, str]] = [("generate", ("generate", "prompt"), recipe.generate.prompt)]
    if recipe.judge.rubric:
        used.append(("judge.rubric", ("judge", "rubric", "prompt"), recipe.judge.rubric.prompt))
    if recipe.judge.likelihood:
        used.append(("judge.likelihood", ("judge", "likelihood", "prompt"), recipe.judge.likelihood.prompt))
    for stage, path, name in used:
        example, before = _example(stage, loaded), stage.partition(".")[0]
        if stage == "judge.likelihood" and recipe.judge.scores_instructions:
            example["exemplars"] = ()
        found = list(prompt_problems(name, loaded.span(*path), example, f"no stage before `{before}` writes", loaded))
        yield from found
        if stage == "judge.likelihood" and not found:
            shown = "text" if recipe.judge.scores_instructions else "instruction"
            if shown not in names_used((loaded.root / name).read_text(encoding="utf-8")):
                message = f"{name} does not show the `{shown}`, so nothing raises a likelihood"
                yield Diagnostic("bad-value", message, loaded.span(*path), f"write {{{{ {shown} }}}} where it belongs")


def prompt_problems(
    name: str, span: Span, example: dict[str, object], unwritten: str, loaded: Loaded
) -> Iterator[Diagnostic]:
    """What is wrong with the prompt `name`, tried on `example`, which has every variable that it may read."""
    try:
        file = inside(loaded.root, name, span, "prompt")
    except UserError as error:
        yield from error.diagnostics
        return
    if not file.is_file():
        hint = did_you_mean(name, [p.relative_to(loaded.root).as_posix() for p in loaded.root.glob("prompts/*.j2")])
        yield Diagnostic("missing-prompt", f"there is no prompt {name}", span, hint)
        return
    try:
        text = file.read_text(encoding="utf-8")
        unknown = sorted(names_used(text) - set(example))
        if not unknown:
            render(text, example)
    except UnicodeDecodeError as error:
        yield Diagnostic("not-utf-8", f"{name}: byte {error.start} is not UTF-8", span, "save the file as UTF-8")
    except TemplateSyntaxError as error:
        yield Diagnostic("bad-prompt", f"{name}:{error.lineno}: {shortened(error.message, 200)}", span)
    except TemplateError as error:
        yield Diagnostic("bad-prompt", f"{name}: {shortened(error.message, 200)}", span)
    else:
        for variable in unknown:
            message = f"{name} reads `{variable}`, which {unwritten}"
            yield Diagnostic("unknown-column", message, span, did_you_mean(variable, example))


def _example(stage: str, loaded: Loaded) -> dict[str, object]:
    """A row to try a prompt on, so that `pair.respnse` is found before a corpus has been read."""
    values: dict[ColumnType, object] = {
        "string": "text", "int64": 0, "float64": 0.0, "list<float32>": [], "list<string>": [],
    }  # fmt: skip
    row = {c.name: values[c.type] for c in columns_before("generate" if stage == "generate" else "judge")}
    # Without a language file there is another error, and any language will do.
    language = loaded.language or Language(
        code="und_Zyyy", name="", native_name="", hub_code="und", lid_labels=("und",), sources=("",)
    )
    shown: dict[str, dict[str, object]] = {
        "generate": {"exemplars": (Exemplar("instruction", "response"),)},
        "judge.rubric": {"examples": (Rated("instruction", "text", "label"),)},
    }  # fmt: skip
    return {**row, "language": language, **shown.get(stage, {})}


def evaluation(recipe: Recipe | MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    config, written = recipe.evaluate, loaded.tree.part("models").data
    named: dict[tuple[str, ...], str | None] = {("model",): config.model}
    if config.choices is not None:
        named["choices", "model"] = config.choices.model
    if config.students is not None:
        named["students", "model"] = config.students.model
    for place, name in named.items():
        if name is not None and name not in written:
            message = f"`{'.'.join(('evaluate', *place))}` names `{shortened(name)}`, which is not under `models`"
            span = loaded.span("evaluate", *place)
            yield Diagnostic("unknown-model", message, span, did_you_mean(name, written))
    shown = {"prompt": "text", "answer_language": "name", "language": _example("judge", loaded)["language"]}
    if config.pairwise is not None:
        span, example = loaded.span("evaluate", "pairwise", "prompt"), {**shown, "first": "text", "second": "text"}
        yield from prompt_problems(config.pairwise.prompt, span, example, "`evaluate.pairwise` does not show", loaded)
    if config.aspects is not None:
        names = config.aspects.names
        span, example = loaded.span("evaluate", "aspects", "prompt"), {**shown, "answer": "text", "aspects": names}
        yield from prompt_problems(config.aspects.prompt, span, example, "`evaluate.aspects` does not show", loaded)
    if config.choices is not None:
        span = loaded.span("evaluate", "choices", "prompt")
        items: dict[str, object] = {"question": "text", "options": ()}
        yield from prompt_problems(config.choices.prompt, span, items, "`evaluate.choices` does not show", loaded)
    if config.students is not None:
        span = loaded.span("evaluate", "students", "prompt")
        asked: dict[str, object] = {"instruction": "text", "language": shown["language"]}
        yield from prompt_problems(config.students.prompt, span, asked, "`evaluate.students` does not show", loaded)
    for name, file in config.prompt_sets.items():
        span = loaded.span("evaluate", "prompt_sets", name)
        try:
            if not inside(loaded.root, file, span, "prompt_sets").is_file():
                yield Diagnostic("missing-file", f"there is no file {shortened(file, 200)}", span)
        except UserError as error:
            yield from error.diagnostics


def messages(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    example = {name: _example("judge", loaded)[name] for name in ("instruction", "language")}
    for style in ("plain", "assistant"):
        text, span = getattr(recipe.messages, style), loaded.span("messages", style)
        yield from user_turn(text, f"`messages.{style}`", span, example, "`instruction` and `language`")


def user_turn(text: str, place: str, span: Span, example: dict[str, object], listed: str) -> Iterator[Diagnostic]:
    """What is wrong with a template of a user's turn: it reads what `example` has, and shows the instruction."""
    try:
        used = names_used(text)
        unknown = sorted(used - example.keys())
        if not unknown:
            render(text, example)
    except TemplateError as error:
        yield Diagnostic("bad-prompt", f"{place}: {shortened(error.message, 200)}", span)
        return
    for variable in unknown:
        message = f"{place} reads `{variable}`; there is {listed}"
        yield Diagnostic("unknown-column", message, span, did_you_mean(variable, example))
    if not unknown and "instruction" not in used:
        yield Diagnostic("bad-value", f"{place} does not show the `instruction`", span)
