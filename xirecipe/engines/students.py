"""Students: one model fine-tuned on several sets of rows, kept by what it learnt, and what it makes of answers."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xirecipe.diagnostics import user_error
from xirecipe.disk import explained, write_whole
from xirecipe.engines.asking import Asked
from xirecipe.engines.embeddings import embed
from xirecipe.engines.evaluating import Judge
from xirecipe.engines.trainer import require_extra, train
from xirecipe.engines.training_job import Result, TrainingJob, TrainingLesson, read_results, write_results
from xirecipe.evaluating.answers import Answered
from xirecipe.evaluating.learning import (
    UNTRAINED,
    Examined,
    HeldOut,
    Lesson,
    Measured,
    Teacher,
    answer_files,
    columns,
    examined_rows,
    summarize,
)
from xirecipe.evaluating.results import Results
from xirecipe.fingerprint import SHORT, digest
from xirecipe.learned import GGUF, SAFETENSORS
from xirecipe.models.requests import Answer, Request
from xirecipe.recipe.evaluation import Bootstrap
from xirecipe.recipe.learning import FineTune
from xirecipe.recipe.models import Adapter, EmbeddedModel, Model, VllmModel

#: Raised by hand when the same lessons start to give another student.
REVISION = 1
_FACTS = "student.json"


@dataclass(frozen=True)
class Student:
    """A trained model, and what it and the model it was make of the answers held out, in their order."""

    model: EmbeddedModel | VllmModel
    facts: dict[str, Any]
    results: list[Result]


def examine(
    judge: Judge, teacher: Teacher, sets: Mapping[str, Sequence[Answered]], held_out: Sequence[HeldOut],
    bootstrap: Bootstrap,
) -> Results:  # fmt: skip
    """Train a student on every set, all on as many rows, and examine them and the model they were.

    Raises UserError: the extra `train` is missing, the weights cannot be had, or what `Judge.ask` raises.
    """
    students: dict[str, Student] = {}
    for name, rows in sets.items():
        lessons = [teacher.lesson(row.prompt, row.answer, row.language or "") for row in rows]
        students[name] = _student(judge, teacher, lessons, held_out)
    before = next(iter(students.values())).results
    places = [place for place, result in enumerate(before) if not result.too_long]
    if not places:
        message = f"every answer held out is, with its prompt, longer than the context of `{judge.name}`"
        raise user_error("nothing-to-measure", message, hint="a smaller `evaluate.students.max_answer_chars`")
    shown = [held_out[place] for place in places]
    questions = [teacher.question(one) for one in shown]
    models: dict[str, Model] = {UNTRAINED: judge.model} | {name: each.model for name, each in students.items()}
    asked = {name: replace(judge, model=model).ask(questions) for name, model in models.items()}
    answers = {name: _answers(each, questions, shown, teacher) for name, each in asked.items()}
    near = _similarities([one.answer for one in shown], answers, teacher)
    log_probs = {UNTRAINED: [result.before for result in before]}
    log_probs |= {name: [result.after for result in each.results] for name, each in students.items()}
    examined = [
        Examined(
            one,
            before[place].tokens,
            {name: Measured(_said(log_probs[name][place]), answers[name][n], near[name][n]) for name in models},
        )
        for n, (place, one) in enumerate(zip(places, shown, strict=True))
    ]
    summary = {
        "students": {name: each.facts for name, each in students.items()},
        "too_long": [one.id for one, result in zip(held_out, before, strict=True) if result.too_long],
        **summarize(examined, bootstrap),
        **_usage(list(asked.values())),
    }
    failed: Counter[str] = Counter(failure.reason for each in asked.values() for failure in each.failures.values())
    return Results(examined_rows(examined), columns(list(models)), summary, dict(failed), answer_files(examined))


def _said(log_prob: float | None) -> float:
    """What the training process says of every answer that fits the context."""
    assert log_prob is not None
    return log_prob


def _answers(
    asked: Asked, questions: Sequence[Request], held_out: Sequence[HeldOut], teacher: Teacher
) -> list[str | None]:
    """A model's own answers, cut as those held out are; None for a question that got none."""
    found = zip(map(asked.answer, questions), held_out, strict=True)
    return [teacher.cut(each.text, one.language) if isinstance(each, Answer) else None for each, one in found]


def _similarities(
    human: Sequence[str], answers: Mapping[str, Sequence[str | None]], teacher: Teacher
) -> dict[str, list[float | None]]:
    """Cosine of each answer to the one that a person wrote. A text that comes again is embedded once."""
    texts = list(dict.fromkeys([*human, *(text for own in answers.values() for text in own if text is not None)]))
    vectors = dict(zip(texts, embed(texts, teacher.config.embedding), strict=True))
    return {
        name: [
            None if text is None else float(vectors[right] @ vectors[text])
            for right, text in zip(human, own, strict=True)
        ]
        for name, own in answers.items()
    }


def _usage(asked: Sequence[Asked]) -> dict[str, int]:
    names = ("calls", "reused", "prompt_tokens", "completion_tokens")
    return {name: sum(getattr(each, name) for each in asked) for name in names}


def _student(judge: Judge, teacher: Teacher, lessons: Sequence[Lesson], held_out: Sequence[HeldOut]) -> Student:
    """The student of these lessons, trained where it is not kept, measured where these answers were not yet."""
    base = judge.model
    assert isinstance(base, EmbeddedModel | VllmModel)
    learn = teacher.config.learn
    # Said outright, so that a row that is too long for the context takes no step away.
    steps = learn.max_steps or learn.epochs * math.ceil(len(lessons) / learn.batch_size)
    learn = learn.model_copy(update={"max_steps": steps})
    taught = [TrainingLesson(one.prompt, one.answer, learn=True, ends=one.ends, measured=False) for one in lessons]
    asked = [teacher.lesson(one.instruction, one.answer, one.language) for one in held_out]
    measured = [TrainingLesson(one.prompt, one.answer, learn=False) for one in asked]
    fingerprint = _fingerprint(base, learn, lessons)
    folder = judge.store.root / "students" / fingerprint[:SHORT]
    judge.store.bring(folder)
    facts = _read(folder, fingerprint)
    exam = folder / f"measured-{digest([[one.prompt, one.answer] for one in asked])[:SHORT]}.jsonl"
    if facts is None or not exam.exists():
        require_extra()
        job = TrainingJob(
            folder=folder / "training", model=base, role="student", learn=learn, threads=judge.settings.workers,
            checkpoints=judge.store.checkpoints(fingerprint), adapter=folder / "adapter", trained=facts is not None,
        )  # fmt: skip
        # What a run that was killed left there; its checkpoints lie elsewhere.
        shutil.rmtree(job.folder, ignore_errors=True)
        with explained(folder):
            found = train(job, [*([] if job.trained else taught), *measured], judge.settings, judge.report)
            results = job.read_results()
            own, results = results[: -len(measured)], results[-len(measured) :]
            if facts is None:
                facts = {"fingerprint": fingerprint, **_facts(own, found, job, base)}
            shutil.rmtree(job.folder)
            write_results(exam, results)
            # Last: where it stands, the student is whole.
            write_whole(folder / _FACTS, json.dumps(facts, ensure_ascii=False, indent=2) + "\n")
            shutil.rmtree(job.checkpoints, ignore_errors=True)
        judge.store.keep(folder)
    return Student(_wearing(base, facts, folder / "adapter"), facts, read_results(exam))


def _fingerprint(base: EmbeddedModel | VllmModel, learn: FineTune, lessons: Sequence[Lesson]) -> str:
    """sha256 (hexadecimal) over what a student hangs on: the model, how it learns, and every lesson in its order."""
    learnt = [[one.prompt, one.answer, one.ends] for one in lessons]
    return digest([REVISION, base.identity, learn.model_dump(mode="json", exclude_defaults=True), learnt])


def _facts(own: Sequence[Result], found: dict[str, Any], job: TrainingJob, base: EmbeddedModel | VllmModel) -> Any:
    files = found.pop("files")
    weights = GGUF if GGUF in files else SAFETENSORS
    return {
        **found,
        "answer_tokens": sum(result.tokens for result in own if not result.too_long),
        "too_long": sum(result.too_long for result in own),
        "adapter": {"sha256": files[weights], "bytes": (job.adapter / weights).stat().st_size, "license": base.license},
    }


def _wearing(base: EmbeddedModel | VllmModel, facts: dict[str, Any], folder: Path) -> EmbeddedModel | VllmModel:
    where = folder / GGUF if isinstance(base, EmbeddedModel) else folder
    made = facts["adapter"]
    adapter = Adapter(path=str(where.absolute()), sha256=made["sha256"], license=made["license"])
    return base.model_copy(update={"adapter": adapter})


def _read(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """What a kept student says of itself; None where there is none, or another."""
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(facts, dict) and facts.get("fingerprint") == fingerprint
    return facts if whole and (folder / "adapter" / SAFETENSORS).is_file() else None
