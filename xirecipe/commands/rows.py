"""Rows of a session's artifacts, and how they are shown to people."""

from __future__ import annotations

import random
from collections.abc import Iterator

from xirecipe import tables
from xirecipe.artifact import Artifact
from xirecipe.columns import StageKind
from xirecipe.commands.common import Session, command_line
from xirecipe.diagnostics import user_error
from xirecipe.stage import Stage
from xirecipe.tables import Row
from xirecipe.terminal import console

#: Longest value shown of a text in a terminal, in characters.
SHOWN_CHARS = 160


def artifact_of(session: Session, stage: Stage) -> Artifact:
    return session.store.artifact(stage.kind, stage.fingerprint)


def outcomes(artifact: Artifact) -> Iterator[tuple[str, Row]]:
    for outcome, folder in (("kept", artifact.data), ("dropped", artifact.dropped), ("failed", artifact.failed)):
        for row in tables.read(folder):
            yield outcome, row


def rejected(session: Session, kind: StageKind | None, reason: str | None) -> Iterator[Row]:
    for stage in session.plan.document_stages:
        artifact = artifact_of(session, stage)
        if kind not in (None, stage.kind) or not artifact.done:
            continue
        for outcome, row in outcomes(artifact):
            if outcome != "kept" and reason in (None, row["reason"]):
                yield {"stage": stage.label, **row}


def reasons(session: Session, kind: StageKind | None) -> dict[str, int]:
    counts: dict[str, int] = {}
    done = False
    for stage in session.plan.stages:
        artifact = artifact_of(session, stage)
        if artifact.done and kind in (None, stage.kind):
            done = True
            manifest = artifact.manifest()
            for name, n in sorted([*manifest.dropped.items(), *manifest.failed.items()], key=lambda item: -item[1]):
                counts[name] = counts.get(name, 0) + n
    if not done:
        raise user_error("not-run", "no such stage of this recipe is done", hint=command_line(session.plan, "run"))
    return counts


def spread(rows: Iterator[Row], n: int) -> list[Row]:
    """`n` rows drawn evenly, the same ones every time."""
    pool = list(rows)
    chosen = random.Random("rejects").sample(range(len(pool)), min(n, len(pool)))
    return [pool[i] for i in sorted(chosen)]


def shown(row: Row, *, whole: bool = False) -> Row:
    """A row for people: no embedding, no empty columns, long texts cut."""
    result = {}
    for name, value in row.items():
        if value is None or name == "embedding":
            continue
        if isinstance(value, str) and not whole and len(value) > SHOWN_CHARS:
            value = value[: SHOWN_CHARS - 1] + "…"
        result[name] = round(value, 4) if isinstance(value, float) else value
    return result


def print_row(row: Row) -> None:
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
