"""Asking a judge about sets of answers: every reply goes through the completion log, so a second time costs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xirecipe.engines.asking import Asked, ask
from xirecipe.engines.tally import require_answers
from xirecipe.evaluating import aspects, consistency, pairwise
from xirecipe.evaluating.answers import Answered, Pair
from xirecipe.evaluating.items import Item, choice_of, item_requests
from xirecipe.evaluating.judging import Questioner
from xirecipe.evaluating.prompt_sets import PromptSets, groups
from xirecipe.evaluating.results import Results
from xirecipe.models.requests import Request
from xirecipe.recipe.evaluation import Aspects, Bootstrap, Choices
from xirecipe.recipe.models import Model
from xirecipe.settings import Settings
from xirecipe.spending import Spending
from xirecipe.store import Store
from xirecipe.work import Progress


@dataclass(frozen=True)
class Judge:
    """A model to ask, in a store, within a budget."""

    model: Model
    name: str
    """The model's name in the recipe."""
    work_folder: Path
    store: Store
    settings: Settings
    budget: Spending
    report: Callable[[Progress], None]

    def ask(self, requests: Sequence[Request]) -> Asked:
        """The outcomes of all requests.

        Raises UserError: more requests failed than the settings allow, no request can succeed, or the budget is
        reached. Answers until then are kept.
        """
        asked = ask(
            requests,
            model=self.model,
            name=self.name,
            work_folder=self.work_folder,
            store=self.store,
            settings=self.settings,
            budget=self.budget,
            report=self.report,
        )
        require_answers(asked, "evaluate", self.settings)
        return asked


def judge_pairs(judge: Judge, questioner: Questioner, pairs: Sequence[Pair], prompt_sets: PromptSets) -> Results:
    """Both orders of every pair, asked, read and summed up: overall, by language and by prompt set."""
    requests = [pairwise.pairwise_requests(questioner, pair) for pair in pairs]
    asked = judge.ask([request for both in requests for request in both.values()])
    judged = [
        pairwise.judge_pair(pair, {order: asked.answer(request) for order, request in both.items()})
        for pair, both in zip(pairs, requests, strict=True)
    ]
    bootstrap = questioner.config.bootstrap
    summary = _by_group(
        [pair.a for pair in pairs],
        prompt_sets,
        lambda places: pairwise.summarize([judged[place] for place in places], bootstrap),
    )
    return Results(pairwise.verdict_rows(judged), pairwise.COLUMNS, summary | _usage(asked), _failed(asked))


def rate_answers(
    judge: Judge, questioner: Questioner, config: Aspects, rows: Sequence[Answered], prompt_sets: PromptSets
) -> Results:
    """Every answer asked about, read and summed up: overall, by language and by prompt set."""
    requests = [aspects.aspects_request(questioner, config, row) for row in rows]
    asked = judge.ask(requests)
    rated = [aspects.rate(row, asked.answer(request), config) for row, request in zip(rows, requests, strict=True)]
    bootstrap = questioner.config.bootstrap
    summary = _by_group(
        rows, prompt_sets, lambda places: aspects.summarize([rated[place] for place in places], config, bootstrap)
    )
    return Results(aspects.rated_rows(rated, config), aspects.columns(config), summary | _usage(asked), _failed(asked))


def choose_options(
    judge: Judge, config: Choices, template: str, items: Sequence[Item], shown: str, bootstrap: Bootstrap
) -> Results:
    """Every item that is there in all languages answered by the model, and summed up. `shown` names the file.

    Raises UserError: as `consistency.align_items`, before anything is asked.
    """
    aligned = consistency.align_items([item.choice() for item in items], shown)
    counted = [item for item in items if item.id in aligned.choices]
    requests = [item_requests(item, template, config.prompt, config.by) for item in counted]
    asked = judge.ask([request for each in requests for request in each])
    choices = [
        choice_of(item, [asked.answer(request) for request in each], config.by)
        for item, each in zip(counted, requests, strict=True)
    ]
    answered = replace(consistency.align_items(choices, shown), missing=aligned.missing)
    summary = consistency.summarize(answered, bootstrap) | _usage(asked)
    return Results(consistency.choice_rows(answered), consistency.COLUMNS, summary, _failed(asked))


def _by_group(
    rows: Sequence[Answered], prompt_sets: PromptSets, summarize: Callable[[Sequence[int]], dict[str, Any]]
) -> dict[str, Any]:
    summary: dict[str, Any] = {"overall": summarize(range(len(rows)))}
    for kind, members in groups(rows, prompt_sets).items():
        summary[f"by_{kind}"] = {name: summarize(places) for name, places in members.items()}
    return summary


def _failed(asked: Asked) -> dict[str, int]:
    return dict(Counter(failure.reason for failure in asked.failures.values()))


def _usage(asked: Asked) -> dict[str, Any]:
    return {
        "calls": asked.calls,
        "reused": asked.reused,
        "prompt_tokens": asked.prompt_tokens,
        "completion_tokens": asked.completion_tokens,
    }
