"""What a stage asks a model: rows become requests. Pure, so that `plan` can count the answers already paid for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from xirecipe.diagnostics import user_error
from xirecipe.models.requests import Request
from xirecipe.prompts import TemplateError, render
from xirecipe.recipe.generation import Generate, Judge, Likelihood, Rubric
from xirecipe.sentences import cut_at_sentence
from xirecipe.stage import Exemplar, Stage
from xirecipe.tables import Row


def generate_requests(stage: Stage, rows: Iterable[Row]) -> Iterator[tuple[Row, Request]]:
    """One request per document and draw, a document's draws together. Raises UserError for a prompt that fails."""
    config = stage.config
    assert isinstance(config, Generate)
    prompt = stage.prompts[config.prompt]
    exemplars = [Exemplar(pair.instruction, pair.response) for pair in stage.exemplars]
    for row in rows:
        shown = cut_at_sentence(row["text"], config.max_prompt_chars, stage.language.sentence_enders)
        text = _render(config.prompt, prompt, stage, {**row, "text": shown, "exemplars": exemplars})
        for draw in range(config.draws):
            yield {**row, "draw": draw}, Request("complete", text, config.sampling, draw)


def judge_requests(stage: Stage, row: Row) -> dict[str, Request]:
    """The questions about one candidate, by role: `rubric`, and `given` and `alone` for the likelihood gain."""
    config = stage.config
    assert isinstance(config, Judge)
    requests: dict[str, Request] = {}
    if isinstance(config.rubric, Rubric):
        prompt = _render(config.rubric.prompt, stage.prompts[config.rubric.prompt], stage, row)
        requests["rubric"] = Request("choose", prompt, labels=tuple(config.rubric.levels))
    if isinstance(config.likelihood, Likelihood):
        template = stage.prompts[config.likelihood.prompt]
        text = cut_at_sentence(row["text"], config.likelihood.max_chars, stage.language.sentence_enders)
        given = _render(config.likelihood.prompt, template, stage, {**row, "text": ""})
        alone = _render(config.likelihood.prompt, template, stage, {**row, "text": "", "instruction": ""})
        requests["given"] = Request("score", given, continuation=text)
        requests["alone"] = Request("score", alone, continuation=text)
    return requests


def _render(name: str, template: str, stage: Stage, variables: dict[str, Any]) -> str:
    try:
        return render(template, {**variables, "language": stage.language})
    except TemplateError as error:
        raise user_error("bad-prompt", f"{name}: {error}") from None
