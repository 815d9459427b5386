"""refine: the best candidates become exemplars, flawed documents get new drafts, everything is rated again."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from xirecipe.engines.best import drafts_of, whole
from xirecipe.engines.judging import Judging
from xirecipe.engines.tally import Tally
from xirecipe.engines.writing import candidates
from xirecipe.learned import writer_of
from xirecipe.models.requests import Request
from xirecipe.pairs import BEST_ROWS, Exemplar
from xirecipe.questions import generate_requests, shown
from xirecipe.recipe.generation import Generate, Refine
from xirecipe.refining import best_candidates, is_flawed, is_last, round_facts
from xirecipe.selecting import SCORE_COLUMNS
from xirecipe.tables import Row, count, read, write
from xirecipe.work import Outcome, Work


def run_refine(work: Work) -> Outcome:
    """One round: candidates in; candidates and new drafts out, all with the scores of this round.

    A round after one that changed too little passes its candidates on as they are.
    """
    stage, config = work.stage, work.stage.config
    assert isinstance(config, Refine)
    previous = work.inputs[stage.inputs[0].kind]
    rows_in = count(previous.data)
    if is_last(previous.manifest().facts.get("round"), config):
        kept = write(work.output.data, read(previous.data), stage.columns)
        return Outcome(rows_in, rows_in, kept, facts={"round": {"round": stage.round, "stopped": True}})

    writer, judge = writer_of(stage), stage.ancestor("judge")
    assert isinstance(writer.config, Generate)
    assert judge is not None
    source = work.store.artifact(writer.inputs[0].kind, writer.inputs[0].fingerprint).data
    before = drafts_of(previous.data, config)
    chosen = best_candidates(before, config)
    shown_best = whole(previous.data, chosen, ["instruction", "text"])
    best = [Exemplar(row["instruction"], row["text"]) for row in shown_best]

    tally = Tally(work)
    flawed = sum(is_flawed(row["document_id"], before, config) for row in read(source, ["document_id"]))
    first = writer.config.draws + (stage.round - 1) * config.draws
    draws = range(first, first + config.draws)
    # A trained writer is asked as it was trained: where its prompt showed nothing, a round shows nothing, and what it
    # learnt before this round needs no showing.
    shows_best = writer.config.shows_exemplars and not config.learn
    prompted = [Exemplar(e.instruction, shown(writer, e.response)) for e in best if shows_best]

    def asked_for() -> Iterator[tuple[Row, Request]]:
        # Made twice: the prompts of a million documents would not fit into memory.
        documents = (row for row in read(source) if is_flawed(row["document_id"], before, config))
        return generate_requests(writer, documents, draws=draws, added=prompted)

    written = tally.ask(work, writer, (request for _, request in asked_for()))
    copied = [*(exemplar.instruction for exemplar in prompted), *_learnt(work)]
    drafts = work.output.folder / "drafts"
    new = candidates(writer, asked_for(), written, tally, round=stage.round, added=copied)
    drafted = write(drafts, new, stage.columns)
    redrafted = flawed * config.draws

    def everything() -> Iterator[Row]:
        return itertools.chain(read(previous.data), read(drafts))

    judging = Judging(work, judge, tally, best)
    rated = judging.ask(everything)
    rows = judging.rated(everything(), rated, total=rows_in + drafted)
    tally.kept = write(work.output.data, rows, stage.columns)
    tally.close()
    shutil.rmtree(drafts, ignore_errors=True)

    after = drafts_of(work.output.data, config)
    twice = _rated_twice(previous.data, work.output.data, config, judging.rated_before)
    facts = {
        "round": stage.round,
        "redrafted": redrafted,
        "exemplars": [row["document_id"] for row in chosen],
        "kept_ratings": len(judging.rated_before),
        "answers": {
            kind: asked.calls + asked.reused if asked is not None else 0
            for kind, asked in (("generate", written), ("judge", rated))
        },
        **round_facts(count(source), flawed, before, after, twice, config),
    }
    return tally.outcome(rows_in, rows_in + redrafted, {"round": facts} | judging.facts(rated))


def _learnt(work: Work) -> Iterator[str]:
    """The instructions of the best rows that this round's writer learnt from."""
    if "train" in work.inputs:
        rows = read(work.inputs["train"].data, ["seed", "instruction"])
        yield from (row["instruction"] for row in rows if row["seed"] == BEST_ROWS)


def _rated_twice(
    before: Path, after: Path, config: Refine, once: Collection[tuple[str, int]]
) -> Iterator[tuple[float, float]]:
    """Scores before and after of the candidates that have both. Those of `once` kept the score from before.

    Candidates come out in the order in which they went in, but for those that failed; the new drafts stand behind.
    """
    column = SCORE_COLUMNS[config.score]
    again = read(after, ["document_id", "draw", column])
    new = next(again, None)
    for old in read(before, ["document_id", "draw", column]):
        if new is None:
            return
        candidate = old["document_id"], old["draw"]
        if candidate == (new["document_id"], new["draw"]):
            scores = old[column], new[column]
            if candidate not in once and not any(score is None or math.isnan(score) for score in scores):
                yield scores
            new = next(again, None)
