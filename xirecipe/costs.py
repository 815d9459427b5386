"""What a plan would do and cost: done or to run and why, expected rows, calls, tokens, money, time. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from xirecipe import tables
from xirecipe.artifact import Manifest
from xirecipe.diagnostics import UserError
from xirecipe.digests import Digests
from xirecipe.learned import model_of
from xirecipe.models.completions import CompletionLog
from xirecipe.models.requests import Request
from xirecipe.plan import AnyPlan
from xirecipe.questions import generate_requests, judge_requests
from xirecipe.rating import LEVELS, blank, examples, own_rows
from xirecipe.reasons import reason
from xirecipe.recipe.corpus import Corpus, FileSource, HubSource, Source
from xirecipe.recipe.generation import Generate, Judge, RatingSet, Refine
from xirecipe.recipe.learning import FineTune
from xirecipe.recipe.mixing import Dataset, FileVersion, Translate, Version
from xirecipe.recipe.models import Rates
from xirecipe.seed import CHARS_PER_TOKEN
from xirecipe.source_files import source_files
from xirecipe.stage import Stage
from xirecipe.store import Store


@dataclass(frozen=True)
class StageCost:
    """One line of a plan. Numbers are None where nothing is known, and 0 where nothing is to pay."""

    stage: Stage
    state: Literal["done", "run"]
    why: str
    rows_in: int | None
    rows_out: int | None
    """Of the manifest when done; else by the keep rate of this stage's last run, or all rows where there was none."""
    measured: bool
    """Whether `rows_out` rests on a manifest."""
    calls: int | None = 0
    paid: int | None = 0
    """Answers already in the completion log; None while the rows to ask about are not there yet."""
    tokens: int | None = 0
    dollars: float | None = 0.0
    seconds: float | None = None


def cost_plan(plan: AnyPlan, store: Store) -> list[StageCost]:
    """Costs of every stage, in order. Reads manifests, the completion log and finished rows; nothing else."""
    store.check_layout()
    costs: list[StageCost] = []
    rows_out: dict[str, int | None] = {}
    for stage in plan.stages:
        given = [rows_out[each.fingerprint] for each in stage.feeding]
        rows_in = _sum(given) if given else _read(stage, rows_out)
        costs.append(_cost(plan, stage, rows_in, rows_out, store))
        rows_out[stage.fingerprint] = costs[-1].rows_out
    return costs


def _sum(numbers: list[int | None]) -> int | None:
    """None where one of them is not known."""
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _cost(
    plan: AnyPlan, stage: Stage, rows_in: int | None, rows_out_of: dict[str, int | None], store: Store
) -> StageCost:
    """`rows_out_of` are the rows out of the stages before, by fingerprint."""
    artifact = store.artifact(stage.kind, stage.fingerprint)
    if artifact.done:
        manifest = artifact.manifest()
        return StageCost(stage, "done", "", manifest.rows_in, manifest.kept, True, seconds=0.0)
    last = _last(plan, stage, store)
    rate = last.kept / last.rows_in if last and last.rows_in else _most_rows(stage)
    # What a mix draws does not grow with what there is to draw from.
    rows_out = None if rows_in is None or stage.kind == "mix" else round(rows_in * rate)
    seconds = None
    if last and last.rows_in and rows_in is not None and not last.calls:
        seconds = last.seconds * rows_in / last.rows_in
    line = StageCost(stage, "run", _why(stage, last), rows_in, rows_out, last is not None, seconds=seconds)
    if stage.kind == "refine":
        return _round_cost(plan, line, last, rows_out_of)
    if isinstance(stage.config, FineTune):
        return replace(line, seconds=_training_seconds(plan, stage, stage.config, line, last))
    return _model_cost(plan, line, last, store) if stage.model is not None else line


def _most_rows(stage: Stage) -> float:
    """Rows out for a row in, where nothing was measured and nothing is dropped."""
    match stage.config:
        case Generate(draws=draws):
            return float(draws)
        case RatingSet():
            return float(len(LEVELS))
        case Translate(into=into):
            dataset = stage.inputs[0].config
            assert isinstance(dataset, Dataset)
            return 1.0 + len(into) / len(dataset.versions)
        case _:
            return 1.0


def _training_seconds(
    plan: AnyPlan, stage: Stage, config: FineTune, line: StageCost, last: Manifest | None
) -> float | None:
    """As long a step as in the last training, or at the declared rate. None where neither is known."""
    if line.rows_in is None:
        return None
    steps = config.max_steps or max(1, round(config.epochs * line.rows_in / config.batch_size))
    if last and last.facts.get("steps"):
        return steps * last.seconds / float(last.facts["steps"])
    rate = plan.recipe.rates.get(stage.model_name or "", Rates()).training_tokens_per_second
    if rate is None:
        return None
    pairs = [(t.pair.instruction, t.pair.response) for t in stage.taught]
    pairs = pairs or [(p.instruction, p.response) for given in stage.inputs for p in given.exemplars]
    chars = sum(len(text) for texts in pairs for text in texts) / max(1, len(pairs))
    return steps * config.batch_size * chars / CHARS_PER_TOKEN / rate


def _round_cost(plan: AnyPlan, line: StageCost, last: Manifest | None, rows_out_of: dict[str, int | None]) -> StageCost:
    """A refining round's calls: measured, or as many as if every document were flawed and rated with new examples."""
    stage, config = line.stage, line.stage.config
    assert isinstance(config, Refine)
    writer, judge = stage.ancestor("generate"), stage.ancestor("judge")
    assert writer is not None
    assert judge is not None
    documents = rows_out_of[writer.inputs[0].fingerprint]
    if line.rows_in is None or documents is None:
        return replace(line, rows_out=None, measured=False, calls=None, paid=None, tokens=None, dollars=None)
    if last and last.rows_in and last.calls + last.reused:
        calls = round(line.rows_in * (last.calls + last.reused) / last.rows_in)
        tokens = round(calls * (_tokens_each(last) or _guessed_tokens(writer)))
    else:
        written = documents * config.draws
        rated = _expected_calls(judge, line.rows_in + written)
        calls = written + rated
        tokens = round(written * _guessed_tokens(writer) + rated * _guessed_tokens(judge))
        line = replace(line, rows_out=line.rows_in + written, measured=False, seconds=None)
    # The writer's rate for all: it writes more tokens than the judge, and is seldom the cheaper model.
    dollars = _dollars(plan, writer, tokens)
    return replace(line, calls=calls, paid=None, tokens=tokens, dollars=dollars)


def _dollars(plan: AnyPlan, stage: Stage, tokens: int) -> float | None:
    """None where the model has no declared rates; an embedded model costs nothing."""
    assert stage.model is not None
    assert stage.model_name is not None
    if stage.model.engine == "embedded" or not tokens:
        return 0.0
    rates = plan.recipe.rates.get(stage.model_name)
    if rates is None:
        return None
    dearer = max(rates.dollars_per_million_prompt_tokens, rates.dollars_per_million_completion_tokens)
    return tokens * dearer / 1e6


def _model_cost(plan: AnyPlan, line: StageCost, last: Manifest | None, store: Store) -> StageCost:
    stage = line.stage
    assert stage.model is not None
    assert stage.model_name is not None
    model = model_of(stage, store)
    requests = _exact_requests(stage, store)
    paid: int | None = None
    tokens_each = _tokens_each(last)
    if model is not None and requests is not None:
        calls = paid = 0
        chars = 0
        seen, identity = Digests(), model.identity
        store.fetch_log(identity)
        with CompletionLog(store.completions, identity) as log:
            for request in requests:
                key = request.key(identity)
                if not seen.add(key):
                    continue
                if key in log:
                    paid += 1
                else:
                    calls += 1
                    chars += len(request.prompt) + len(request.continuation)
        tokens = round(calls * tokens_each) if tokens_each else round(chars / CHARS_PER_TOKEN)
    elif line.rows_in is None:
        return StageCost(stage, "run", line.why, None, None, False, None, None, None, None, None)
    else:
        if model is not None:
            store.fetch_log(model.identity)
            with CompletionLog(store.completions, model.identity) as log:
                paid = None if len(log) else 0
        calls = _expected_calls(stage, line.rows_in)
        tokens = round(calls * (tokens_each or _guessed_tokens(stage)))
    rates = plan.recipe.rates.get(stage.model_name, Rates())
    dollars = _dollars(plan, stage, tokens)
    seconds = None
    if last and last.calls:
        seconds = calls * last.seconds / last.calls
    elif rates.tokens_per_second:
        seconds = tokens / rates.tokens_per_second
    elif calls == 0:
        seconds = 0.0
    return StageCost(
        stage, "run", line.why, line.rows_in, line.rows_out, line.measured, calls, paid, tokens, dollars, seconds
    )


def _exact_requests(stage: Stage, store: Store) -> Iterator[Request] | None:
    """Every request of the stage, equal ones again and again, when its input rows exist; None when they do not.

    None for a translation as well: what is translated back hangs on the answers.
    """
    if isinstance(stage.config, Translate):
        return None
    sources = [store.artifact(given.kind, given.fingerprint) for given in stage.inputs if given.kind != "train"]
    if not all(source.done for source in sources):
        return None
    return _requests(stage, *(tables.read(source.data) for source in sources))


def _requests(stage: Stage, rows: Iterator[tables.Row], *rating_set: Iterator[tables.Row]) -> Iterator[Request]:
    if stage.kind == "generate":
        yield from (request for _, request in generate_requests(stage, rows))
        return
    assert isinstance(stage.config, Judge)
    rated = [blank(stage) | row for made in rating_set for row in own_rows(stage, made)]
    shown = examples(rated, stage.config.rubric) if stage.config.rubric and stage.config.shows_examples else []
    for row in (*rated, *rows):
        yield from judge_requests(stage, row, shown).values()


def _expected_calls(stage: Stage, rows_in: int) -> int:
    match stage.config:
        case Generate(draws=draws):
            return rows_in * draws
        case Judge(rubric=rubric, likelihood=likelihood):
            # What is scored alone is asked once a document, or once an instruction: at most once a candidate.
            rated = sum(len(LEVELS) * len(given.exemplars) for given in stage.inputs if given.kind == "rating_set")
            return (rows_in + rated) * ((rubric is not None) + 2 * (likelihood is not None))
        case Translate(into=into, round_trip=round_trip):
            dataset = stage.inputs[0].config
            assert isinstance(dataset, Dataset)
            columns = dataset.columns
            fields = sum(name is not None for name in (columns.instruction, columns.input, columns.response))
            there_and_back = 1 if round_trip is None else 2
            return round(rows_in / len(dataset.versions)) * len(into) * fields * there_and_back
        case _:
            return 0


def _tokens_each(last: Manifest | None) -> float | None:
    return (last.prompt_tokens + last.completion_tokens) / last.calls if last and last.calls else None


def _guessed_tokens(stage: Stage) -> float:
    prompt = sum(len(text) for text in stage.prompts.values())
    exemplars = sum(len(p.instruction) + len(p.response) for p in stage.exemplars)
    completion = stage.config.sampling.max_tokens if isinstance(stage.config, Generate | Translate) else 1
    return (prompt + exemplars + 1_000) / CHARS_PER_TOKEN + completion


def _read(stage: Stage, rows_out_of: dict[str, int | None]) -> int | None:
    """What a stage reads that no rows come into: pairs, and at most so many best rows as a round's training may learn;
    or documents, where that can be known by looking at local files."""
    if stage.kind == "rating_set":
        return len(stage.exemplars) + len(stage.taught)
    if stage.kind == "train":
        most = 0 if stage.best_by is None else stage.best_by.max_learnt_rows
        came = [rows_out_of[given.fingerprint] for given in stage.inputs]
        return len(stage.taught) + min([most, *(rows for rows in came if rows is not None)])
    assert isinstance(stage.config, Corpus | Dataset)
    there = _sum([_documents(stage.root, source) for source in _sources(stage.config)])
    return min((known for known in (there, stage.limit) if known is not None), default=None)


def _documents(root: Path, source: Source | Version) -> int | None:
    """Of a source; at most, where its files cannot be counted, and None where nothing says how many."""
    most = source.documents if isinstance(source, FileSource | HubSource) else None
    if not isinstance(source, FileSource | FileVersion):
        return most
    total = 0
    for file in source_files(root, source):
        if source.format == "parquet":
            try:
                total += pq.ParquetFile(file).metadata.num_rows
            except (OSError, pa.ArrowException):
                # A broken file: the run says what is wrong with it.
                return most
        elif file.suffix.lower() in (".gz", ".zst"):
            return most
        else:
            with file.open("rb") as lines:
                total += sum(1 for line in lines if line.strip()) - (source.format == "csv")
    return total if most is None else min(total, most)


def _sources(config: Corpus | Dataset) -> list[Source | Version]:
    return [*(config.sources if isinstance(config, Corpus) else config.versions).values()]


def _last(plan: AnyPlan, stage: Stage, store: Store) -> Manifest | None:
    """The newest manifest of this stage (a round's of that round), of this recipe where there is one."""
    manifests = []
    for artifact in store.artifacts(stage.kind):
        # A broken manifest of another recipe's artifact must not stand in this one's way.
        with suppress(UserError):
            manifests.append(artifact.manifest())
    manifests = [m for m in manifests if m.label == stage.label]
    own = [m for m in manifests if m.recipe == plan.recipe.name]
    return next(iter(own or manifests), None)


def _why(stage: Stage, last: Manifest | None) -> str:
    return "never run" if last is None else reason(stage.kind, last.payload, stage.payload)
