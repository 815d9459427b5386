"""`xirecipe evaluate --metric learning`: does a dataset help a model that is fine-tuned on it?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from xirecipe.commands.evaluation import Made, Session, make_once, shown_files
from xirecipe.compile import placed
from xirecipe.diagnostics import user_error
from xirecipe.engines.evaluating import Judge
from xirecipe.engines.students import examine
from xirecipe.evaluating import learning
from xirecipe.evaluating.answers import Answered, read_answers
from xirecipe.evaluating.files import Table
from xirecipe.evaluating.results import Evaluation, Results
from xirecipe.fingerprint import digest
from xirecipe.loaded import inside, shown_name
from xirecipe.recipe.recipe import Recipe
from xirecipe.seed import read_pairs

_RULE = "nats per token of held-out answers (lower is better), cosine of own answers to them (higher is better)"


def evaluate_learning(session: Session, tables: Sequence[Table], *, retry_failed: bool) -> Made:
    """Students of one set or two, and the model that they were, before answers held out.

    Raises UserError: no `evaluate.students`, no language that all sets and the answers held out have, no extra `train`.
    """
    config = session.recipe.evaluate.students
    if config is None:
        hint = "add `evaluate: {students: {model: NAME, prompt: FILE, held_out: {LANGUAGE: FILE}}}`"
        raise user_error("no-students", "the recipe has no `evaluate.students`", hint=hint)
    model, template = placed(session.recipe.models[config.model], session.root), session.template(config.prompt)
    paths = {code: inside(session.root, path, None, "held_out") for code, path in config.held_out.items()}
    pairs = {code: read_pairs(path, shown_name(path)) for code, path in paths.items()}
    files = dict(zip("ab", tables, strict=False))
    sets = {name: _answers(session, table) for name, table in files.items()}
    drawn = learning.draw(sets, pairs, config.rows, config.learn.random_seed)
    languages = {code: session.languages[code] for code in drawn.counts}
    teacher = learning.Teacher(config, template, languages, chat=model.prompt_format == "chat")
    held_out = teacher.held_out({code: pairs[code] for code in languages})
    bootstrap = session.recipe.evaluate.bootstrap
    identity: dict[str, Any] = {
        "revision": learning.REVISION,
        "files": {name: table.sha256 for name, table in files.items()},
        "model": model.identity,
        "prompt_sha256": hashlib.sha256(template.encode()).hexdigest(),
        "students": config.model_dump(mode="json", exclude={"model", "prompt", "held_out"}),
        "held_out": {code: digest([[pair.instruction, pair.response] for pair in pairs[code]]) for code in languages},
        "languages": {
            code: facts.model_dump(mode="json", exclude={"filters", "sources", "lid_labels"})
            for code, facts in languages.items()
        },
        "bootstrap": bootstrap.model_dump(mode="json"),
    }
    evaluation = Evaluation("learning", identity, session.store)

    def make(judge: Judge) -> Results:
        return examine(judge, teacher, drawn.rows, held_out, bootstrap)

    facts = {
        "files": shown_files(files),
        "model_name": config.model,
        "prompt": config.prompt,
        "rule": _RULE,
        "rows": {"each": sum(drawn.counts.values()), "by_language": drawn.counts, "left_out": drawn.left_out},
        "not_measured": [code for code in pairs if code not in languages],
    }
    return evaluation, *make_once(session, evaluation, model, config.model, make, facts, retry_failed=retry_failed)


def _answers(session: Session, table: Table) -> list[Answered]:
    """Rows of a set; without a language of their own, those of a recipe of one language are in it."""
    rows = read_answers(table)
    if not isinstance(session.recipe, Recipe):
        return rows
    return [replace(row, language=row.language or session.language.code) for row in rows]
