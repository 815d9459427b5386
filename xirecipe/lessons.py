"""What a model is trained on: prompts as the stage that asks it will make them, and the answers to learn. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from xirecipe.fingerprint import digest
from xirecipe.pairs import BEST_ROWS, Pair, Taught
from xirecipe.prompts import continued
from xirecipe.questions import generate_requests, judge_requests, shown
from xirecipe.rating import LEVELS, blank, examples, labels_of_levels, own_rows
from xirecipe.recipe.generation import Generate, Judge
from xirecipe.recipe.learning import WriterFineTune
from xirecipe.selecting import fold
from xirecipe.sentences import cut_at_sentence
from xirecipe.stage import Stage
from xirecipe.tables import Row

#: Why a pair is not learnt from: another one is equal to it, word for word; or a best row is, or has the text or the
#: instruction of, a pair that is held out.
DUPLICATE, HELD_OUT = "duplicate", "held_out"


@dataclass(frozen=True)
class Lesson:
    """A prompt, the answer to learn, and the row (in TRAIN_COLUMNS, without what is measured) that says which it is."""

    row: Row
    prompt: str
    answer: str
    raw: bool = False
    """Whether no chat template comes around the prompt: it is there to be scored."""


@dataclass(frozen=True)
class LeftOut:
    """A pair that becomes no lesson, and why."""

    row: Row
    reason: str
    detail: str


def writer_lessons(stage: Stage, best: Iterable[Row] = ()) -> tuple[list[Lesson], list[LeftOut]]:
    """A writer's lessons, and the pairs that become none. Raises UserError for a prompt that fails.

    `best` are a round's best candidates. They are learnt like pairs and never measured on, and what is held out stays
    so: none with the instruction of a pair held out is learnt, nor one with its text, whole or as a prompt shows it.
    """
    config, asks = stage.config, stage.teaches
    assert isinstance(config, WriterFineTune)
    assert asks is not None
    assert isinstance(asks.config, Generate)
    held_out = _held_out(stage.taught, config)
    kept_from = {fold(instruction) for instruction in held_out}
    one = replace(asks, config=asks.config.model_copy(update={"draws": 1}))
    columns = {column.name for column in asks.inputs[0].columns}
    lessons: list[Lesson] = []
    left_out: list[LeftOut] = []
    seen: set[tuple[str, str]] = set()
    # Seeds first: what they hold out is known before the first of the best rows comes.
    for taught, document in [*((taught, None) for taught in stage.taught), *_as_taught(stage, best)]:
        # As `clean_instruction` reads answers: one line.
        instruction = " ".join(taught.pair.instruction.split())
        facts = stage.languages[taught.language]
        text = cut_at_sentence(taught.pair.response, config.max_text_chars, facts.sentence_enders)
        teller = replace(one, language=facts, exemplars=tuple(e for e in asks.exemplars if e != taught.pair))
        texts = {fold(taught.pair.response), fold(shown(teller, text))}
        row: Row = {
            "pair_id": taught.pair.id, "seed": taught.seed, "language": taught.language, "instruction": instruction,
            "text": text, "level": None,
            "part": "held_out" if document is None and instruction in held_out else "learn",
        }  # fmt: skip
        if document is not None and kept_from & {fold(instruction), *texts}:
            left_out.append(LeftOut(row, HELD_OUT, "instruction or text of a pair held out"))
            continue
        if (instruction, taught.pair.response) in seen:
            left_out.append(LeftOut(row, DUPLICATE, "equal to a pair before it"))
            continue
        seen.add((instruction, taught.pair.response))
        if row["part"] == "held_out":
            kept_from |= texts
        known = {name: value for name, value in (document or {}).items() if name in columns}
        asked = blank(asks) | known | {"text": text, "document_id": taught.pair.id, "language": taught.language}
        asked.pop("exemplars", None)
        ((_, request),) = generate_requests(teller, [asked])
        lessons.append(Lesson(row, request.prompt, _answer(stage, request.prompt, instruction, ends=True)))
    return lessons, left_out


def _as_taught(stage: Stage, best: Iterable[Row]) -> Iterator[tuple[Taught, Row]]:
    """Best rows as pairs, with the columns of their documents, which prompts may read."""
    for row in best:
        yield Taught(BEST_ROWS, stage.language.code, Pair(row["document_id"], row["instruction"], row["text"])), row


def judge_lessons(stage: Stage, rating_set: Iterable[Row]) -> list[Lesson]:
    """An evaluator's lessons: every rated pair with its label; without a rubric, the instructions of pairs that fit.

    Raises UserError for a prompt that fails.
    """
    asks = stage.teaches
    assert asks is not None
    assert isinstance(asks.config, Judge)
    rubric = asks.config.rubric
    rated = [blank(asks) | row for row in rating_set if rubric is not None or row["level"] == LEVELS[0]]
    shown = examples(own_rows(stage, rated), rubric) if rubric is not None and asks.config.shows_examples else []
    lessons = []
    for each in rated:
        rater = replace(asks, language=stage.languages.get(each["language"], asks.language))
        requests = judge_requests(rater, each, shown)
        if rubric is not None:
            prompt = requests["rubric"].prompt
            answer = _answer(stage, prompt, labels_of_levels(rubric)[each["level"]])
        else:
            prompt, answer = requests["given"].prompt, requests["given"].continuation
        row: Row = {
            "pair_id": each["pair_id"], "seed": "rating_set", "language": each["language"],
            "instruction": each["instruction"], "text": each["text"], "level": each["level"], "part": each["part"],
        }  # fmt: skip
        lessons.append(Lesson(row, prompt, answer, raw=rubric is None))
    return lessons


def _answer(stage: Stage, prompt: str, answer: str, *, ends: bool = False) -> str:
    """The answer as the model is to write it: a chat model in a turn of its own, a base model behind the prompt."""
    assert stage.model is not None
    return answer if stage.model.prompt_format == "chat" else continued(prompt, answer, ends=ends)


def _held_out(taught: Iterable[Taught], config: WriterFineTune) -> set[str]:
    """The instructions to measure on: a share of the different ones, by hash, so that more pairs move few of them."""
    different = Counter(" ".join(t.pair.instruction.split()) for t in taught)
    order = sorted(different, key=lambda text: digest([config.random_seed, text]))
    return set(order[: round(len(order) * config.held_out_ratio)])


def lessons_of(stage: Stage, rating_set: Iterable[Row], best: Iterable[Row] = ()) -> tuple[list[Lesson], list[LeftOut]]:
    """All lessons of a train stage, and the pairs that become none."""
    return writer_lessons(stage, best) if stage.role == "writer" else (judge_lessons(stage, rating_set), [])
