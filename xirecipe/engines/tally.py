"""What the model stages share: asking with a bound on failures, and counting outcomes while rows stream by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from xirecipe.diagnostics import user_error
from xirecipe.engines.asking import Asked, ask
from xirecipe.learned import model_of
from xirecipe.models.requests import Request
from xirecipe.settings import Settings
from xirecipe.stage import Stage
from xirecipe.tables import Row, Writer
from xirecipe.work import Outcome, Work


class Tally:
    """Counts outcomes, and writes the rows that do not stay as they come: a million would not fit into memory."""

    def __init__(self, work: Work) -> None:
        self.kept = 0
        columns = work.stage.columns
        self._dropped = Writer(work.output.dropped, columns, outcome=True)
        self._failed = Writer(work.output.failed, columns, outcome=True)
        self._reasons: tuple[Counter[str], Counter[str]] = Counter(), Counter()
        self._answers: list[Asked] = []

    def drop(self, row: Row, reason: str, value: float | None, threshold: float | None, detail: str | None) -> None:
        self._dropped.add({**row, "reason": reason, "value": value, "threshold": threshold, "detail": detail})
        self._reasons[0][reason] += 1

    def fail(self, row: Row, reason: str, detail: str) -> None:
        self._failed.add({**row, "reason": reason, "detail": detail})
        self._reasons[1][reason] += 1

    def ask(self, work: Work, stage: Stage, requests: Iterable[Request]) -> Asked:
        """The model's answers. `stage` says which model; a refining round asks for the stages before it.

        Raises UserError `too-many-failures`; answers until then are kept.
        """
        model = model_of(stage, work.store)
        assert model is not None
        assert stage.model_name is not None
        asked = ask(
            requests, model=model, name=stage.model_name, work_folder=work.output.folder, store=work.store,
            settings=work.settings, budget=work.budget, report=work.report,
        )  # fmt: skip
        self._answers.append(asked)
        require_answers(asked, work.stage.label, work.settings)
        return asked

    def close(self) -> None:
        """Write down the last of what did not stay."""
        self._dropped.close()
        self._failed.close()

    def outcome(self, rows_in: int, asked: int, facts: dict[str, Any]) -> Outcome:
        dropped, failed = map(dict, self._reasons)
        counted = Outcome(rows_in, asked, self.kept, dropped, failed, facts=facts)
        return replace(
            counted,
            calls=sum(a.calls for a in self._answers),
            reused=sum(a.reused for a in self._answers),
            prompt_tokens=sum(a.prompt_tokens for a in self._answers),
            completion_tokens=sum(a.completion_tokens for a in self._answers),
        )


def require_answers(asked: Asked, who: str, settings: Settings) -> None:
    """Raises UserError `too-many-failures` where more requests got no answer than the settings allow.

    `who` asked: a stage's label, or a command.
    """
    total = asked.calls + asked.reused + len(asked.failures)
    if len(asked.failures) <= settings.max_failed_ratio * total:
        return
    reasons = Counter(failure.reason for failure in asked.failures.values()).most_common()
    first = next(iter(asked.failures.values()))
    raise user_error(
        "too-many-failures",
        f"{who}: {len(asked.failures):,} of {total:,} requests failed "
        f"({', '.join(f'{reason} {n:,}' for reason, n in reasons)}); the first: {first.detail}",
        hint="answers so far are kept; mend the server and run again, or raise XIRECIPE_MAX_FAILED_RATIO",
    )
