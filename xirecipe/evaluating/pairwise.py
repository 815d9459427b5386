"""Two sets of answers compared by a judge, each pair in both orders (X-Instruction, arXiv 2405.19744).

The judge writes a whole number from 0 to 10 for each answer. A row's scores are the means over its two orders; the side
with the higher one wins, equal ones tie. A row of which one order has no readable scores is not judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

from xirecipe.evaluating.answers import Pair
from xirecipe.evaluating.fencing import fenced
from xirecipe.evaluating.judging import Questioner, Unparsable, reply_of
from xirecipe.evaluating.statistics import Resampled
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.recipe.evaluation import Bootstrap

#: Raised by hand when the same replies start to give other verdicts.
REVISION = 1
HIGHEST = 10

Order = Literal["ab", "ba"]
Verdict = Literal["win", "tie", "loss"]
"""Of A."""

_TAG = r"<\s*{slash}score_{n}\s*>"
_ONE = [_TAG.format(slash="", n=n) + r"([^<]*)" + _TAG.format(slash=r"/\s*", n=n) for n in (1, 2)]
_SCORES = re.compile(rf"{_ONE[0]}\s*{_ONE[1]}", re.IGNORECASE)
_ANY_TAG = re.compile(_TAG.format(slash=r"/?\s*", n="[12]"), re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """What one order of a pair came to."""

    order: Order
    reply: str
    score_a: int | None = None
    score_b: int | None = None
    reason: str | None = None
    """Why there are no scores."""
    detail: str | None = None

    @property
    def verdict(self) -> Verdict | None:
        return None if self.score_a is None or self.score_b is None else verdict(self.score_a, self.score_b)


@dataclass(frozen=True)
class Judged:
    """One pair after both orders. Scores and verdict are None where an order has no scores."""

    pair: Pair
    readings: tuple[Reading, Reading]

    @property
    def scores(self) -> tuple[float, float] | None:
        """Mean over both orders, of A and of B."""
        a = [r.score_a for r in self.readings if r.score_a is not None]
        b = [r.score_b for r in self.readings if r.score_b is not None]
        return (fmean(a), fmean(b)) if len(a) == len(b) == len(self.readings) else None

    @property
    def verdict(self) -> Verdict | None:
        return None if self.scores is None else verdict(*self.scores)


def verdict(a: float, b: float) -> Verdict:
    """Of A, from scores that are exact: whole numbers, or halves of them."""
    return "win" if a > b else "loss" if a < b else "tie"


def pairwise_requests(questioner: Questioner, pair: Pair) -> dict[Order, Request]:
    """The two questions about a pair. The texts are fenced: no answer can hold scores that would be read."""
    prompt, a, b = (fenced(text) for text in (pair.a.prompt, pair.a.answer, pair.b.answer))
    orders: tuple[tuple[Order, str, str], ...] = (("ab", a, b), ("ba", b, a))
    return {
        order: questioner.request(pair.a, {"prompt": prompt, "first": first, "second": second})
        for order, first, second in orders
    }


def parse_scores(reply: str) -> tuple[int, int]:
    """The scores of the answers shown first and second, from the last two tags of a reply.

    Raises Unparsable: `no_scores`, `malformed_scores`, `not_a_whole_number`, `out_of_range`.
    """
    found = list(_SCORES.finditer(reply))
    tags = list(_ANY_TAG.finditer(reply))
    if not tags:
        raise Unparsable("no_scores", reply[-200:])
    # A torn pair at the end is not passed over for an earlier whole one, which the judge may have quoted.
    if not found or found[-1].end() != tags[-1].end():
        raise Unparsable("malformed_scores", reply[tags[-1].start() - 100 if tags[-1].start() > 100 else 0 :][:200])
    first, second = (_score(text) for text in found[-1].groups())
    return first, second


def _score(text: str) -> int:
    text = text.strip()
    # Not str.isdigit() and int(): they take digits of other scripts and `1_0`.
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise Unparsable("not_a_whole_number", text[:200])
    # Compared as text first: Python refuses to read thousands of digits.
    if len(text) > 4 or not 0 <= int(text) <= HIGHEST:
        raise Unparsable("out_of_range", text[:200])
    return int(text)


def judge_pair(pair: Pair, outcomes: dict[Order, Answer | Failure]) -> Judged:
    """Both orders of a pair, read."""
    return Judged(pair, (_read("ab", outcomes["ab"]), _read("ba", outcomes["ba"])))


def _read(order: Order, outcome: Answer | Failure) -> Reading:
    text = outcome.text if isinstance(outcome, Answer) else ""
    try:
        first, second = parse_scores(reply_of(outcome))
    except Unparsable as error:
        return Reading(order, text, reason=error.reason, detail=str(error))
    a, b = (first, second) if order == "ab" else (second, first)
    return Reading(order, text, a, b)


def summarize(judged: Sequence[Judged], bootstrap: Bootstrap) -> dict[str, Any]:
    """Rates, mean scores and position bias over judged rows, and what failed by reason.

    `win_rate` is wins of A / judged rows; `mean_first_shown_advantage` is in points of the score.
    """
    done = [row for row in judged if row.verdict is not None]
    reasons = Counter(reading.reason for row in judged for reading in row.readings if reading.reason is not None)
    verdicts = Counter(row.verdict for row in done)
    summary: dict[str, Any] = {
        "pairs": len(judged),
        "judged": len(done),
        "not_judged": len(judged) - len(done),
        "failed_replies": dict(reasons.most_common()),
        "win": verdicts["win"],
        "tie": verdicts["tie"],
        "loss": verdicts["loss"],
    }
    if done:
        columns: dict[str, list[float]] = {
            "win_rate": [row.verdict == "win" for row in done],
            "tie_rate": [row.verdict == "tie" for row in done],
            "loss_rate": [row.verdict == "loss" for row in done],
            "mean_score_a": [_scores(row)[0] for row in done],
            "mean_score_b": [_scores(row)[1] for row in done],
            "mean_difference": [_scores(row)[0] - _scores(row)[1] for row in done],
            "orders_disagree_rate": [row.readings[0].verdict != row.readings[1].verdict for row in done],
            "mean_first_shown_advantage": [_first_shown_advantage(row) for row in done],
        }
        summary |= {name: asdict(estimate) for name, estimate in Resampled(columns, bootstrap).means().items()}
    return summary


def _scores(row: Judged) -> tuple[float, float]:
    assert row.scores is not None
    return row.scores


def _first_shown_advantage(row: Judged) -> float:
    """Mean score of the answer shown first, minus that of the one shown second, over both orders."""
    ab, ba = row.readings
    assert ab.score_a is not None
    assert ab.score_b is not None
    assert ba.score_a is not None
    assert ba.score_b is not None
    return ((ab.score_a - ab.score_b) + (ba.score_b - ba.score_a)) / 2


def verdict_rows(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """One row for each pair and order."""
    return [
        {
            "prompt_id": row.pair.name,
            "language": row.pair.a.language,
            "prompt": row.pair.a.prompt,
            "order": reading.order,
            "reply": reading.reply,
            "score_a": reading.score_a,
            "score_b": reading.score_b,
            "reason": reading.reason,
            "detail": reading.detail,
            "order_verdict": reading.verdict,
            "verdict": row.verdict,
        }
        for row in judged
        for reading in row.readings
    ]


#: Parquet types of `verdict_rows`, by column.
COLUMNS: dict[str, str] = {
    "prompt_id": "string", "language": "string", "prompt": "string", "order": "string", "reply": "string",
    "score_a": "int64", "score_b": "int64", "reason": "string", "detail": "string", "order_verdict": "string",
    "verdict": "string",
}  # fmt: skip
