"""generate and judge: documents become requests, answers become candidates and scores."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from xirecipe.columns import columns_after
from xirecipe.diagnostics import user_error
from xirecipe.engines.asking import Asked, ask
from xirecipe.engines.guards import Guard, clean_instruction
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.questions import generate_requests, judge_requests
from xirecipe.recipe.generation import Generate, Judge
from xirecipe.stage import Outcome, Work
from xirecipe.tables import Row, count, read, write


def run_generate(work: Work) -> Outcome:
    """Documents in, candidates out: one row per document and draw that passed the guards."""
    stage, config = work.stage, work.stage.config
    assert isinstance(config, Generate)
    source = work.inputs["dedup"].data
    asked = _ask(work, (request for _, request in generate_requests(stage, read(source))))
    guard = Guard(config.guards, [pair.instruction for pair in stage.exemplars])
    tally = _Tally()

    def kept() -> Iterator[Row]:
        dropped: list[Row] = []
        failed: list[Row] = []
        for row, request in generate_requests(stage, read(source)):
            answer = asked.answer(request)
            if isinstance(answer, Failure):
                failed.append(tally.fail(row, f"generate.{answer.reason}", answer.detail))
                continue
            row = {**row, "instruction": clean_instruction(answer.text)}
            verdict = guard.check(row["instruction"], row["text"])
            if verdict is None:
                tally.kept += 1
                yield row
            else:
                dropped.append(tally.drop(row, *verdict))
        columns = columns_after("generate")
        write(work.output.dropped, dropped, columns, outcome=True)
        write(work.output.failed, failed, columns, outcome=True)

    write(work.output.data, kept(), columns_after("generate"))
    rows_in = count(source)
    return tally.outcome(rows_in, rows_in * config.draws, asked, {"draws": config.draws})


def run_judge(work: Work) -> Outcome:
    """Adds `rubric_score` and `likelihood_gain`. Drops nothing; a candidate whose rating never came is failed."""
    stage, config = work.stage, work.stage.config
    assert isinstance(config, Judge)
    source = work.inputs["generate"].data
    asked = _ask(work, (request for row in read(source) for request in judge_requests(stage, row).values()))
    tally = _Tally()
    parsed = Counter[str]()

    def kept() -> Iterator[Row]:
        failed: list[Row] = []
        for row in read(source):
            answers = {role: asked.answer(request) for role, request in judge_requests(stage, row).items()}
            failure = next((a for a in answers.values() if isinstance(a, Failure)), None)
            if failure is not None:
                failed.append(tally.fail(row, f"judge.{failure.reason}", failure.detail))
                continue
            good = {role: a for role, a in answers.items() if isinstance(a, Answer)}
            row = {**row, "rubric_score": None, "likelihood_gain": _gain(good)}
            if config.rubric is not None:
                row["rubric_score"], how = rubric_score(good["rubric"], config.rubric.levels)
                parsed[how] += 1
                if row["rubric_score"] is None:
                    failed.append(tally.fail(row, "judge.unparsable_rating", good["rubric"].text[:200]))
                    continue
            tally.kept += 1
            yield row
        write(work.output.failed, failed, columns_after("judge"), outcome=True)

    write(work.output.data, kept(), columns_after("judge"))
    rows_in = count(source)
    return tally.outcome(rows_in, rows_in, asked, {"ratings": dict(parsed)} if parsed else {})


def rubric_score(answer: Answer, levels: dict[str, float]) -> tuple[float | None, str]:
    """Mean level under the label probabilities; else the one label in the text; None for none or several."""
    if answer.label_log_probs:
        weights = {label: math.exp(p) for label, p in answer.label_log_probs.items() if label in levels}
        total = sum(weights.values())
        if total > 0:
            return sum(levels[label] * weight for label, weight in weights.items()) / total, "log_probabilities"
    # A word of its own: not the 1 of 10, of 1.5 or of 1/3.
    found = [n for n in levels if re.search(rf"(?<![\w.,/]){re.escape(n)}(?![\w/]|[.,]\d)", answer.text)]
    if len(found) == 1:
        return levels[found[0]], "text"
    return None, "unparsable"


def _gain(answers: dict[str, Answer]) -> float | None:
    given, alone = answers.get("given"), answers.get("alone")
    if given is None or alone is None or given.log_prob is None or alone.log_prob is None:
        return None
    return given.log_prob / max(1, given.scored_tokens) - alone.log_prob / max(1, alone.scored_tokens)


def _ask(work: Work, requests: Iterable[Request]) -> Asked:
    stage = work.stage
    assert stage.model is not None
    assert stage.model_name is not None
    asked = ask(
        requests, model=stage.model, name=stage.model_name, work_folder=work.output.folder, store=work.store,
        settings=work.settings, budget=work.budget, report=work.report,
    )  # fmt: skip
    total = asked.calls + asked.reused + len(asked.failures)
    if asked.failures and len(asked.failures) > work.settings.max_failed_ratio * total:
        reasons = Counter(f.reason for f in asked.failures.values()).most_common()
        detail = next(iter(asked.failures.values())).detail
        raise user_error(
            "too-many-failures",
            f"{stage.kind}: {len(asked.failures):,} of {total:,} requests failed "
            f"({', '.join(f'{reason} {n:,}' for reason, n in reasons)}); the last: {detail}",
            hint="answers so far are kept; mend the server and run again, or raise XIRECIPE_MAX_FAILED_RATIO",
        )
    return asked


class _Tally:
    """Counts outcomes while rows stream by."""

    def __init__(self) -> None:
        self.kept = 0
        self.dropped: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def drop(self, row: Row, reason: str, value: float | None, threshold: float | None, detail: str | None) -> Row:
        self.dropped[reason] += 1
        return {**row, "reason": reason, "value": value, "threshold": threshold, "detail": detail}

    def fail(self, row: Row, reason: str, detail: str) -> Row:
        self.failed[reason] += 1
        return {**row, "reason": reason, "detail": detail}

    def outcome(self, rows_in: int, asked: int, answers: Asked, facts: dict[str, Any]) -> Outcome:
        return Outcome(
            rows_in, asked, self.kept, dict(self.dropped), dict(self.failed), answers.calls, answers.reused,
            answers.prompt_tokens, answers.completion_tokens, facts,
        )  # fmt: skip
