"""One set of answers, each rated in several aspects by a judge (the zero-shot study, arXiv 2402.14778).

The judge writes a JSON object with a whole number for each aspect. The study's rules are enforced on what it wrote, and
counted where they changed something: an answer of the lowest fluency is lowest in helpfulness, accuracy and coherence.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from xirecipe.evaluating.answers import Answered
from xirecipe.evaluating.fencing import fenced, without_keys
from xirecipe.evaluating.judging import Questioner, Unparsable, reply_of
from xirecipe.evaluating.statistics import Resampled
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.recipe.evaluation import Aspects, Bootstrap

#: Raised by hand when the same replies start to give other scores.
REVISION = 1


@dataclass(frozen=True)
class Rated:
    """One answer's scores by aspect, after the rules; empty where the reply had none."""

    row: Answered
    reply: str
    scores: dict[str, int] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)
    """As the judge wrote them."""
    reason: str | None = None
    detail: str | None = None

    @property
    def forced(self) -> bool:
        """Whether a rule changed what the judge wrote."""
        return self.scores != self.given


def aspects_request(questioner: Questioner, config: Aspects, row: Answered) -> Request:
    """The question about one answer. The texts are fenced: no answer can hold scores that would be read."""
    prompt, answer = (without_keys(fenced(text), config.names) for text in (row.prompt, row.answer))
    return questioner.request(row, {"prompt": prompt, "answer": answer, "aspects": config.names})


def rate(row: Answered, outcome: Answer | Failure, config: Aspects) -> Rated:
    """One reply, read, with the rules applied."""
    text = outcome.text if isinstance(outcome, Answer) else ""
    try:
        given = parse_aspects(reply_of(outcome), config)
    except Unparsable as error:
        return Rated(row, text, reason=error.reason, detail=str(error))
    return Rated(row, text, enforce(given, config), given)


def parse_aspects(reply: str, config: Aspects) -> dict[str, int]:
    """Score by aspect, from the last JSON object of a reply. Keys that are no aspects are passed over.

    Raises Unparsable: `no_json`, `repeated_aspect`, `missing_aspect`, `not_a_whole_number`, `out_of_range`.
    """
    found = _last_object(reply)
    if found is None:
        raise Unparsable("no_json", reply[-200:])
    pairs, source = found
    scores: dict[str, int] = {}
    for name, value in pairs:
        # Keys count as they are written: `"\u0066luency"` passes the fence around an answer that the judge may quote.
        if name not in config.names or f'"{name}"' not in source:
            continue
        if name in scores:
            raise Unparsable("repeated_aspect", name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unparsable("not_a_whole_number", f"{name}: {value!r}"[:200])
        if not config.lowest <= value <= config.highest:
            raise Unparsable("out_of_range", f"{name}: {value!r}"[:200])
        scores[name] = value
    missing = [name for name in config.names if name not in scores]
    if missing:
        raise Unparsable("missing_aspect", ", ".join(missing))
    return {name: scores[name] for name in config.names}


def enforce(scores: dict[str, int], config: Aspects) -> dict[str, int]:
    """Scores under the rules: where an aspect is lowest, so are those it forces."""
    forced = {name for cause, names in config.forces.items() if scores.get(cause) == config.lowest for name in names}
    return {name: config.lowest if name in forced else score for name, score in scores.items()}


def summarize(rated: Sequence[Rated], config: Aspects, bootstrap: Bootstrap) -> dict[str, Any]:
    """Mean, interval and share of the lowest score for each aspect over the rated answers, and failures by reason."""
    done = [row for row in rated if row.reason is None]
    reasons = Counter(row.reason for row in rated if row.reason is not None)
    summary: dict[str, Any] = {
        "answers": len(rated),
        "rated": len(done),
        "not_rated": len(rated) - len(done),
        "failed_replies": dict(reasons.most_common()),
        "forced_by_rules": sum(row.forced for row in done),
    }
    if done:
        found = Resampled({name: [row.scores[name] for row in done] for name in config.names}, bootstrap).means()
        summary["aspects"] = {
            name: {**asdict(found[name]), "lowest_rate": sum(r.scores[name] == config.lowest for r in done) / len(done)}
            for name in config.names
        }
    return summary


def rated_rows(rated: Sequence[Rated], config: Aspects) -> list[dict[str, Any]]:
    """One row for each answer: `score_*` after the rules, `given_*` as the judge wrote them."""
    return [
        {
            "prompt_id": row.row.name,
            "language": row.row.language,
            "prompt": row.row.prompt,
            "reply": row.reply,
            "reason": row.reason,
            "detail": row.detail,
            "forced": row.forced,
            **{f"score_{name}": row.scores.get(name) for name in config.names},
            **{f"given_{name}": row.given.get(name) for name in config.names},
        }
        for row in rated
    ]


def columns(config: Aspects) -> dict[str, str]:
    """Parquet types of `rated_rows`, by column."""
    return {
        "prompt_id": "string", "language": "string", "prompt": "string", "reply": "string", "reason": "string",
        "detail": "string", "forced": "bool",
        **{f"{kind}_{name}": "int64" for kind in ("score", "given") for name in config.names},
    }  # fmt: skip


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written, repeated keys kept."""


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs)


def _last_object(text: str) -> tuple[_Pairs, str] | None:
    """The last JSON object of a text that is not inside another one, and its source; None where that one is broken.

    A broken one is not passed over for an earlier whole one, which the judge may have quoted.
    """
    last: tuple[_Pairs, str] | None = None
    at = text.find("{")
    while at >= 0:
        try:
            value, end = _DECODER.raw_decode(text, at)
            last = value, text[at:end]
        except (ValueError, RecursionError):
            last, end = None, at + 1
        at = text.find("{", end)
    return last
