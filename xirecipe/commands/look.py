"""`preview`, `trace`, `rejects`: looking at rows."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xirecipe import tables
from xirecipe.columns import StageKind
from xirecipe.commands.common import Session, command_line, open_session, stage_kind
from xirecipe.diagnostics import did_you_mean, user_error
from xirecipe.selecting import select_rows
from xirecipe.stage import Stage
from xirecipe.store import Artifact
from xirecipe.tables import Row
from xirecipe.terminal import console, table

#: Longest value shown of a text in a terminal, in characters.
SHOWN_CHARS = 160


def run_preview(recipe: Path, n: int, profile: str | None, overrides: Sequence[str], as_json: bool) -> int:
    """Rows of the finished dataset; of a run over the first `n` documents when it is not finished."""
    from xirecipe.run import run_plan
    from xirecipe.terminal import Steps

    session = open_session(recipe, profile, overrides)
    if not _artifact(session, session.plan.stages[-1]).done:
        session = open_session(recipe, profile, overrides, n)
        with Steps().showing() as steps:
            run_plan(session.plan, session.store, session.settings, started=steps.started, report=steps.report)
    final = list(tables.read(_artifact(session, session.plan.stages[-1]).data))
    kept = [_shown(row) for row in final[:n]]
    lost = [_shown(row) for row in _spread(_rejected(session, None, None), n)]
    if as_json:
        print(json.dumps({"kept": kept, "dropped": lost}, ensure_ascii=False, indent=2))
        return 0
    out = console()
    out.print(f"{len(final):,} rows kept; {len(kept)} of them:", markup=False)
    for row in kept:
        _print_row(row)
    out.print(f"\ndropped or failed, {len(lost)} of them:", markup=False)
    for row in lost:
        _print_row(row)
    return 0


def run_trace(
    recipe: Path, document_id: str, profile: str | None, overrides: Sequence[str], limit: int | None, as_json: bool
) -> int:
    """What happened to one document at every stage that is done."""
    session = open_session(recipe, profile, overrides, limit)
    steps: list[dict[str, Any]] = []
    known: set[str] = set()
    for stage in session.plan.stages:
        artifact = _artifact(session, stage)
        if not artifact.done:
            break
        for outcome, row in _outcomes(artifact):
            known.add(row["document_id"])
            if row["document_id"] == document_id:
                steps.append({"stage": stage.kind, "outcome": outcome, **_shown(row, whole=True)})
    if not known:
        raise user_error("not-run", "no stage of this recipe is done", hint=command_line(session.plan, "run"))
    if not steps:
        hint = did_you_mean(document_id, known)
        raise user_error("unknown-document", f"no document `{document_id}` was read", hint=hint)
    if as_json:
        print(json.dumps(steps, ensure_ascii=False, indent=2))
    else:
        _print_trace(document_id, steps)
    return 0


def run_rejects(
    recipe: Path,
    stage: str | None,
    reason: str | None,
    sample: int,
    tries: Sequence[str],
    profile: str | None,
    overrides: Sequence[str],
    limit: int | None,
    as_json: bool,
) -> int:
    """Rows that did not stay; with `tries`, what other thresholds would keep."""
    session = open_session(recipe, profile, overrides, limit)
    if tries:
        return _try(session, recipe, profile, overrides, limit, tries, as_json)
    kind = stage_kind(stage) if stage else None
    counts = _reasons(session, kind)
    if reason is not None and reason not in counts:
        raise user_error("unknown-reason", f"nothing was dropped by `{reason}`", hint=did_you_mean(reason, counts))
    rows = [_shown(row) for row in _spread(_rejected(session, kind, reason), sample)]
    if as_json:
        print(json.dumps({"reasons": counts, "rows": rows}, ensure_ascii=False, indent=2))
        return 0
    if not counts:
        print("nothing was dropped")
        return 0
    lines = table("reason", ">rows")
    for name, n in counts.items():
        if reason in (None, name):
            lines.add_row(name, f"{n:,}")
    console().print(lines)
    for row in rows:
        _print_row(row)
    return 0


def _try(
    session: Session, recipe: Path, profile: str | None, overrides: Sequence[str], limit: int | None,
    tries: Sequence[str], as_json: bool,
) -> int:  # fmt: skip
    """Other thresholds over stored scores: `select` is decided again in memory; a filter's drops are compared."""
    other = open_session(recipe, profile, [*overrides, *tries], limit)
    changed = [t for t in tries if not t.startswith(("select.", "corpus.filters."))]
    if changed:
        hint = "keys below `select` and `corpus.filters` can be tried; others need `xirecipe run --set ...`"
        raise user_error("cannot-try", f"`{changed[0]}` cannot be tried on stored scores", hint=hint)
    result: dict[str, Any] = {}
    if any(t.startswith("select.") for t in tries):
        source = _artifact(session, session.plan.stage("cluster"))
        if not source.done:
            raise user_error("not-run", "the scores are not there yet", hint=command_line(session.plan, "run"))
        rows = list(tables.read(source.data))
        before = {_key(row): row for row in select_rows(rows, session.plan.recipe.select)[0]}
        after = {_key(row): row for row in select_rows(rows, other.plan.recipe.select)[0]}
        result["select"] = {
            "rows_before": len(before),
            "rows_after": len(after),
            "come": [_shown(row) for key, row in after.items() if key not in before],
            "go": [_shown(row) for key, row in before.items() if key not in after],
        }
    for text in tries:
        if text.startswith("corpus.filters."):
            key = text.removeprefix("corpus.filters.").partition("=")[0]
            result[key] = _try_filter(session, key, _threshold(session, key), _threshold(other, key))
    if as_json:
        print(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        _print_try(result)
    return 0


#: Thresholds whose value is known of kept documents too, so that a stricter one can be tried.
_MEASURED: dict[str, Callable[[Row], float]] = {
    "length.min_chars": lambda row: len(row["text"]),
    "length.max_chars": lambda row: len(row["text"]),
    "language.min_score": lambda row: row["language_score"],
}


def _threshold(session: Session, key: str) -> float:
    """The number at `corpus.filters.<key>`. Raises UserError where there is none to compare with."""
    value: Any = session.plan.recipe.corpus.filters
    for part in key.split("."):
        value = getattr(value, part, None)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        hint = "one number can be tried, such as `--try corpus.filters.length.min_chars=200`"
        raise user_error("cannot-try", f"`corpus.filters.{key}` is not a number", hint=hint)
    return float(value)


def _try_filter(session: Session, key: str, old: float, new: float) -> dict[str, Any]:
    """Documents that another threshold would let pass to the filters after it, and kept ones it would drop."""
    corpus = _artifact(session, session.plan.stage("corpus"))
    if not corpus.done:
        raise user_error("not-run", "no document has been read yet", hint=command_line(session.plan, "run"))

    def passes(value: float | None) -> bool:
        return value is not None and (value >= new if key.rpartition(".")[2].startswith("min_") else value <= new)

    dropped = list(_rejected(session, "corpus", key))
    come = [row for row in dropped if passes(row["value"])]
    go: list[Row] = []
    if key in _MEASURED:
        go = [row for row in tables.read(corpus.data) if not passes(_MEASURED[key](row))]
    elif not passes(old):
        message = f"`{key}` was not stored for kept documents, so a stricter one cannot be tried"
        raise user_error("cannot-try", message, hint="`xirecipe run --to corpus --set corpus.filters....`")
    return {
        "dropped_before": len(dropped),
        "come": [_shown(row) for row in come],
        "go": [_shown(row) for row in go],
    }


def _print_try(result: dict[str, Any]) -> None:
    out = console()
    for name, found in result.items():
        if name == "select":
            out.print(f"select: {found['rows_before']:,} rows before, {found['rows_after']:,} after", markup=False)
        else:
            out.print(
                f"{name}: {len(found['come']):,} of the {found['dropped_before']:,} documents it dropped would pass it "
                f"(the filters after it have not seen them); {len(found['go']):,} kept ones would go",
                markup=False,
            )
        for word in ("come", "go"):
            rows = found.get(word, [])
            if rows:
                out.print(f"\n{len(rows):,} would {word}; the first:", markup=False)
            for row in rows[:3]:
                _print_row(row)


def _key(row: Row) -> tuple[str, int]:
    return row["document_id"], row["draw"]


def _artifact(session: Session, stage: Stage) -> Artifact:
    return session.store.artifact(stage.kind, stage.fingerprint)


def _outcomes(artifact: Artifact) -> Iterator[tuple[str, Row]]:
    for outcome, folder in (("kept", artifact.data), ("dropped", artifact.dropped), ("failed", artifact.failed)):
        for row in tables.read(folder):
            yield outcome, row


def _rejected(session: Session, kind: StageKind | None, reason: str | None) -> Iterator[Row]:
    for stage in session.plan.stages:
        artifact = _artifact(session, stage)
        if kind not in (None, stage.kind) or not artifact.done:
            continue
        for outcome, row in _outcomes(artifact):
            if outcome != "kept" and reason in (None, row["reason"]):
                yield {"stage": stage.kind, **row}


def _reasons(session: Session, kind: StageKind | None) -> dict[str, int]:
    counts: dict[str, int] = {}
    done = False
    for stage in session.plan.stages:
        artifact = _artifact(session, stage)
        if artifact.done and kind in (None, stage.kind):
            done = True
            manifest = artifact.manifest()
            for name, n in sorted([*manifest.dropped.items(), *manifest.failed.items()], key=lambda item: -item[1]):
                counts[name] = counts.get(name, 0) + n
    if not done:
        raise user_error("not-run", "no such stage of this recipe is done", hint=command_line(session.plan, "run"))
    return counts


def _spread(rows: Iterator[Row], n: int) -> list[Row]:
    """`n` rows drawn evenly, the same ones every time."""
    pool = list(rows)
    chosen = random.Random("rejects").sample(range(len(pool)), min(n, len(pool)))
    return [pool[i] for i in sorted(chosen)]


def _shown(row: Row, *, whole: bool = False) -> Row:
    """A row for people: no embedding, no empty columns, long texts cut."""
    result = {}
    for name, value in row.items():
        if value is None or name == "embedding":
            continue
        if isinstance(value, str) and not whole and len(value) > SHOWN_CHARS:
            value = value[: SHOWN_CHARS - 1] + "…"
        result[name] = round(value, 4) if isinstance(value, float) else value
    return result


def _print_row(row: Row) -> None:
    out = console()
    head = [str(row.get("document_id", ""))]
    if "reason" in row:
        measured = f"{row['value']:g}" if "value" in row else ""
        limit = f" (threshold {row['threshold']:g})" if "threshold" in row else ""
        head.append(f"{row.get('stage', '')}: {row['reason']} {measured}{limit} {row.get('detail', '')}".strip())
    out.print("\n" + "  ".join(head), style="bold", markup=False)
    for name, value in row.items():
        if name not in ("document_id", "stage", "reason", "value", "threshold", "detail"):
            out.print(f"  {name}: {' '.join(str(value).split())}", markup=False)


def _print_trace(document_id: str, steps: Sequence[dict[str, Any]]) -> None:
    out = console()
    out.print(document_id, style="bold", markup=False)
    before: dict[str, Any] = {}
    for step in steps:
        draw = f" draw {step['draw']}" if "draw" in step else ""
        decided = ""
        if "reason" in step:
            value = f" {step['value']:g}" if "value" in step else ""
            limit = f" (threshold {step['threshold']:g})" if "threshold" in step else ""
            decided = f": {step['reason']}{value}{limit} {step.get('detail', '')}".rstrip()
        out.print(f"\n{step['stage']}{draw}: {step['outcome']}{decided}", markup=False)
        key = f"{step.get('draw')}"
        hidden = {"stage", "outcome", "draw", "document_id", "reason", "value", "threshold", "detail"}
        for name, value in step.items():
            if name not in hidden and before.get(f"{key}/{name}", before.get(f"None/{name}")) != value:
                out.print(f"  {name}: {' '.join(str(value).split())}", markup=False)
                before[f"{key}/{name}"] = value
    out.print(f"\n{_end(steps)}", style="bold", markup=False)


def _end(steps: Sequence[dict[str, Any]]) -> str:
    last = steps[-1]["stage"]
    if last == "split":
        return "in the dataset"
    kept = any(step["stage"] == last and step["outcome"] == "kept" for step in steps)
    return f"on its way: the stages after {last} are not done" if kept else f"ended at {last}"
