"""`xirecipe run --enough`: read as many documents as `select.rows` needs, in turns, and say how many that was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from xirecipe.columns import StageKind
from xirecipe.commands.common import Session, command_line, open_session, said
from xirecipe.diagnostics import user_error
from xirecipe.enough import HOPELESS, next_documents, rows_passed, rows_wanted, spread
from xirecipe.recipe.recipe import Recipe
from xirecipe.run import StageDone
from xirecipe.terminal import console, table

#: How a turn is run: the stages of a session, up to one of a kind.
Walk = Callable[[Session, StageKind | None], list[StageDone]]
#: Names of sources that can stand in a dotted key.
_PLAIN = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class Turn:
    """One reading of the sources and what came of it. Calls and seconds are those that no earlier turn had."""

    documents: int
    """Read of all sources together."""
    rounds: bool
    """Whether the rounds of `refine` were made."""
    passed: int
    """Rows above all thresholds."""
    rows: int
    """Rows selected."""
    calls: int
    reused: int
    seconds: float


@dataclass(frozen=True)
class Reading:
    """All turns, and where they ended."""

    turns: tuple[Turn, ...]
    wanted: int
    """`select.rows`."""
    keys: dict[str, int]
    """What the recipe has to say to read just as much: documents by dotted key. Empty where it says so already."""
    capped: dict[str, int] = field(default_factory=dict)
    """Where rows are missing: the sources of which the recipe allows no more documents."""

    @property
    def reached(self) -> bool:
        return self.turns[-1].rows >= self.wanted

    def record(self) -> dict[str, Any]:
        turns = [asdict(turn) for turn in self.turns]
        return {"rows": self.wanted, "reached": self.reached, "keys": self.keys, "turns": turns}


def check_enough(session: Session, limit: int | None, to: str | None) -> None:
    """Raises UserError where no number of documents can be looked for."""
    name = session.plan.recipe.name
    for option, value in (("--limit", limit), ("--to", to)):
        if value is not None:
            why = "how many documents are read" if option == "--limit" else "where it ends"
            raise user_error("usage", f"`--enough` finds out itself {why}, and goes with no `{option}`")
    if not isinstance(session.plan.recipe, Recipe):
        hint = "`mix.parts.<name>.rows` says how many rows are drawn: run it without `--enough`"
        raise user_error("not-enough", f"{name} is a mixing recipe, and reads no corpus", hint=hint)
    if rows_wanted(session.plan) is None:
        hint = "`--set select.rows=500`, or run it without `--enough`"
        raise user_error("not-enough", f"{name} takes all rows, of which no number is enough", hint=hint)


def read_enough(base: Session, walk: Walk) -> tuple[Session, list[StageDone], Reading]:
    """The session whose sources are read far enough, its stages, all done, and how it was found.

    A turn ends after `select`, whose rate says how many documents the next one reads; answers of earlier turns are in
    the completion log. Rounds of `refine` are made when there are rows enough without them: with more documents they
    show other rows to the models, and every question would be paid for anew.

    Raises UserError where none of many documents became a row, and whatever a run raises.
    """
    recipe, wanted = base.plan.recipe, rows_wanted(base.plan)
    assert isinstance(recipe, Recipe)
    assert wanted is not None
    allowed = {name: source.documents for name, source in recipe.corpus.sources.items()}
    most, turns, counted = dict(allowed), list[Turn](), set[str]()
    documents, rounds = next_documents(wanted), recipe.refine is None
    while True:
        reading = spread(documents, most)
        session = _limited(base, {n: k for n, k in reading.items() if k != allowed[n]}, rounds=rounds)
        parts = ", ".join(f"{count:,} of {name}" for name, count in reading.items())
        refined = rounds and recipe.refine is not None
        said(f"turn {len(turns) + 1}: the first {parts}{', with rounds' if refined else ''}")
        walked = walk(session, "select")
        turn = _turn(walked, counted, rounds=refined)
        turns.append(turn)
        there = walked[0].manifest.facts["sources"]
        most |= {name: there[name]["rows"] for name, count in reading.items() if there[name]["rows"] < count}
        over = all(reading[name] == known for name, known in most.items())
        if turn.rows < wanted and not over:
            if not turn.passed and turn.documents >= HOPELESS:
                message = f"none of {turn.documents:,} documents became a row: no number of them is known to be enough"
                raise user_error("not-enough", message, hint=f"see why: {command_line(session.plan, 'rejects')}")
            documents = next_documents(wanted, turn.documents, turn.passed)
        elif rounds:
            break
        else:
            rounds = True
    walked += walk(session, None)[len(walked) :]
    place = f"profiles.{base.plan.profile}." if base.plan.profile else ""
    keys = {f"{place}corpus.sources.{n}.documents": k for n, k in reading.items() if k != allowed[n]}
    capped = {n: k for n, k in reading.items() if k == allowed[n]} if turn.rows < wanted else {}
    return session, walked, Reading(tuple(turns), wanted, keys, capped)


def _limited(base: Session, documents: Mapping[str, int], *, rounds: bool) -> Session:
    """The same recipe with so many documents of these sources, as `--set` lays them over it."""
    more = [
        f"corpus.sources.{name}.documents={count}"
        if _PLAIN.fullmatch(name)
        else f"corpus.sources={{{json.dumps(name)}: {{documents: {count}}}}}"
        for name, count in documents.items()
    ]
    more += [] if rounds else ["refine=null"]
    return open_session(base.plan.path, base.plan.profile or None, [*base.plan.overrides, *more])


def _turn(walked: Sequence[StageDone], counted: set[str], *, rounds: bool) -> Turn:
    """`counted` are fingerprints of stages that earlier turns had, and afterwards this one's, too."""
    new = [done.manifest for done in walked if done.stage.fingerprint not in counted]
    counted.update(manifest.fingerprint for manifest in new)
    select = walked[-1].manifest
    return Turn(
        documents=walked[0].manifest.rows_in,
        rounds=rounds,
        passed=rows_passed(select),
        rows=select.kept,
        calls=sum(manifest.calls for manifest in new),
        reused=sum(manifest.reused for manifest in new),
        seconds=round(sum(manifest.seconds for manifest in new), 1),
    )


def print_reading(base: Session, reading: Reading) -> None:
    """The turns as a table, and what a recipe that reads as much says."""
    out = console()
    lines = table("turn", ">documents", ">pass", ">rows", ">calls", ">reused", ">seconds", "")
    for number, turn in enumerate(reading.turns, start=1):
        lines.add_row(
            str(number), f"{turn.documents:,}", f"{turn.passed:,}", f"{turn.rows:,}", f"{turn.calls:,}",
            f"{turn.reused:,}", f"{turn.seconds:,.1f}", "with rounds" if turn.rounds else "",
        )  # fmt: skip
    out.print(lines)
    last = reading.turns[-1]
    if reading.reached:
        told = f"{last.documents:,} documents are enough for `select.rows: {reading.wanted}`"
    else:
        capped = ", ".join(f"{name} {count:,}" for name, count in reading.capped.items())
        more = f"; the recipe allows no more than `documents` of {capped}" if capped else ""
        told = (
            f"{last.rows:,} of the {reading.wanted:,} rows asked for: the sources have no more than "
            f"{last.documents:,} documents{more}"
        )
    out.print(told, markup=False, soft_wrap=True)
    again = f"`{command_line(base.plan, 'run')}`"
    if not reading.keys:
        out.print(f"{again} gives the same rows", markup=False, soft_wrap=True)
        return
    out.print(f"{again} gives the same rows when the recipe says:", markup=False, soft_wrap=True)
    for key, count in reading.keys.items():
        out.print(f"  {key}: {count}", markup=False, soft_wrap=True)
