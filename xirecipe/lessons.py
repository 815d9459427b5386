"""What a model is trained on: prompts as the stage that asks it will make them, and the answers to learn. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from xirecipe.fingerprint import digest
from xirecipe.pairs import Taught
from xirecipe.questions import generate_requests, judge_requests
from xirecipe.rating import blank, examples, labels_of_levels
from xirecipe.recipe.generation import Generate, Judge
from xirecipe.recipe.learning import WriterFineTune
from xirecipe.sentences import cut_at_sentence
from xirecipe.stage import Stage
from xirecipe.tables import Row

#: Why a pair is not learnt from: another one is equal to it, word for word.
DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Lesson:
    """A prompt, the answer to learn, and the row (in TRAIN_COLUMNS, without what is measured) that says which it is."""

    row: Row
    prompt: str
    answer: str


def writer_lessons(stage: Stage) -> tuple[list[Lesson], list[Row]]:
    """A writer's lessons, and the rows that are equal to one before. Raises UserError for a prompt that fails."""
    config, asks = stage.config, stage.teaches
    assert isinstance(config, WriterFineTune)
    assert asks is not None
    assert isinstance(asks.config, Generate)
    held_out = _held_out(stage.taught, config)
    one = replace(asks, config=asks.config.model_copy(update={"draws": 1}))
    lessons: list[Lesson] = []
    duplicates: list[Row] = []
    seen: set[tuple[str, str]] = set()
    for taught in stage.taught:
        # As `clean_instruction` reads answers: one line.
        instruction = " ".join(taught.pair.instruction.split())
        facts = stage.languages[taught.language]
        text = cut_at_sentence(taught.pair.response, config.max_text_chars, facts.sentence_enders)
        row: Row = {
            "pair_id": taught.pair.id, "seed": taught.seed, "language": taught.language, "instruction": instruction,
            "text": text, "level": None, "part": "held_out" if instruction in held_out else "learn",
        }  # fmt: skip
        if (instruction, taught.pair.response) in seen:
            duplicates.append(row)
            continue
        seen.add((instruction, taught.pair.response))
        teller = replace(one, language=facts, exemplars=tuple(e for e in asks.exemplars if e != taught.pair))
        asked = blank(asks) | {"text": text, "document_id": taught.pair.id, "language": taught.language}
        asked.pop("exemplars", None)
        ((_, request),) = generate_requests(teller, [asked])
        lessons.append(Lesson(row, request.prompt, _answer(stage, request.prompt, instruction)))
    return lessons, duplicates


def judge_lessons(stage: Stage, rating_set: Iterable[Row]) -> list[Lesson]:
    """An evaluator's lessons: every rated pair with its label. Raises UserError for a prompt that fails."""
    asks = stage.teaches
    assert asks is not None
    assert isinstance(asks.config, Judge)
    assert asks.config.rubric is not None
    rated = [blank(asks) | row for row in rating_set]
    labels = labels_of_levels(asks.config.rubric)
    shown = examples(rated, asks.config.rubric) if asks.config.shows_examples else []
    lessons = []
    for each in rated:
        prompt = judge_requests(asks, each, shown)["rubric"].prompt
        row: Row = {
            "pair_id": each["pair_id"], "seed": "rating_set", "language": stage.language.code,
            "instruction": each["instruction"], "text": each["text"], "level": each["level"], "part": each["part"],
        }  # fmt: skip
        lessons.append(Lesson(row, prompt, _answer(stage, prompt, labels[each["level"]])))
    return lessons


def _held_out(taught: Iterable[Taught], config: WriterFineTune) -> set[str]:
    """The instructions to measure on: a share of the different ones, by hash, so that more pairs move few of them."""
    different = Counter(" ".join(t.pair.instruction.split()) for t in taught)
    order = sorted(different, key=lambda text: digest([config.random_seed, text]))
    return set(order[: round(len(order) * config.held_out_ratio)])


def _answer(stage: Stage, prompt: str, answer: str) -> str:
    """The answer as the model is to write it: a base model goes on in the prompt's line, and a writer's ends it."""
    assert stage.model is not None
    if stage.model.prompt_format == "chat":
        return answer
    space = "" if prompt[-1:].isspace() else " "
    return f"{space}{answer}\n" if stage.role == "writer" else f"{space}{answer}"


def lessons_of(stage: Stage, rating_set: Iterator[Row]) -> tuple[list[Lesson], list[Row]]:
    """All lessons of a train stage, and rows that are equal to one before."""
    return writer_lessons(stage) if stage.role == "writer" else (judge_lessons(stage, rating_set), [])
