"""generate: documents become requests, answers become candidates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xirecipe.engines.asking import Asked
from xirecipe.engines.guards import Guard, clean_instruction
from xirecipe.engines.tally import Tally
from xirecipe.models.requests import Failure, Request
from xirecipe.questions import generate_requests
from xirecipe.recipe.generation import Generate
from xirecipe.stage import Stage
from xirecipe.tables import Row, count, read, write
from xirecipe.work import Outcome, Work


def run_generate(work: Work) -> Outcome:
    """Documents in, candidates out: one row per document and draw that passed the guards."""
    stage, config = work.stage, work.stage.config
    assert isinstance(config, Generate)
    source = work.inputs[stage.inputs[0].kind].data
    tally = Tally(work)
    asked = tally.ask(work, stage, (request for _, request in generate_requests(stage, read(source))))
    rows = candidates(stage, generate_requests(stage, read(source)), asked, tally, round=0)
    tally.kept = write(work.output.data, rows, stage.columns)
    tally.close()
    rows_in = count(source)
    return tally.outcome(rows_in, rows_in * config.draws, {"draws": config.draws})


def candidates(
    stage: Stage, asked_for: Iterable[tuple[Row, Request]], asked: Asked, tally: Tally, *, round: int,
    added: Iterable[str] = (),
) -> Iterator[Row]:  # fmt: skip
    """The answers that became candidates; the others go to `tally`, dropped by a guard or failed.

    `added` are instructions that stood in the prompt beside the stage's exemplars: copying them is copying, too.
    """
    assert isinstance(stage.config, Generate)
    train = stage.beside("train")
    learnt = train.taught if train is not None else ()
    known = [*(pair.instruction for pair in stage.exemplars), *(taught.pair.instruction for taught in learnt)]
    guard = Guard(stage.config.guards, [*known, *added])
    for row, request in asked_for:
        row = {**row, "round": round}
        answer = asked.answer(request)
        if isinstance(answer, Failure):
            tally.fail(row, f"generate.{answer.reason}", answer.detail)
            continue
        row["instruction"] = clean_instruction(answer.text)
        verdict = guard.check(row["instruction"], row["text"])
        if verdict is None:
            yield row
        else:
            tally.drop(row, *verdict)
