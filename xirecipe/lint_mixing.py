"""Rules of mixing recipes that a schema cannot say: parts, datasets and languages that must fit together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from xirecipe import lint_datasets
from xirecipe.diagnostics import Diagnostic, did_you_mean, shortened
from xirecipe.lint import licences
from xirecipe.lint_learning import students
from xirecipe.lint_prompts import evaluation, prompt_problems, user_turn
from xirecipe.loaded import Loaded
from xirecipe.mixing import name_in, named_languages, open_languages
from xirecipe.prompts import TemplateError, names_used
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.mixing import ENGLISH, Part
from xirecipe.yaml import Path_

Rule = Callable[[MixRecipe, Loaded], Iterator[Diagnostic]]


def lint_mixing(loaded: Loaded) -> list[Diagnostic]:
    """Everything wrong with a mixing recipe that was read. Opens prompts; looks whether files are there."""
    recipe = loaded.recipe
    if not isinstance(recipe, MixRecipe):
        return []
    rules: tuple[tuple[Rule, set[str]], ...] = (
        (lint_datasets.datasets, {"datasets"}),
        (_models, {"models", "translate", "rates"}),
        (_translations, {"datasets", "translate"}),
        (_choices, {"mix"}),
        (_parts, {"mix", "datasets", "translate"}),
        (_shares, {"mix"}),
        (_turns, {"mix"}),
        (_names, {"mix", "datasets", "translate", "answer_in"}),
        (evaluation, {"models", "evaluate"}),
        (students, {"models", "evaluate"}),
        (licences, {"datasets", "models", "translate", "mix", "release"}),
    )
    there = recipe.model_fields_set | (type(recipe).model_fields.keys() & vars(recipe).keys())
    return [found for rule, needed in rules if needed <= there for found in rule(recipe, loaded)]


def _models(recipe: MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    written = loaded.tree.part("models").data
    for name, translate in recipe.translate.items():
        if translate.model not in written:
            message = f"`translate.{name}.model` names `{shortened(translate.model)}`, which is not under `models`"
            span = loaded.span("translate", name, "model")
            yield Diagnostic("unknown-model", message, span, did_you_mean(translate.model, written))
    for name in recipe.rates:
        if name not in written:
            message = f"`rates.{shortened(name)}` is for no model under `models`"
            yield Diagnostic("unknown-model", message, loaded.key_span("rates", name), did_you_mean(name, written))


def _translations(recipe: MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    for name, translate in recipe.translate.items():
        span = loaded.key_span("translate", name)
        if name not in recipe.datasets:
            message = f"`translate.{name}` is for no dataset under `datasets`"
            yield Diagnostic("unknown-dataset", message, span, did_you_mean(name, recipe.datasets))
            continue
        has = recipe.datasets[name].versions
        if translate.from_language not in has:
            message = f"`translate.{name}` translates from {translate.from_language}, which `datasets.{name}` has not"
            yield Diagnostic("unknown-language", message, span, did_you_mean(translate.from_language, has))
        for index, code in enumerate(translate.into):
            if code in has:
                message = f"`datasets.{name}` has {code} already; nothing is to translate"
                yield Diagnostic("bad-value", message, loaded.span("translate", name, "into", index))
        if recipe.datasets[name].align_on is None:
            message = f"`translate.{name}` makes versions of rows, and `datasets.{name}.align_on` is null"
            yield Diagnostic("not-aligned", message, span, "`align_on: id`, or the column that holds a row's id")
        language = loaded.languages.get(ENGLISH)
        example: dict[str, object] = {"text": "text", "language": language, "answer_language": language}
        at = loaded.span("translate", name, "prompt")
        if language is not None:
            yield from prompt_problems(translate.prompt, at, example, "`translate` does not show", loaded)


def _choices(recipe: MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    mix = recipe.mix
    for choice, names in mix.choices.items():
        for index, name in enumerate(names):
            if name not in mix.parts:
                message = f"`mix.choices.{choice}` names `{shortened(name)}`, which is not under `mix.parts`"
                span = loaded.span("mix", "choices", choice, index)
                yield Diagnostic("unknown-part", message, span, did_you_mean(name, mix.parts))
    if mix.choice is not None and mix.choice not in mix.choices:
        message = f"`mix.choice` is `{shortened(mix.choice)}`, which is not under `mix.choices`"
        hint = did_you_mean(mix.choice, mix.choices) or "there are no choices"
        yield Diagnostic("unknown-choice", message, loaded.span("mix", "choice"), hint)
    elif mix.choice is None and mix.choices:
        message = "`mix.choices` has several mixes, and `mix.choice` names none of them"
        yield Diagnostic("unknown-choice", message, loaded.key_span("mix", "choices"), "add `choice: ...`")


def _parts(recipe: MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    chosen = recipe.mix.chosen
    shapes: dict[str, tuple[str, bool]] = {}
    for name, part in chosen.items():
        place: Path_ = ("mix", "parts", name)
        if part.dataset not in recipe.datasets:
            message = f"`mix.parts.{name}.dataset` is `{shortened(part.dataset)}`, which is not under `datasets`"
            hint = did_you_mean(part.dataset, recipe.datasets)
            yield Diagnostic("unknown-dataset", message, loaded.span(*place, "dataset"), hint)
            continue
        yield from _languages(recipe, name, part, loaded)
        for key, other in (("replaces", part.replaces), ("same_draws_as", part.same_draws_as)):
            if other is not None:
                yield from _reference(chosen, name, part, key, other, loaded)
        first, pairs = shapes.setdefault(part.config, (name, part.shape == "contrastive"))
        if pairs != (part.shape == "contrastive"):
            message = f"`{part.config}` holds rows of `{first}`; pairs of texts and instructions need a config each"
            span = loaded.span(*place, "config")
            yield Diagnostic("mixed-config", message, span, "`config: contrastive` for the pairs")


def _languages(recipe: MixRecipe, name: str, part: Part, loaded: Loaded) -> Iterator[Diagnostic]:
    place: Path_ = ("mix", "parts", name)
    dataset = recipe.datasets[part.dataset]
    has = recipe.languages_of(part.dataset)
    for index, code in enumerate(part.languages):
        if code not in has:
            message = f"`datasets.{part.dataset}` has no {code}"
            span = loaded.span(*place, "languages", index)
            yield Diagnostic("unknown-language", message, span, did_you_mean(code, has))
    languages = part.languages or has
    for index, direction in enumerate(part.directions):
        span = loaded.span(*place, "directions", index)
        if direction != "x->x" and ENGLISH not in languages:
            message = f"`{direction}` needs {ENGLISH}, which `mix.parts.{name}` has not"
            yield Diagnostic("missing-language", message, span, f"add {ENGLISH} to `languages`")
        least = 2 if direction == "x->x" else 1
        if len(open_languages(part, languages)) < least:
            others = f"{least} other language{'s' if least > 1 else ''} than English"
            yield Diagnostic("missing-language", f"`{direction}` needs {others} in `mix.parts.{name}`", span)
    if part.shape != "monolingual" and not part.directions and len(languages) < 2:
        message = f"`shape: {part.shape}` needs two languages, and `mix.parts.{name}` has {len(languages)}"
        yield Diagnostic("missing-language", message, loaded.span(*place, "shape"))
    if dataset.align_on is None and (part.shape != "monolingual" or part.spread != "drawn"):
        key = "shape" if part.shape != "monolingual" else "spread"
        asked = f"`{key}: {getattr(part, key)}`"
        message = f"{asked} needs versions of the same rows, and `datasets.{part.dataset}` is not aligned"
        yield Diagnostic("not-aligned", message, loaded.span(*place, key), "say which column aligns them: `align_on`")
    if part.shape in ("monolingual", "cross_lingual"):
        columns = [v.columns or dataset.columns for code, v in dataset.versions.items() if code in languages]
        if any(each.response is None for each in columns):
            message = f"`shape: {part.shape}` needs responses, and `datasets.{part.dataset}` has none"
            yield Diagnostic("no-responses", message, loaded.span(*place, "shape"), "`columns: {response: ...}`")


def _reference(
    chosen: dict[str, Part], name: str, part: Part, key: str, other: str, loaded: Loaded
) -> Iterator[Diagnostic]:
    span = loaded.span("mix", "parts", name, key)
    if other not in chosen:
        message = f"`mix.parts.{name}.{key}` is `{shortened(other)}`, which is no part of this mix"
        yield Diagnostic("unknown-part", message, span, did_you_mean(other, [n for n in chosen if n != name]))
        return
    of = chosen[other]
    if of.replaces is not None or of.same_draws_as is not None:
        message = f"`mix.parts.{name}.{key}` is `{other}`, which takes its rows from another part itself"
        yield Diagnostic("unknown-part", message, span, "name the part that draws")
    elif key == "same_draws_as" and of.dataset != part.dataset:
        message = f"`{name}` and `{other}` draw from different datasets, and `{key}` means the same rows"
        yield Diagnostic("bad-value", message, span)
    elif key == "same_draws_as" and (bool(of.directions), of.languages) != (bool(part.directions), part.languages):
        message = (
            f"`{name}` takes the draws of `{other}`, and has not the same `languages`, or only one has `directions`"
        )
        yield Diagnostic("bad-value", message, span)
    elif key == "replaces" and (of.replacement or of.repeat > 1):
        message = f"`{name}` replaces rows of `{other}`, which draws rows more than once"
        yield Diagnostic("bad-value", message, span)


def _shares(recipe: MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    mix = recipe.mix
    shared = {name: part for name, part in mix.chosen.items() if part.share is not None}
    if shared and mix.total is None:
        message = "`share` is a share of `mix.total`, and there is none"
        yield Diagnostic(
            "missing-key", message, loaded.span("mix", "parts", next(iter(shared)), "share"), "add `total`"
        )
    drawing = {name: p for name, p in mix.chosen.items() if p.replaces is None and p.same_draws_as is None}
    shares = {name: part.share for name, part in drawing.items() if part.share is not None}
    if not shares:
        return
    for name in drawing:
        if name not in shares:
            message = f"`mix.parts.{name}` has no `share`, and other parts have"
            yield Diagnostic(
                "missing-share", message, loaded.key_span("mix", "parts", name), "give every part its share"
            )
    found = math.fsum(shares.values())
    if len(shares) == len(drawing) and abs(found - 1) > 1e-6:
        shown = " + ".join(f"{name} {share:g}" for name, share in shares.items())
        message = f"the shares add up to {found:g}, not to 1: {shown}"
        yield Diagnostic("wrong-shares", message, loaded.span("mix", "parts", list(shares)[-1], "share"))


def _turns(recipe: MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    known = ("instruction", "answer_in", "language", "answer_language")
    language = loaded.languages.get(ENGLISH)
    if language is None:
        return
    example: dict[str, object] = {
        "instruction": "text", "answer_in": "text", "language": language, "answer_language": language,
    }  # fmt: skip
    for name, part in recipe.mix.parts.items():
        for index, turn in enumerate(part.prompts):
            span, place = loaded.span("mix", "parts", name, "prompts", index), f"`mix.parts.{name}.prompts[{index}]`"
            yield from user_turn(turn, place, span, example, ", ".join(f"`{each}`" for each in known))
    for code, phrase in recipe.answer_in.items():
        span = loaded.span("answer_in", code, "phrase")
        try:
            unknown = sorted(names_used(phrase.phrase) - {"name"})
        except TemplateError as error:
            yield Diagnostic("bad-prompt", f"`answer_in.{code}.phrase`: {shortened(error.message, 200)}", span)
            continue
        for variable in unknown:
            message = f"`answer_in.{code}.phrase` reads `{variable}`; there is `name`"
            yield Diagnostic("unknown-column", message, span, did_you_mean(variable, ("name",)))


def _names(recipe: MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    """Languages that a prompt must name and for which its language has no word here."""
    english = {code: language.name for code, language in loaded.languages.items()}
    told: set[tuple[str, str]] = set()
    for name, part in recipe.mix.chosen.items():
        if part.dataset not in recipe.datasets:
            continue
        try:
            pairs = named_languages(part, part.languages or recipe.languages_of(part.dataset))
        except TemplateError:
            continue  # said of the template itself
        lacking: dict[str, list[str]] = {}
        for prompt, answer in sorted(pairs - told):
            if prompt in english and name_in(recipe.answer_in, english, prompt, answer) is None:
                lacking.setdefault(prompt, []).append(answer)
                told.add((prompt, answer))
        for prompt, answers in lacking.items():
            shown = ", ".join(english.get(code, code) for code in answers)
            message = f"`mix.parts.{name}` has prompts in {english[prompt]} that cannot name {shown}"
            key = f"answer_in.{prompt}.names.{answers[0]}" if prompt in recipe.answer_in else f"answer_in.{prompt}"
            hint = f"add `{key}`, or `name_answer_in: english`"
            yield Diagnostic("missing-language-name", message, loaded.key_span("mix", "parts", name), hint)
