"""`xirecipe evaluate --metric consistency`: choices that were made, or items for a model to answer first."""

from __future__ import annotations

import hashlib
from typing import Any

from xirecipe.commands.evaluation import Made, Session, make_once, shown_files
from xirecipe.compile import placed
from xirecipe.diagnostics import user_error
from xirecipe.disk import explained
from xirecipe.engines.evaluating import Judge, choose_options
from xirecipe.evaluating import consistency, items
from xirecipe.evaluating.files import Table
from xirecipe.evaluating.results import Evaluation, Results
from xirecipe.loaded import shown_name


def evaluate_consistency(session: Session, a: Table, *, retry_failed: bool) -> Made:
    bootstrap = session.recipe.evaluate.bootstrap
    identity: dict[str, Any] = {
        "revision": consistency.REVISION,
        "files": {"a": a.sha256},
        "bootstrap": bootstrap.model_dump(mode="json"),
    }
    if a.column(consistency.CHOSEN_COLUMNS) is None and items.has_items(a):
        return _answered(session, a, identity, retry_failed=retry_failed)
    aligned = consistency.align_items(consistency.read_choices(a), shown_name(a.path))
    evaluation = Evaluation("consistency", identity, session.store)
    if (summary := evaluation.finished()) is not None:
        return evaluation, summary, False
    found = consistency.summarize(aligned, bootstrap)
    results = Results(consistency.choice_rows(aligned), consistency.COLUMNS, found, {})
    with session.store.locked(), explained(evaluation.folder):
        return evaluation, evaluation.write(results, files=shown_files({"a": a})), True


def _answered(session: Session, a: Table, identity: dict[str, Any], *, retry_failed: bool) -> Made:
    """Items without choices: the model of `evaluate.choices` answers them."""
    config = session.recipe.evaluate.choices
    if config is None:
        message = f"{shown_name(a.path)} has questions and no choices, and the recipe has no `evaluate.choices`"
        hint = (
            "add `evaluate: {choices: {model: NAME, prompt: prompts/answer_item.completion.j2}}`, or a column `chosen`"
        )
        raise user_error("no-evaluation-prompt", message, hint=hint)
    model, template = placed(session.recipe.models[config.model], session.root), session.template(config.prompt)
    questions = items.read_items(a)
    identity |= {
        "items_revision": items.REVISION,
        "model": model.identity,
        "prompt_sha256": hashlib.sha256(template.encode()).hexdigest(),
        "by": config.by,
    }
    evaluation = Evaluation("consistency", identity, session.store)

    def make(judge: Judge) -> Results:
        return choose_options(judge, config, template, questions, shown_name(a.path), session.recipe.evaluate.bootstrap)

    facts = {
        "files": shown_files({"a": a}),
        "model_name": config.model,
        "prompt": config.prompt,
        "rule": f"an option is chosen by its {config.by}",
    }
    return evaluation, *make_once(session, evaluation, model, config.model, make, facts, retry_failed=retry_failed)
