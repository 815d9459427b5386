"""Rules about what is trained, stages' models and students: weights that can be, and pairs to train or measure on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from xirecipe.diagnostics import Diagnostic, Span, UserError, shortened
from xirecipe.loaded import Loaded, inside, shown_name
from xirecipe.recipe.generation import MIN_RATED_PAIRS
from xirecipe.recipe.learning import FineTune, LearnSeed, WriterFineTune
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.models import Model, ServerModel, VllmModel
from xirecipe.recipe.recipe import Recipe
from xirecipe.seed import read_pairs
from xirecipe.yaml import Path_


def learning(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    """What stands in the way of training the writer or the evaluator."""
    writer, judge = recipe.generate.learn, recipe.judge.learn
    for section, config, name in (
        ("generate", writer, recipe.generate.model),
        ("judge", judge, recipe.judge.model),
    ):
        if isinstance(config, FineTune):
            instead = "learn with `method: in_context`"
            yield from _weights(section, name, recipe.models, loaded.span(section, "learn", "method"), instead)
    if recipe.rating_set is not None:
        yield from _pairs(recipe.rating_set.seeds, ("rating_set", "seeds"), loaded, at_least=MIN_RATED_PAIRS)
        if recipe.rating_set.seeds and not isinstance(judge, FineTune):
            message = "only an evaluator that is trained learns from `rating_set.seeds`"
            span = loaded.key_span("rating_set", "seeds")
            hint = "`judge.learn: {method: fine_tune}`, or take them away"
            yield Diagnostic("unused-seed", message, span, hint, severity="warning")
    if isinstance(writer, WriterFineTune):
        yield from _pairs(writer.seeds, ("generate", "learn", "seeds"), loaded)
        yield from _asked_as_learnt(recipe, writer, loaded)
    if isinstance(judge, FineTune) and loaded.tree.data.get("rating_set") is None:
        message = "`judge.learn` learns from the rating set, and there is none"
        yield Diagnostic("missing-rating-set", message, loaded.key_span("judge", "learn"), "add `rating_set: {}`")


def rounds(recipe: Recipe, loaded: Loaded) -> Iterator[Diagnostic]:
    """Rounds train a writer that is trained."""
    refine = recipe.refine
    if refine is not None and refine.learn and not isinstance(recipe.generate.learn, WriterFineTune):
        message = "`refine.learn` trains the writer before each round, and `generate.learn` does not train it"
        hint = "`generate.learn: {method: fine_tune}`, or `refine.exemplars` alone, which shows it the best rows"
        yield Diagnostic("cannot-train", message, loaded.span("refine", "learn"), hint)


def students(recipe: Recipe | MixRecipe, loaded: Loaded) -> Iterator[Diagnostic]:
    """What stands in the way of training students, and of measuring them on answers held out."""
    config = recipe.evaluate.students
    if config is None:
        return
    place = ("evaluate", "students")
    span = loaded.span(*place, "model")
    yield from _weights(".".join(place), config.model, recipe.models, span, "name another one under `models`")
    for code, path in config.held_out.items():
        span = loaded.span(*place, "held_out", code)
        try:
            file = inside(loaded.root, path, span, "held_out")
            if file.is_file():
                read_pairs(file, shown_name(file))
            else:
                hint = "a JSON-lines file of `instruction` and `response`; paths start at the recipe's folder"
                yield Diagnostic("missing-held-out", f"there is no file {shortened(path, 200)}", span, hint)
        except UserError as error:
            yield from error.diagnostics


def _weights(
    section: str, name: str | None, models: Mapping[str, Model], span: Span, instead: str
) -> Iterator[Diagnostic]:
    model = models.get(name or "")
    hint = f"name an `embedded` or `vllm` model, or {instead}"
    if isinstance(model, ServerModel):
        message = f"`{section}.learn` trains weights, and those of `{name}` are behind a server"
        yield Diagnostic("cannot-train", message, span, hint)
    elif isinstance(model, VllmModel) and model.quantization is not None:
        message = f"`{section}.learn` trains weights, and those of `{name}` are quantized ({model.quantization})"
        yield Diagnostic("cannot-train", message, span, "name the repository of the weights as they were published")
    elif model is not None and model.adapter is not None:
        message = f"`{section}.learn` trains an adapter, and `{name}` has one already"
        yield Diagnostic("cannot-train", message, span, f"take `models.{name}.adapter` away, or {instead}")


def _pairs(seeds: Mapping[str, LearnSeed], place: Path_, loaded: Loaded, at_least: int = 0) -> Iterator[Diagnostic]:
    for name, seed in seeds.items():
        span = loaded.span(*place, name, "path")
        try:
            file = inside(loaded.root, seed.path, span, "seed")
            if not file.is_file():
                yield Diagnostic("missing-seed", f"there is no seed file {shortened(seed.path, 200)}", span)
            elif (pairs := len(read_pairs(file, shown_name(file)))) < at_least:
                message = f"the seed has {pairs} pairs; rated pairs are made of at least {at_least}"
                yield Diagnostic("small-seed", message, span, "add pairs, or take it away")
        except UserError as error:
            yield from error.diagnostics


def _asked_as_learnt(recipe: Recipe, config: WriterFineTune, loaded: Loaded) -> Iterator[Diagnostic]:
    if config.exemplars and recipe.generate.exemplars.choice == "nearest":
        message = "`learn.exemplars` shows the same exemplars to every pair, and `nearest` has others for each"
        span = loaded.span("generate", "learn", "exemplars")
        yield Diagnostic("bad-value", message, span, "`exemplars.choice: fixed` or `random`, or no exemplars")
    asked = recipe.generate.max_prompt_chars
    if asked is None or asked > config.max_text_chars:
        shown = "whole texts" if asked is None else f"texts of {asked}"
        message = (
            f"the writer learns from texts of at most {config.max_text_chars} characters and is asked about {shown}"
        )
        yield Diagnostic(
            "asked-otherwise", message, loaded.key_span("generate", "learn"),
            f"`generate.max_prompt_chars: {config.max_text_chars}`, or a larger `learn.max_text_chars`",
            severity="warning",
        )  # fmt: skip
