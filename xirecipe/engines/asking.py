"""Everything between a list of requests and their answers, seen from the run: only what is missing is asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from xirecipe.diagnostics import Diagnostic, UserError, user_error
from xirecipe.digests import Digests
from xirecipe.disk import explained
from xirecipe.engines.child import check_ended_well, child, last_lines
from xirecipe.engines.job import Job
from xirecipe.models.completions import CompletionLog
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.recipe.models import Model
from xirecipe.settings import Settings
from xirecipe.spending import Spending
from xirecipe.store import Store
from xirecipe.work import Progress

_POLL_SECONDS = 0.2
#: Requests put in order at a time: bounds memory; a server keeps far fewer beginnings than these have.
_SORTED = 2_000


@dataclass(frozen=True)
class Asked:
    """What became of the requests: every one is in the log or in `failures`."""

    log: CompletionLog
    identity: dict[str, Any]
    failures: dict[str, Failure] = field(default_factory=dict)
    """By request key."""
    calls: int = 0
    """Answers received in this run."""
    reused: int = 0
    """Answers found in the log."""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def answer(self, request: Request) -> Answer | Failure:
        """The outcome of one of the requests. Raises KeyError for any other."""
        key = request.key(self.identity)
        outcome = self.failures.get(key) or self.log.get(key)
        if outcome is None:
            raise KeyError(f"never asked: {request}")
        return outcome


def ask(
    requests: Iterable[Request],
    *,
    model: Model,
    name: str,
    work_folder: Path,
    store: Store,
    settings: Settings,
    budget: Spending | None,
    report: Callable[[Progress], None],
) -> Asked:
    """Answers to all requests: those in the completion log as they are, the missing ones from the model.

    Equal requests are one. The asking happens in another process (`xirecipe.engines.distilabel`), which never outlives
    this one; no process is started when nothing is missing.

    Raises UserError when no request can succeed or the budget is reached, and KeyboardInterrupt; answers received until
    then are kept in each case. A RuntimeError is our bug.
    """
    identity = model.identity
    store.fetch_log(identity)
    log = CompletionLog(store.completions, identity)
    job = Job(work_folder / "asking", model, name, store.completions.absolute(), settings, budget)
    missing, seen = 0, Digests()
    on_ray = settings.executor == "ray"
    process: list[subprocess.Popen[bytes]] = []

    def unanswered() -> Iterator[tuple[str, Request]]:
        nonlocal missing
        for request in requests:
            key = request.key(identity)
            if seen.add(key) and key not in log:
                if not missing and not on_ray and not (budget and budget.reached()):
                    # Its imports take seconds, in which the other requests are written.
                    process.append(asks.enter_context(_asking(job)))
                missing += 1
                yield key, request

    def in_order() -> Iterator[tuple[str, Request]]:
        # What begins alike stands together: a server that keeps the beginnings of prompts reads shared exemplars once.
        rest = unanswered()
        while window := list(islice(rest, _SORTED)):
            yield from sorted(window, key=lambda keyed: keyed[1].prompt)

    shutil.rmtree(job.folder, ignore_errors=True)
    try:
        with ExitStack() as asks:
            with explained(job.folder):
                job.write(in_order())
            reused = len(seen) - missing
            if missing:
                if budget is not None and budget.reached():
                    raise _over_budget(budget, 0, missing)
                look = _looking(job, log, reused, len(seen), report, lambda: store.send_log(identity))
                if on_ray:
                    from xirecipe.engines.ray_asking import ask_on_ray

                    ask_on_ray(job, look)
                else:
                    _watch(job, process[0], look)
    finally:
        # Also where nothing was missing: an earlier run may have been killed before it sent its last answers.
        store.send_log(identity, now=True)
    log.refresh()
    asked = _outcome(job, log, identity, reused)
    if budget is not None:
        budget.add(name, asked.calls, asked.prompt_tokens, asked.completion_tokens)
    _raise_early_end(job, asked, missing, budget)
    unaccounted = missing - asked.calls - len(asked.failures)
    if unaccounted:
        raise RuntimeError(f"{unaccounted:,} requests have no outcome\n{last_lines(job.log)}")
    shutil.rmtree(job.folder)
    return asked


def _looking(
    job: Job, log: CompletionLog, reused: int, total: int, report: Callable[[Progress], None], sent: Callable[[], None]
) -> Callable[[], None]:
    """What is called again and again while others ask: says how far they are, and sends what they got."""
    before = len(log)

    def look() -> None:
        answered = log.refresh() - before
        sent()
        failed = _count_lines(job.failures)
        if not answered and not failed and job.waiting.exists():
            report(Progress(**json.loads(job.waiting.read_text(encoding="utf-8"))))
        else:
            report(Progress(reused + answered + failed, total, "answers"))

    return look


def _asking(job: Job) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The process that asks, started: it waits for the job to be written."""
    more = {
        "DISTILABEL_LOG_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
        "HF_DATASETS_CACHE": str(job.folder.absolute() / "datasets"),
        "TOKENIZERS_PARALLELISM": "false",
    }
    return child("xirecipe.engines.distilabel", job, job.settings, more)


def _watch(job: Job, process: subprocess.Popen[bytes], look: Callable[[], None]) -> None:
    """Wait for the asking process to end. RuntimeError when it ends badly."""
    ended = False
    while not ended:
        time.sleep(_POLL_SECONDS)
        # Asked before the counts are read, so that the last report is of everything.
        ended = process.poll() is not None
        look()
    check_ended_well(process, job, "asking")


def _outcome(job: Job, log: CompletionLog, identity: dict[str, Any], reused: int) -> Asked:
    calls = prompt_tokens = completion_tokens = 0
    for answer in filter(None, (log.get(key) for key, _ in job.places())):
        calls += 1
        prompt_tokens += answer.prompt_tokens
        completion_tokens += answer.completion_tokens
    return Asked(log, identity, job.read_failures(), calls, reused, prompt_tokens, completion_tokens)


def _raise_early_end(job: Job, asked: Asked, missing: int, budget: Spending | None) -> None:
    end = job.read_end()
    if end is None:
        return
    if end["why"] == "budget":
        assert budget is not None
        raise _over_budget(budget, asked.calls, missing - asked.calls - len(asked.failures))
    if end["why"] == "bug":
        raise RuntimeError(f"asking failed\n{end['traceback']}")
    kept = asked.calls + asked.reused
    note = f"{kept:,} answers are kept; running again asks only for the rest" if kept else "no answer was received"
    raise UserError([Diagnostic(end["code"], end["message"], None, end["hint"], (note,))])


def _over_budget(budget: Spending, calls: int, left: int) -> UserError:
    return user_error(
        "budget-reached",
        f"the budget of a run is spent: {budget}; {left:,} requests are left",
        hint=f"all answers ({calls:,} of this stage) are kept: raise `budget`, or run again to go on with a fresh one",
    )


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 16), b""))
