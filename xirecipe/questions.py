"""What a stage asks a model: rows become requests. Pure, so that `plan` can count the answers already paid for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from xirecipe.diagnostics import user_error
from xirecipe.models.requests import Request
from xirecipe.pairs import Exemplar, Rated
from xirecipe.prompts import TemplateError, continued, render
from xirecipe.recipe.generation import Generate, Judge
from xirecipe.recipe.mixing import Translate
from xirecipe.sentences import cut_at_sentence
from xirecipe.stage import Stage
from xirecipe.tables import Row


def generate_requests(
    stage: Stage, rows: Iterable[Row], *, draws: range | None = None, added: Sequence[Exemplar] = ()
) -> Iterator[tuple[Row, Request]]:
    """One request per document and draw, a document's draws together. Raises UserError for a prompt that fails.

    `draws` and `added` are a refining round's: which draws, and the best candidates that join the exemplars.
    """
    config = stage.config
    assert isinstance(config, Generate)
    prompt = stage.prompts[config.prompt]
    pairs = {pair.id: Exemplar(pair.instruction, pair.response) for pair in stage.exemplars}
    for row in rows:
        # The nearest pair stands last, next to the question.
        nearest = row.get("exemplars")
        exemplars = [*added, *(pairs.values() if nearest is None else (pairs[name] for name in reversed(nearest)))]
        text = _render(config.prompt, prompt, stage, {**row, "text": shown(stage, row["text"]), "exemplars": exemplars})
        for draw in draws or range(config.draws):
            yield {**row, "draw": draw}, Request("complete", text, config.sampling, draw)


def shown(stage: Stage, text: str) -> str:
    """What a writer's prompt shows of a text."""
    assert isinstance(stage.config, Generate)
    return cut_at_sentence(text, stage.config.max_prompt_chars, stage.language.sentence_enders)


def judge_requests(stage: Stage, row: Row, examples: Sequence[Rated] = ()) -> dict[str, Request]:
    """The questions about one candidate, by role: `rubric`, and `given` and `alone` for the likelihood gain.

    Raises UserError for a prompt that fails.
    """
    config = stage.config
    assert isinstance(config, Judge)
    requests: dict[str, Request] = {}
    if config.rubric is not None:
        template = stage.prompts[config.rubric.prompt]
        # Nothing is rated with itself in view.
        others = [e for e in examples if (e.instruction, e.text) != (row["instruction"], row["text"])]
        prompt = _render(config.rubric.prompt, template, stage, {**row, "examples": others})
        requests["rubric"] = Request("choose", prompt, labels=tuple(config.rubric.levels))
    if config.likelihood is not None:
        name, template = config.likelihood.prompt, stage.prompts[config.likelihood.prompt]
        text = cut_at_sentence(row["text"], config.likelihood.max_chars, stage.language.sentence_enders)
        alone = _render(name, template, stage, {**row, "text": "", "instruction": "", "exemplars": ()})
        if config.scores_instructions:
            given = _render(name, template, stage, {**row, "text": text, "instruction": "", "exemplars": ()})
            scored = continued(given, row["instruction"], ends=True)
        else:
            given, scored = _render(name, template, stage, {**row, "text": ""}), text
        requests["given"] = Request("score", given, continuation=scored)
        requests["alone"] = Request("score", alone, continuation=scored)
    return requests


#: The fields of a row that are translated, one request each.
TRANSLATED = ("instruction", "input", "response")


@dataclass(frozen=True)
class Field:
    """What a request translates: a field of a row, into a language."""

    name: str
    language: str


def translate_requests(stage: Stage, rows: Iterable[Row]) -> Iterator[tuple[Row, Field, Request]]:
    """For each row and language the requests for its fields, together. Raises UserError for a prompt that fails."""
    config = stage.config
    assert isinstance(config, Translate)
    for row in rows:
        for code in config.into:
            yield from _fields(stage, row, config.from_language, code)


def back_requests(stage: Stage, rows: Iterable[Row]) -> Iterator[tuple[Row, Field, Request]]:
    """The requests that translate rows back into the language they came from."""
    assert isinstance(stage.config, Translate)
    for row in rows:
        yield from _fields(stage, row, row["language"], stage.config.from_language)


def _fields(stage: Stage, row: Row, source: str, target: str) -> Iterator[tuple[Row, Field, Request]]:
    config = stage.config
    assert isinstance(config, Translate)
    for name in TRANSLATED:
        if row[name]:
            values = {
                "text": row[name],
                "language": stage.languages[source],
                "answer_language": stage.languages[target],
            }
            try:
                prompt = render(stage.prompts[config.prompt], values)
            except TemplateError as error:
                raise user_error("bad-prompt", f"{config.prompt}: {error}") from None
            yield row, Field(name, target), Request("complete", prompt, config.sampling)


def _render(name: str, template: str, stage: Stage, variables: dict[str, Any]) -> str:
    try:
        return render(template, {**variables, "language": stage.language})
    except TemplateError as error:
        raise user_error("bad-prompt", f"{name}: {error}") from None
