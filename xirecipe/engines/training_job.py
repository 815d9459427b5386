"""What passes between the run and the process that trains: a folder with the lessons, and what became of them.

job.json         model, role, `learn`, threads, where checkpoints and the adapter go, and whether it lies there already
lessons.jsonl    {"prompt", "answer", "learn", "choices", "ends", "measured", "raw"}, one a line
progress.json    how far the training is
results.jsonl    one a line, in the lessons' order: a Result
facts.json       what was measured on the way
end.json         why it stopped early: a FatalModelError
engine.log       everything the engines print
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import TypeAdapter

from xirecipe.disk import write_whole
from xirecipe.engines.child import Handover
from xirecipe.recipe.learning import FineTune, JudgeFineTune, WriterFineTune
from xirecipe.recipe.models import EmbeddedModel, Model, VllmModel

_MODEL: TypeAdapter[Model] = TypeAdapter(Model)


@dataclass(frozen=True)
class TrainingLesson:
    """A prompt and its answer as texts. `choices` are the answers a rubric allows; none where an answer is free."""

    prompt: str
    answer: str
    learn: bool
    """Whether the model is trained on it."""
    choices: tuple[str, ...] = ()
    ends: bool = False
    """Of a student: whether the answer is all there is, so that the model learns to end there."""
    measured: bool = True
    """Whether its answer's log-probability is taken, with the adapter and without."""
    raw: bool = False
    """Whether a chat model reads the prompt as it stands, as it does where an answer is scored."""


@dataclass(frozen=True)
class Result:
    """What became of a lesson. Log-probabilities are natural logarithms, over all tokens of an answer."""

    tokens: int
    """Of the answer; where `too_long`, of prompt and answer together."""
    too_long: bool = False
    before: float | None = None
    after: float | None = None
    choices_before: dict[str, float] | None = None
    choices_after: dict[str, float] | None = None


@dataclass(frozen=True)
class TrainingJob(Handover):
    """Lessons for one model, and where the adapter goes."""

    model: EmbeddedModel | VllmModel
    role: Literal["writer", "judge", "student"]
    learn: FineTune
    threads: int
    checkpoints: Path
    adapter: Path
    trained: bool = False
    """Whether the adapter lies there: then lessons are measured, and nothing is learnt."""

    @property
    def lessons(self) -> Path:
        return self.folder / "lessons.jsonl"

    @property
    def progress(self) -> Path:
        return self.folder / "progress.json"

    @property
    def results(self) -> Path:
        return self.folder / "results.jsonl"

    @property
    def facts(self) -> Path:
        return self.folder / "facts.json"

    def write(self, lessons: Iterable[TrainingLesson]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_lines(self.lessons, (asdict(lesson) for lesson in lessons))
        data = {
            "model": self.model.model_dump(mode="json"),
            "role": self.role,
            "learn": self.learn.model_dump(mode="json"),
            "threads": self.threads,
            "checkpoints": str(self.checkpoints.absolute()),
            "adapter": str(self.adapter.absolute()),
            "trained": self.trained,
        }
        write_whole(self.job, json.dumps(data, ensure_ascii=False, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        data = json.loads(Handover(folder).job.read_text(encoding="utf-8"))
        model = _MODEL.validate_python(data["model"])
        assert isinstance(model, EmbeddedModel | VllmModel)
        kinds: dict[str, type[FineTune]] = {"writer": WriterFineTune, "judge": JudgeFineTune, "student": FineTune}
        return cls(
            folder=folder,
            model=model,
            role=data["role"],
            learn=kinds[data["role"]].model_validate(data["learn"]),
            threads=data["threads"],
            checkpoints=Path(data["checkpoints"]),
            adapter=Path(data["adapter"]),
            trained=data["trained"],
        )

    def read_lessons(self) -> list[TrainingLesson]:
        return [TrainingLesson(**{**line, "choices": tuple(line["choices"])}) for line in _read_lines(self.lessons)]

    def write_results(self, results: Iterable[Result], facts: dict[str, Any]) -> None:
        write_results(self.results, results)
        write_whole(self.facts, json.dumps(facts, ensure_ascii=False) + "\n")

    def read_results(self) -> list[Result]:
        return read_results(self.results)

    def report(self, done: int, total: int, unit: str) -> None:
        """Say how far it is, in the terms of `work.Progress`."""
        write_whole(self.progress, json.dumps({"done": done, "total": total, "unit": unit}))


def write_results(path: Path, results: Iterable[Result]) -> None:
    _write_lines(path, (asdict(result) for result in results))


def read_results(path: Path) -> list[Result]:
    return [Result(**line) for line in _read_lines(path)]


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _read_lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
