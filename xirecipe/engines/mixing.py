"""mix: rows of datasets become rows of the dataset, as the drawing in `xirecipe.mixing` says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xirecipe.diagnostics import user_error
from xirecipe.mixing import Draw, Pool, Side, draw, name_in, sides, turn_of
from xirecipe.prompts import TemplateError, render
from xirecipe.recipe.mixing import ENGLISH, Dataset, Mix, Part
from xirecipe.stage import Stage
from xirecipe.tables import Row, schema, write
from xirecipe.work import Outcome, Progress, Work

#: A row of a dataset that no part drew, and those that no part could: it lacks a language, or a field is empty in one.
NOT_DRAWN, MISSING_LANGUAGE, EMPTY_FIELD = "mix.not_drawn", "mix.missing_language", "mix.empty_field"
EMPTY_PAIR, IDENTICAL_PAIR = "contrastive.empty", "contrastive.identical"
#: Shapes that need a response beside the instruction.
_ANSWERED = ("monolingual", "cross_lingual")
#: Rows made at a time, which is what bounds memory beside the datasets themselves.
BATCH = 2_000


@dataclass(frozen=True)
class Source:
    """A dataset's rows in memory, and where each document stands in each language."""

    config: Dataset
    table: pa.Table
    at: dict[str, dict[str, int]]
    """Document id -> language -> row number."""

    filled: dict[str, list[bool]]
    """Column -> for each row whether there is text in it."""

    def lacking(self, part: Part, languages: Sequence[str], document: str) -> tuple[str, str] | None:
        """Why a part cannot draw a document, as a reason and a detail; None where it can.

        Of pairs, what is empty or identical is found when they are made.
        """
        at = self.at[document]
        for code in languages:
            if code not in at:
                if self.config.align_on is not None:
                    return MISSING_LANGUAGE, f"not in {code}"
            elif part.shape != "contrastive":
                for field in ("instruction", "response") if part.shape in _ANSWERED else ("instruction",):
                    if not self.filled[field][at[code]]:
                        return EMPTY_FIELD, f"no {field} in {code}"
        return None

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        return list(self.table.take(pa.array(numbers, pa.int64())).to_pylist())


def run_mix(work: Work) -> Outcome:
    """Rows of datasets in, rows of the mix out.

    Every row that comes in is used, or dropped as not drawn; every row that a draw owes is made, or dropped as a pair
    of empty or identical texts. Raises UserError `too-few-rows`.
    """
    stage, mix = work.stage, work.stage.config
    assert isinstance(mix, Mix)
    sources = {given.dataset: _source(given, work.inputs[given.slot].data) for given in stage.inputs}
    chosen = mix.chosen
    languages = {name: part.languages or _languages_of(stage, part.dataset) for name, part in chosen.items()}
    pools = {name: _pool(part, sources[part.dataset], languages[name]) for name, part in chosen.items()}
    draws = draw(mix, pools, languages, at_most=stage.limit is not None)
    used: dict[str, set[int]] = {name: set() for name in sources}
    dropped: list[Row] = []
    made = 0

    def rows() -> Iterator[Row]:
        nonlocal made
        for name, part in chosen.items():
            for row in _made(stage, name, part, draws[name], sources[part.dataset], used[part.dataset]):
                made += 1
                if made % BATCH == 0:
                    work.report(Progress(made, None, "rows"))
                if row.get("reason"):
                    dropped.append(row)
                else:
                    yield row

    kept = write(work.output.data, rows(), stage.columns)
    for name, source in sources.items():
        parts = [(part, languages[key]) for key, part in chosen.items() if part.dataset == name]
        dropped += _unused(source, used[name], parts)
    write(work.output.dropped, dropped, stage.columns, outcome=True)
    facts = {
        "parts": {name: _drawn(draws[name], len(pools[name].documents)) for name in chosen},
        "choice": mix.choice,
    }
    reasons = dict(Counter(row["reason"] for row in dropped))
    rows_in = sum(source.table.num_rows for source in sources.values())
    return Outcome(rows_in, kept + len(dropped), kept, reasons, facts=facts)


def _drawn(draws: Sequence[Draw], there: int) -> dict[str, int]:
    return {"draws": len(draws), "documents": len({one.document for one in draws}), "pool": there}


def _languages_of(stage: Stage, dataset: str) -> tuple[str, ...]:
    """The languages that a dataset comes with: its versions, then those it was translated into."""
    found: list[str] = []
    given = next(each for each in stage.inputs if each.dataset == dataset)
    for each in reversed(list(given.lineage)):
        found += each.config.versions if isinstance(each.config, Dataset) else getattr(each.config, "into", ())
    return tuple(found)


def _source(stage: Stage, folder: Path) -> Source:
    config = next(each.config for each in stage.lineage if isinstance(each.config, Dataset))
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    table = pa.concat_tables(tables) if tables else schema(stage.columns).empty_table()
    at: dict[str, dict[str, int]] = {}
    pairs = zip(table["document_id"].to_pylist(), table["language"].to_pylist(), strict=True)
    for number, (document, language) in enumerate(pairs):
        at.setdefault(document, {})[language] = number
    filled = {name: pc.greater(pc.utf8_length(table[name]), 0).to_pylist() for name in ("instruction", "response")}
    return Source(config, table, at, filled)


def _pool(part: Part, source: Source, languages: Sequence[str]) -> Pool:
    """The documents that a part may draw, sorted; a document must be whole in all languages of the part."""
    able = [document for document in source.at if source.lacking(part, languages, document) is None]
    if source.config.align_on is not None:
        return Pool(sorted(able))
    own = {document: code for document in able for code in source.at[document] if code in languages}
    return Pool(sorted(own), own)


def _made(stage: Stage, name: str, part: Part, draws: Sequence[Draw], source: Source, used: set[int]) -> Iterator[Row]:
    """The rows of one part, in the order of its draws; dropped ones carry a `reason`."""
    planned = ((one, side) for one in draws for side in sides(name, part, one))
    while batch := list(islice(planned, BATCH)):
        numbers: list[int] = []
        for one, side in batch:
            at = source.at[one.document]
            numbers += [at[side.instruction], at[side.response]]
        used.update(numbers)
        fetched = source.rows(numbers)
        for index, (one, side) in enumerate(batch):
            yield _row(stage, name, part, one, side, source.config, fetched[2 * index], fetched[2 * index + 1])


def _row(stage: Stage, name: str, part: Part, one: Draw, side: Side, config: Dataset, asked: Row, answered: Row) -> Row:
    licenses = dict.fromkeys([asked["license"], answered["license"]])
    translated = "translated" in (asked["made"], answered["made"])
    row: Row = {
        "document_id": one.document, "dataset": asked["dataset"], "language": side.instruction,
        "license": " and ".join(licenses), "made": "translated" if translated else "written",
        "part": name, "config": part.config, "shape": part.shape, "direction": side.direction, "draw": one.number,
        "instruction_language": side.instruction, "response_language": side.response,
    }  # fmt: skip
    if part.shape in ("monolingual", "cross_lingual"):
        row |= {"instruction": asked["instruction"], "input": asked["input"], "response": answered["response"]}
    else:
        # A text and the same text: instructions with their inputs, which is what both languages have.
        texts = (_joined(config, each["instruction"], each["input"]) for each in (asked, answered))
        row |= dict(zip(("instruction", "response"), texts, strict=True)) | {"input": ""}
    if part.shape == "contrastive":
        return row | _pair_verdict(row) | {"turn": row["instruction"], "content": row["instruction"]}
    turn = _turn(stage, name, part, one, side, row["instruction"])
    return row | {"turn": turn, "content": _joined(config, turn, row["input"])}


def _pair_verdict(row: Row) -> Row:
    anchor, positive = row["instruction"], row["response"]
    if not anchor or not positive:
        lacking = [
            row[f"{side}_language"] for side, text in (("instruction", anchor), ("response", positive)) if not text
        ]
        return {"reason": EMPTY_PAIR, "detail": f"no text in {', '.join(lacking)}"}
    if anchor == positive:
        return {"reason": IDENTICAL_PAIR, "detail": "the same text in both languages"}
    return {}


def _joined(config: Dataset, instruction: str, given: str) -> str:
    if not given:
        return instruction
    try:
        return render(config.input_template, {"instruction": instruction, "input": given})
    except TemplateError as error:
        raise user_error("bad-prompt", f"input_template: {error}") from None


def _turn(stage: Stage, name: str, part: Part, one: Draw, side: Side, instruction: str) -> str:
    template = turn_of(name, part, one, side)
    values: dict[str, object] = {
        "instruction": instruction, "language": stage.languages[side.instruction],
        "answer_language": stage.languages[side.response], "answer_in": "",
    }  # fmt: skip
    if "answer_in" in template:
        prompt = ENGLISH if part.name_answer_in == "english" else side.instruction
        english = {code: language.name for code, language in stage.languages.items()}
        called = name_in(stage.answer_in, english, prompt, side.response)
        values["answer_in"] = render(stage.answer_in[prompt].phrase, {"name": called}) if called else ""
    try:
        return render(template, values).strip()
    except TemplateError as error:
        raise user_error("bad-prompt", f"mix.parts.{name}.prompts: {error}") from None


def _unused(source: Source, used: set[int], parts: Sequence[tuple[Part, Sequence[str]]]) -> Iterator[Row]:
    """Rows that came in and of which nothing was made: no part drew them, or none could."""
    numbers = [number for number in range(source.table.num_rows) if number not in used]
    for start in range(0, len(numbers), BATCH):
        for row in source.rows(numbers[start : start + BATCH]):
            why = [source.lacking(part, languages, row["document_id"]) for part, languages in parts]
            reason, detail = (NOT_DRAWN, None) if None in why else next(found for found in why if found is not None)
            yield {**row, "reason": reason, "detail": detail}
