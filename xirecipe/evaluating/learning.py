"""Does a dataset help? Rows -> what students learn -> what answers held out, and the students' own, come to. Pure.

Two sets are compared by as many rows of each language; of each row the prompt and the answer's first characters are
learnt. A student is measured by how probable it finds answers that people wrote, in nats per token, and by the cosine
of its own answers to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from xirecipe.diagnostics import user_error
from xirecipe.evaluating.answers import Answered
from xirecipe.evaluating.statistics import Resampled
from xirecipe.fingerprint import digest
from xirecipe.models.requests import Request
from xirecipe.pairs import Pair
from xirecipe.prompts import TemplateError, continued, render
from xirecipe.recipe.evaluation import Bootstrap, Students
from xirecipe.recipe.language import Language
from xirecipe.recipe.models import Sampling
from xirecipe.selecting import fold
from xirecipe.sentences import cut_at_sentence

#: Raised by hand when the same rows start to give other numbers.
REVISION = 1
#: The model as it was, beside the sets: `a`, `b`.
UNTRAINED = "untrained"
#: Why a row is not learnt from; what is over `rows`, or over what the other set has, is counted as `not_drawn`.
NO_LANGUAGE, OTHER_LANGUAGE, EMPTY, HELD_OUT, DUPLICATE, NOT_DRAWN = (
    "no_language", "other_language", "empty", "held_out", "duplicate", "not_drawn",
)  # fmt: skip


@dataclass(frozen=True)
class HeldOut:
    """An answer that a person wrote for an instruction, which no student sees before."""

    id: str
    """Of all languages: `swh_Latn/seed-001`."""
    language: str
    instruction: str
    answer: str
    """Cut as students' answers are."""


@dataclass(frozen=True)
class Lesson:
    """A prompt and the answer behind it, as a student learns it."""

    prompt: str
    answer: str
    ends: bool
    """Whether the answer is whole: where it was cut, its end is none to learn."""


@dataclass(frozen=True)
class Drawn:
    """The rows that students learn, in one order of languages, and how many are left out, by set and reason."""

    rows: dict[str, list[Answered]]
    counts: dict[str, int]
    """Rows of each set, by language."""
    left_out: dict[str, dict[str, int]]


class Teacher:
    """Makes prompts and lessons by a recipe's `evaluate.students`."""

    def __init__(self, config: Students, template: str, languages: Mapping[str, Language], *, chat: bool) -> None:
        """`languages` are the facts of those that have answers held out."""
        self.config, self.template, self.languages = config, template, languages
        self._chat = chat

    def prompt(self, instruction: str, language: str) -> str:
        """Raises UserError for a template that fails on the instruction."""
        try:
            return render(self.template, {"instruction": instruction, "language": self.languages[language]})
        except TemplateError as error:
            raise user_error("bad-prompt", f"{self.config.prompt}: {error}") from None

    def lesson(self, instruction: str, answer: str, language: str) -> Lesson:
        prompt, cut = self.prompt(instruction, language), self.cut(answer, language)
        # A base model goes on in the prompt's line; a chat model begins its own turn.
        return Lesson(prompt, cut if self._chat else continued(prompt, cut), ends=cut == answer.strip())

    def cut(self, answer: str, language: str) -> str:
        """The part of an answer that is learnt, measured and compared."""
        return cut_at_sentence(answer.strip(), self.config.max_answer_chars, self.languages[language].sentence_enders)

    def question(self, held_out: HeldOut) -> Request:
        """Asks for a student's own answer, word after word the most probable."""
        sampling = Sampling(temperature=0, max_tokens=self.config.max_tokens)
        return Request("complete", self.prompt(held_out.instruction, held_out.language), sampling)

    def held_out(self, pairs: Mapping[str, Sequence[Pair]]) -> list[HeldOut]:
        """The answers to measure on, by language."""
        return [
            HeldOut(f"{code}/{pair.id}", code, pair.instruction, self.cut(pair.response, code))
            for code, own in pairs.items()
            for pair in own
        ]


def draw(sets: Mapping[str, Sequence[Answered]], pairs: Mapping[str, Sequence[Pair]], limit: int, seed: int) -> Drawn:
    """As many rows of each set and language: those that come first by hash, so that more rows move few of them.

    Languages are those that all sets and `pairs`, the answers held out, have. Raises UserError when there is none.
    """
    secret = {fold(text) for own in pairs.values() for pair in own for text in (pair.instruction, pair.response)}
    left_out: dict[str, Counter[str]] = {name: Counter() for name in sets}
    usable: dict[str, dict[str, dict[str, Answered]]] = {}
    for name, rows in sets.items():
        found = usable.setdefault(name, {code: {} for code in pairs})
        for row in rows:
            key = digest([seed, row.prompt, row.answer])
            if (reason := _unusable(row, found, secret)) or key in found[row.language or ""]:
                left_out[name][reason or DUPLICATE] += 1
            else:
                found[row.language or ""][key] = row
    counts = {code: min(limit, *(len(found[code]) for found in usable.values())) for code in pairs}
    counts = {code: count for code, count in counts.items() if count}
    if not counts:
        raise _nothing_to_learn(sets, pairs)
    drawn: dict[str, list[Answered]] = {}
    for name, found in usable.items():
        drawn[name] = [found[code][key] for code, n in counts.items() for key in sorted(found[code])[:n]]
        for code, own in found.items():
            left_out[name][NOT_DRAWN if code in counts else OTHER_LANGUAGE] += len(own) - counts.get(code, 0)
    return Drawn(drawn, counts, {name: dict(sorted((+found).items())) for name, found in left_out.items()})


def _unusable(row: Answered, languages: Mapping[str, object], secret: set[str]) -> str | None:
    if row.language is None:
        return NO_LANGUAGE
    if row.language not in languages:
        return OTHER_LANGUAGE
    if not row.prompt.strip() or not row.answer.strip():
        return EMPTY
    return HELD_OUT if secret & {fold(row.prompt), fold(row.answer)} else None


def _nothing_to_learn(sets: Mapping[str, Sequence[Answered]], pairs: Mapping[str, object]) -> Exception:
    has = "; ".join(
        f"{name.upper()} has {', '.join(sorted({row.language or 'none' for row in rows}))}"
        for name, rows in sets.items()
    )
    message = f"no language has rows in every set and answers held out ({', '.join(pairs)}): {has}"
    hint = "a column `language` says which language an answer is in; `evaluate.students.held_out` names a file for each"
    return user_error("nothing-to-learn", message, hint=hint)


@dataclass(frozen=True)
class Measured:
    """What one model makes of one answer held out."""

    log_prob: float
    """Natural logarithm, over all tokens of the answer."""
    answer: str | None
    """Its own, cut like the others; None where it gave none."""
    similarity: float | None
    """Cosine of its own answer to the one held out."""


@dataclass(frozen=True)
class Examined:
    """An answer held out, its tokens, and what each model makes of it: UNTRAINED first, then the sets'."""

    held_out: HeldOut
    tokens: int
    by: dict[str, Measured]

    def nats(self, name: str) -> float:
        """-log p a token."""
        return -self.by[name].log_prob / self.tokens


def summarize(rows: Sequence[Examined], bootstrap: Bootstrap) -> dict[str, Any]:
    """Means over answers held out, and their paired differences, with 95 % intervals; overall and by language.

    `nats` are per token of an answer, lower is better; `similarity` is a cosine, higher is better, over the answers
    that every model had one of its own for.
    """
    languages = list(dict.fromkeys(row.held_out.language for row in rows))
    by_language = {code: [row for row in rows if row.held_out.language == code] for code in languages}
    return {
        "overall": _estimates(rows, bootstrap),
        "by_language": {code: _estimates(own, bootstrap) for code, own in by_language.items()},
    }


def _estimates(rows: Sequence[Examined], bootstrap: Bootstrap) -> dict[str, Any]:
    answered = [row for row in rows if all(each.similarity is not None for each in row.by.values())]
    names = list(rows[0].by)
    return {
        "answers": len(rows),
        "tokens": sum(row.tokens for row in rows),
        "nats": _compared({name: [row.nats(name) for row in rows] for name in names}, bootstrap),
        "answered": len(answered),
        "similarity": _compared(
            {name: [row.by[name].similarity or 0.0 for row in answered] for name in names}, bootstrap
        ) if answered else {},
    }  # fmt: skip


def _compared(columns: dict[str, list[float]], bootstrap: Bootstrap) -> dict[str, Any]:
    """Every column's mean, that of its difference to UNTRAINED, and, of two sets, that of their difference."""
    pairs = [(name, UNTRAINED) for name in columns if name != UNTRAINED]
    pairs += [("a", "b")] if "b" in columns else []
    both = {
        f"{one}_minus_{other}": [x - y for x, y in zip(columns[one], columns[other], strict=True)]
        for one, other in pairs
    }
    return {name: asdict(estimate) for name, estimate in Resampled(columns | both, bootstrap).means().items()}


def examined_rows(rows: Sequence[Examined]) -> list[dict[str, Any]]:
    """One row for each answer held out."""
    return [
        {
            "id": row.held_out.id,
            "language": row.held_out.language,
            "instruction": row.held_out.instruction,
            "answer": row.held_out.answer,
            "tokens": row.tokens,
            **{f"nats_{name}": row.nats(name) for name in row.by},
            **{f"answer_{name}": each.answer for name, each in row.by.items()},
            **{f"similarity_{name}": each.similarity for name, each in row.by.items()},
        }
        for row in rows
    ]


def columns(names: Sequence[str]) -> dict[str, str]:
    """Parquet types of `examined_rows`, by column."""
    known = {"id": "string", "language": "string", "instruction": "string", "answer": "string", "tokens": "int64"}
    kinds = {"nats": "float64", "answer": "string", "similarity": "float64"}
    return known | {f"{kind}_{name}": arrow for kind, arrow in kinds.items() for name in names}


def answer_files(rows: Sequence[Examined]) -> dict[str, list[dict[str, Any]]]:
    """Each model's own answers, as `evaluate` reads them for its other metrics, by file name."""
    files: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        shared = {"id": row.held_out.id, "language": row.held_out.language, "prompt": row.held_out.instruction}
        for name, each in row.by.items():
            own = files.setdefault(f"answers-{name if name == UNTRAINED else name.upper()}.jsonl", [])
            own += [{**shared, "answer": each.answer}] if each.answer is not None else []
    return files
