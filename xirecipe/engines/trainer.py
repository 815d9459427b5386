"""The process that trains, seen from the run: started, watched, and its end read."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from xirecipe.diagnostics import user_error
from xirecipe.disk import explained
from xirecipe.engines.child import check_ended_well, child
from xirecipe.engines.memory import KEEP_MEMORY
from xirecipe.engines.training_job import TrainingJob, TrainingLesson
from xirecipe.settings import Settings
from xirecipe.work import Progress

_POLL_SECONDS = 0.2
#: What the process imports, by the names under which it is installed.
_NEEDED = ("torch", "transformers", "trl", "peft", "gguf", "safetensors")


def require_extra() -> None:
    """Raises UserError where the packages that train are not installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise user_error(
            "no-train-extra",
            f"`learn: {{method: fine_tune}}` needs packages that are not installed: {', '.join(missing)}",
            hint='pip install "xirecipe[train]"; without a GPU, torch\'s CPU build first, as pytorch.org says',
        )


def train(
    job: TrainingJob, lessons: Iterable[TrainingLesson], settings: Settings, report: Callable[[Progress], None]
) -> dict[str, Any]:
    """Run the training process to its end; what it found on the way. Lessons' results are the job's.

    Raises UserError where the weights cannot be had or nothing is left to learn from; a RuntimeError is our bug.
    """
    with explained(job.folder):
        job.write(lessons)
        job.checkpoints.mkdir(parents=True, exist_ok=True)
    more = {
        **KEEP_MEMORY,
        "PYTHONWARNINGS": "ignore",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_CACHE": str(job.folder.absolute() / "datasets"),
    }
    with child("xirecipe.engines.finetune", job, settings, more) as process:
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
            if job.progress.exists():
                report(Progress(**json.loads(job.progress.read_text(encoding="utf-8"))))
    if job.end.exists():
        end = json.loads(job.end.read_text(encoding="utf-8"))
        raise user_error(end["code"], end["message"], hint=end["hint"])
    check_ended_well(process, job, "training")
    facts: dict[str, Any] = json.loads(job.facts.read_text(encoding="utf-8"))
    return facts
