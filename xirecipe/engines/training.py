"""train: seed pairs become lessons, lessons an adapter; pairs held out, and some more, are measured twice."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from typing import Any

from xirecipe.columns import TRAIN_COLUMNS
from xirecipe.engines.best import drafts_of, whole
from xirecipe.engines.calibration import measured
from xirecipe.engines.judging import rubric_score
from xirecipe.engines.tally import Tally
from xirecipe.engines.trainer import require_extra, train
from xirecipe.engines.training_job import Result, TrainingJob, TrainingLesson
from xirecipe.fingerprint import digest
from xirecipe.learned import GGUF, SAFETENSORS
from xirecipe.lessons import Lesson, lessons_of
from xirecipe.models.requests import Answer
from xirecipe.pairs import BEST_ROWS
from xirecipe.recipe.generation import Judge
from xirecipe.recipe.learning import FineTune
from xirecipe.recipe.models import EmbeddedModel, VllmModel
from xirecipe.refining import is_last, learnt_candidates
from xirecipe.stage import Stage
from xirecipe.tables import Row, read, write
from xirecipe.work import Outcome, Work

#: Of the pairs learnt from about so many are measured; of those held out, all. Measuring takes as long as learning.
MOST_LEARNT_MEASURED = 256
#: Why a pair is not learnt from: with its answer it is longer than the model's context.
TOO_LONG = "context_tokens"


def run_train(work: Work) -> Outcome:
    """Pairs in, pairs out, with log-probabilities before and after. The adapter lies beside them.

    In a refining round the best candidates before it are pairs, too; where the round is not to be, nothing is trained.

    Raises UserError when the extra is missing, the weights cannot be had, or no pair is left to learn from.
    """
    stage, config = work.stage, work.stage.config
    assert isinstance(config, FineTune)
    assert isinstance(stage.model, EmbeddedModel | VllmModel)
    best = _best_rows(work)
    if best is None:
        # The round after it only passes its candidates on.
        return Outcome(0, 0, 0, facts={"stopped": True})
    require_extra()
    rating_set = work.inputs.get("rating_set")
    lessons, left_out = lessons_of(stage, read(rating_set.data) if rating_set else (), best)
    tally = Tally(work)
    for each in left_out:
        tally.drop(each.row, each.reason, None, None, each.detail)
    job = TrainingJob(
        folder=work.output.folder / "training",
        model=stage.model,
        role="writer" if stage.role == "writer" else "judge",
        learn=config,
        threads=work.settings.workers,
        checkpoints=work.store.checkpoints(stage.fingerprint),
        adapter=work.output.adapter,
    )
    facts = train(job, _as_texts(stage, lessons), work.settings, work.report)
    results = job.read_results()
    tally.kept = write(work.output.data, _rows(stage, lessons, results, tally), TRAIN_COLUMNS)
    tally.close()
    files = facts.pop("files")
    own = GGUF if GGUF in files else SAFETENSORS
    facts["adapter"] = {
        "sha256": files[own],
        "files": files,
        "bytes": (work.output.adapter / own).stat().st_size,
        "license": stage.model.license,
    }
    facts["model_license"] = stage.model.license
    facts |= _before_and_after(stage, lessons, results)
    if stage.best_by is not None:
        both = zip(lessons, results, strict=True)
        facts["best_rows"] = sum(lesson.row["seed"] == BEST_ROWS for lesson, result in both if not result.too_long)
    shutil.rmtree(job.folder)
    rows_in = len(lessons) + len(left_out)
    return tally.outcome(rows_in, rows_in, facts)


def _best_rows(work: Work) -> list[Row] | None:
    """What a round's writer learns besides pairs; nothing for other trainings. None where there is no such round."""
    stage = work.stage
    if stage.best_by is None:
        return []
    previous = work.inputs[stage.inputs[0].slot]
    if is_last(previous.manifest().facts.get("round"), stage.best_by):
        return None
    return whole(previous.data, learnt_candidates(drafts_of(previous.data, stage.best_by), stage.best_by))


def _as_texts(stage: Stage, lessons: Sequence[Lesson]) -> list[TrainingLesson]:
    asks = stage.teaches
    assert asks is not None
    labels = tuple(asks.config.rubric.levels) if isinstance(asks.config, Judge) and asks.config.rubric else ()
    measured = _measured_pairs(lessons)
    return [
        TrainingLesson(
            each.prompt, each.answer, each.row["part"] == "learn", labels, measured=_pair(each.row) in measured,
            raw=each.raw,
        )
        for each in lessons
    ]  # fmt: skip


def _pair(row: Row) -> tuple[str, ...]:
    return row["seed"], row["language"], row["pair_id"]


def _measured_pairs(lessons: Sequence[Lesson]) -> set[tuple[str, ...]]:
    """Pairs held out, and of those learnt from some by hash, all levels of a pair together."""
    rows_of = Counter(_pair(each.row) for each in lessons if each.row["part"] == "learn")
    chosen = {_pair(each.row) for each in lessons if each.row["part"] == "held_out"}
    rows = 0
    for pair in sorted(rows_of, key=digest):
        if rows >= MOST_LEARNT_MEASURED:
            break
        rows += rows_of[pair]
        chosen.add(pair)
    return chosen


def _rows(stage: Stage, lessons: Sequence[Lesson], results: Sequence[Result], tally: Tally) -> list[Row]:
    """Lessons with what was measured of them; those that were too long go to the tally."""
    assert isinstance(stage.model, EmbeddedModel | VllmModel)
    is_embedded = isinstance(stage.model, EmbeddedModel)
    most = stage.model.context_tokens if isinstance(stage.model, EmbeddedModel) else stage.model.max_model_tokens
    kept: list[Row] = []
    for lesson, result in zip(lessons, results, strict=True):
        if result.too_long:
            limit = None if most is None else float(most)
            reason = TOO_LONG if is_embedded else "max_model_tokens"
            tally.drop(lesson.row, reason, float(result.tokens), limit, "tokens of prompt and answer")
            continue
        row = {"tokens": result.tokens, "log_prob_before": result.before, "log_prob_after": result.after}
        kept.append({**lesson.row, **row})
    return kept


def _before_and_after(stage: Stage, lessons: Sequence[Lesson], results: Sequence[Result]) -> dict[str, Any]:
    """Nats a token of the answers held out and of those learnt; of an evaluator, its accuracy and AUC, too."""
    fit = [(lesson, result) for lesson, result in zip(lessons, results, strict=True) if not result.too_long]
    both = [(lesson, result) for lesson, result in fit if result.before is not None]
    facts: dict[str, Any] = {}
    for part in ("learn", "held_out"):
        own = [result for lesson, result in both if lesson.row["part"] == part]
        tokens = sum(result.tokens for result in own)
        facts[part] = {
            "pairs": sum(lesson.row["part"] == part for lesson, _ in fit),
            "measured": len(own),
            "tokens": tokens,
            "nats_before": _nats([r.before for r in own], tokens),
            "nats_after": _nats([r.after for r in own], tokens),
        }
    asks = stage.teaches
    assert asks is not None
    if isinstance(asks.config, Judge) and asks.config.rubric is not None:
        rows = [lesson.row for lesson, _ in both]
        levels = asks.config.rubric.levels
        for when, found in (
            ("before", [r.choices_before for _, r in both]),
            ("after", [r.choices_after for _, r in both]),
        ):
            scores = [rubric_score(Answer(label_log_probs=each), levels)[0] for each in found]
            facts[f"evaluator_{when}"] = _by_language(stage, rows, scores, trained=when == "after")
    return facts


def _by_language(stage: Stage, rows: Sequence[Row], scores: Sequence[float | None], *, trained: bool) -> dict[str, Any]:
    """How good an evaluator is in the recipe's language; and under `languages` in the others it learnt from."""
    parts: dict[str, list[tuple[Row, float | None]]] = {stage.language.code: []}
    for row, score in zip(rows, scores, strict=True):
        parts.setdefault(row["language"], []).append((row, score))
    found = {
        code: measured([row for row, _ in part], [score for _, score in part], trained=trained)
        for code, part in parts.items()
    }
    own = found.pop(stage.language.code)
    return {**own, "languages": found} if found else own


def _nats(log_probs: Sequence[float | None], tokens: int) -> float | None:
    """-log p a token; None where there are no tokens."""
    return round(-sum(value or 0.0 for value in log_probs) / tokens, 6) if tokens else None
