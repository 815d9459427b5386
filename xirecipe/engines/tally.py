"""What the model stages share: asking with a bound on failures, and counting outcomes while rows stream by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from xirecipe.columns import Column
from xirecipe.diagnostics import user_error
from xirecipe.engines.asking import Asked, ask
from xirecipe.learned import model_of
from xirecipe.models.requests import Request
from xirecipe.stage import Outcome, Stage, Work
from xirecipe.tables import Row, write


class Tally:
    """Counts outcomes, and keeps the rows that do not stay until the stage writes them."""

    def __init__(self) -> None:
        self.kept = 0
        self.dropped: list[Row] = []
        self.failed: list[Row] = []
        self._answers: list[Asked] = []

    def drop(self, row: Row, reason: str, value: float | None, threshold: float | None, detail: str | None) -> None:
        self.dropped.append({**row, "reason": reason, "value": value, "threshold": threshold, "detail": detail})

    def fail(self, row: Row, reason: str, detail: str) -> None:
        self.failed.append({**row, "reason": reason, "detail": detail})

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
        total = asked.calls + asked.reused + len(asked.failures)
        if asked.failures and len(asked.failures) > work.settings.max_failed_ratio * total:
            reasons = Counter(f.reason for f in asked.failures.values()).most_common()
            detail = next(iter(asked.failures.values())).detail
            raise user_error(
                "too-many-failures",
                f"{work.stage.label}: {len(asked.failures):,} of {total:,} requests failed "
                f"({', '.join(f'{reason} {n:,}' for reason, n in reasons)}); the last: {detail}",
                hint="answers so far are kept; mend the server and run again, or raise XIRECIPE_MAX_FAILED_RATIO",
            )
        return asked

    def write(self, work: Work, columns: list[Column]) -> None:
        """Write down what did not stay."""
        write(work.output.dropped, self.dropped, columns, outcome=True)
        write(work.output.failed, self.failed, columns, outcome=True)

    def outcome(self, rows_in: int, asked: int, facts: dict[str, Any]) -> Outcome:
        counted = Outcome(rows_in, asked, self.kept, _counts(self.dropped), _counts(self.failed), facts=facts)
        return replace(
            counted,
            calls=sum(a.calls for a in self._answers),
            reused=sum(a.reused for a in self._answers),
            prompt_tokens=sum(a.prompt_tokens for a in self._answers),
            completion_tokens=sum(a.completion_tokens for a in self._answers),
        )


def _counts(rows: list[Row]) -> dict[str, int]:
    return dict(Counter(row["reason"] for row in rows))
