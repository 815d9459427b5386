"""`xirecipe evaluate`: judges of answers, how consistent a model is across languages, and what a dataset teaches it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from xirecipe.commands.consistency import evaluate_consistency
from xirecipe.commands.evaluated import print_summary
from xirecipe.commands.evaluation import Made, Session, make_once, open_recipe, shown_files
from xirecipe.commands.learning import evaluate_learning
from xirecipe.compile import placed
from xirecipe.diagnostics import did_you_mean, user_error
from xirecipe.disk import explained
from xirecipe.engines.evaluating import Judge, judge_pairs, rate_answers
from xirecipe.evaluating import aspects, pairwise
from xirecipe.evaluating.answers import Answered, align, read_answers, unique
from xirecipe.evaluating.files import Table, read_table
from xirecipe.evaluating.judging import Questioner
from xirecipe.evaluating.prompt_sets import PromptSets, read_prompt_set
from xirecipe.evaluating.results import Evaluation, Results, check_target, copy
from xirecipe.load import load_language
from xirecipe.loaded import inside, shown_name
from xirecipe.recipe.models import Model
from xirecipe.terminal import console

Metric = Literal["pairwise", "aspects", "consistency", "learning"]
#: Metric -> how many sets it takes, the least and the most.
METRICS: dict[Metric, tuple[int, int]] = {
    "pairwise": (2, 2), "aspects": (1, 1), "consistency": (1, 1), "learning": (1, 2),
}  # fmt: skip


def run_evaluate(
    recipe: Path,
    metric: str,
    sets: Sequence[Path],
    profile: str | None,
    overrides: Sequence[str],
    to: Path | None,
    retry_failed: bool,
    as_json: bool,
) -> int:
    """Evaluate, or show what the same evaluation came to before."""
    known = _metric(metric, len(sets))
    session = open_recipe(recipe, profile, overrides)
    if to is not None:
        check_target(to)
    tables = [read_table(path) for path in sets]
    match known:
        case "pairwise":
            evaluation, summary, made = _pairwise(session, *tables, retry_failed=retry_failed)
        case "aspects":
            evaluation, summary, made = _aspects(session, *tables, retry_failed=retry_failed)
        case "consistency":
            evaluation, summary, made = evaluate_consistency(session, *tables, retry_failed=retry_failed)
        case "learning":
            evaluation, summary, made = evaluate_learning(session, tables, retry_failed=retry_failed)
    folder = to or evaluation.folder
    if to is not None and to.resolve() != evaluation.folder.resolve():
        with explained(to):
            copy(evaluation.folder, to)
    if as_json:
        print(json.dumps({**summary, "made": made, "folder": str(folder)}, ensure_ascii=False, indent=2))
    else:
        out = console()
        print_summary(summary, out)
        out.print(f"results: {os.path.relpath(folder)}", markup=False, soft_wrap=True)
    return 0


def _metric(name: str, sets: int) -> Metric:
    for known, (least, most) in METRICS.items():
        if known == name:
            if not least <= sets <= most:
                wanted = f"{least}" if least == most else f"{least} or {most}"
                what = "rows" if name == "learning" else "answers"
                message = f"`{name}` takes {wanted} set{'s' if most > 1 else ''} of {what}, not {sets}"
                hint = f"xirecipe evaluate RECIPE --metric {name} {' '.join('AB'[:most])}"
                if sets > most:
                    hint += "; a pattern in quotes, such as 'releases/*-sample', is one set"
                raise user_error("wrong-number-of-sets", message, hint=hint)
            return known
    raise user_error("unknown-metric", f"there is no metric `{name}`", hint=did_you_mean(name, METRICS))


def _pairwise(session: Session, a: Table, b: Table, *, retry_failed: bool) -> Made:
    config = session.recipe.evaluate.pairwise
    name, model = _judge_model(session)
    if config is None:
        raise _no_prompt("pairwise", "compare_answers")
    aligned = align(read_answers(a), read_answers(b), shown_name(a.path), shown_name(b.path))
    rows = [pair.a for pair in aligned.pairs]
    sets = _prompt_sets(session)
    questioner = _questioner(session, config.prompt, rows)
    files = {"a": a, "b": b}
    evaluation = _evaluation(session, "pairwise", pairwise.REVISION, files, sets, model, questioner)

    def make(judge: Judge) -> Results:
        return judge_pairs(judge, questioner, aligned.pairs, sets)

    facts = {
        "files": shown_files(files),
        "model_name": name,
        "prompt": config.prompt,
        "rule": "scores are means over both orders; the higher one wins, equal ones tie",
        "aligned_by": aligned.by,
        "only_in_a": {"count": len(aligned.only_a), "rows": aligned.only_a},
        "only_in_b": {"count": len(aligned.only_b), "rows": aligned.only_b},
        "prompt_sets": {name: each.shown(rows) for name, each in sets.items()},
    }
    return evaluation, *make_once(session, evaluation, model, name, make, facts, retry_failed=retry_failed)


def _aspects(session: Session, a: Table, *, retry_failed: bool) -> Made:
    config = session.recipe.evaluate.aspects
    name, model = _judge_model(session)
    if config is None:
        raise _no_prompt("aspects", "rate_aspects")
    rows = read_answers(a)
    unique(rows, shown_name(a.path))
    sets = _prompt_sets(session)
    questioner = _questioner(session, config.prompt, rows)
    files = {"a": a}
    rules = config.model_dump(mode="json", exclude={"prompt"})
    evaluation = _evaluation(session, "aspects", aspects.REVISION, files, sets, model, questioner, aspects=rules)

    def make(judge: Judge) -> Results:
        return rate_answers(judge, questioner, config, rows, sets)

    facts = {
        "files": shown_files(files),
        "model_name": name,
        "prompt": config.prompt,
        "scale": [config.lowest, config.highest],
        "rules": {cause: list(forced) for cause, forced in config.forces.items()},
        "prompt_sets": {name: each.shown(rows) for name, each in sets.items()},
    }
    return evaluation, *make_once(session, evaluation, model, name, make, facts, retry_failed=retry_failed)


def _judge_model(session: Session) -> tuple[str, Model]:
    name = session.recipe.evaluate.model
    if name is None:
        names = ", ".join(f"`{name}`" for name in session.recipe.models)
        hint = f"add `evaluate: {{model: NAME}}` with one of {names}, or `--set evaluate.model=NAME`"
        raise user_error("no-judge", "the recipe names no model that evaluates", hint=hint)
    model = placed(session.recipe.models[name], session.root)
    if model.prompt_format == "completion":
        under = f" under the profile `{session.profile}`" if session.profile else ""
        raise user_error(
            "base-model-judge",
            f"`{name}` is a base model{under} (`prompt_format: completion`): it continues texts and cannot judge",
            hint="take a profile with a chat model, such as `--profile server`, or name one in `evaluate.model`",
        )
    return name, model


def _no_prompt(metric: str, template: str) -> Exception:
    hint = f"add `evaluate: {{{metric}: {{prompt: prompts/{template}.chat.j2}}}}`"
    return user_error("no-evaluation-prompt", f"the recipe has no `evaluate.{metric}`", hint=hint)


def _questioner(session: Session, prompt: str, rows: Sequence[Answered]) -> Questioner:
    template = session.template(prompt)
    names = _language_names(session, {row.language for row in rows if row.language is not None})
    return Questioner(session.recipe.evaluate, prompt, template, session.language, names)


def _language_names(session: Session, codes: set[str]) -> dict[str, str]:
    """English names of languages that have a file. The codes come out of data, so they are not trusted as paths."""
    names: dict[str, str] = {}
    for code in sorted(codes):
        if re.fullmatch(r"[a-z]{3}_[A-Z][a-z]{3}", code):
            language, _, _ = load_language(session.root / "languages" / f"{code}.yaml")
            names |= {code: language.name} if language else {}
    return names


def _prompt_sets(session: Session) -> PromptSets:
    named = session.recipe.evaluate.prompt_sets
    return {name: read_prompt_set(inside(session.root, file, None, "prompt_sets")) for name, file in named.items()}


def _evaluation(
    session: Session,
    metric: Metric,
    revision: int,
    files: dict[str, Table],
    sets: PromptSets,
    model: Model,
    questioner: Questioner,
    **more: object,
) -> Evaluation:
    config = session.recipe.evaluate
    identity = {
        "revision": revision,
        "files": {name: table.sha256 for name, table in files.items()},
        "prompt_sets": {name: each.sha256 for name, each in sets.items()},
        "model": model.identity,
        "prompt_sha256": hashlib.sha256(questioner.template.encode()).hexdigest(),
        "sampling": {"temperature": config.temperature, "max_tokens": config.max_tokens},
        "language": session.language.model_dump(mode="json", exclude={"filters", "sources", "lid_labels"}),
        "language_names": dict(questioner.language_names),
        "bootstrap": config.bootstrap.model_dump(mode="json"),
        **more,
    }
    return Evaluation(metric, identity, session.store)
