"""The corpus and dedup stages on datatrove."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import orjson
import xxhash
from datatrove.data import Document
from datatrove.pipeline.writers.jsonl import JsonlWriter
from datatrove.utils.stats import PipelineStats

from xirecipe import tables
from xirecipe.diagnostics import user_error
from xirecipe.engines import filter_order, language_id
from xirecipe.engines.dedup import run_dedup
from xirecipe.engines.executor import watched
from xirecipe.engines.explained import VERDICT, Explained, Readable, Verdict, Visible
from xirecipe.engines.filters import quality_filters
from xirecipe.engines.formatters import Mask, cleaners
from xirecipe.engines.readers import BROKEN_JSON, NOT_UTF8
from xirecipe.engines.sources import HUB_HINT, HubUnreachable, opened
from xirecipe.engines.spreading import Scratch, spread
from xirecipe.recipe.corpus import Corpus
from xirecipe.work import Outcome, Work

__all__ = ["run_corpus", "run_dedup"]

#: Reasons for which a row is failed rather than dropped: nobody decided that it should go.
FAILED = frozenset({BROKEN_JSON, NOT_UTF8})
KEPT = "kept"
_QUANTILES = {"p5": 0.05, "p50": 0.5, "p95": 0.95}


def run_corpus(work: Work) -> Outcome:
    """Read, clean, filter and mask documents, in the order of the sources, whatever the number of workers.

    With the setting `filter_order: measured` this process decides the order of the filters for all tasks.

    Raises UserError for a source that is missing, empty or unreadable (`missing-corpus`, `empty-corpus`, `broken-file`,
    `missing-column`, `unreadable-corpus`, `hub-unreachable`) and for a missing language identification model.
    """
    started = monotonic()
    config = work.stage.config
    assert isinstance(config, Corpus)
    language_id.model()  # fails here rather than in a worker
    readers, shards = opened(config.sources, work.stage.root, work.stage.limit)
    total = sum(shard.rows for shard in shards)
    scratch = Scratch(work)
    folders: list[Path] = []

    def writer(name: str) -> JsonlWriter:
        folders.append(scratch.folder / "rows" / name)
        return JsonlWriter(scratch.at("rows", name), "${rank}.jsonl", compression=None, adapter=_row)

    filters = quality_filters(config.filters, work.stage.language, writer)
    order: dict[str, Any] = {}
    if work.settings.filter_order == "measured":
        before = [*readers, Readable(), *cleaners(config.clean, work.stage.language.sentence_enders), Visible()]
        with _hub_errors():
            filters, order["filter_order"] = filter_order.decided(
                filters, filter_order.documents(before, tasks=len(shards)), scratch.folder / "filter-order.json"
            )
    steps = [
        *readers,
        *scratch.ticks(),
        Readable(writer("readable")),
        *cleaners(config.clean, work.stage.language.sentence_enders),
        Visible(writer("visible")),
        *filters,
        Mask(config.personal_information),
        writer(KEPT),
    ]
    with watched(scratch.folder / "ticks", total, work.report), _hub_errors():
        stats = spread(work, scratch, steps, tasks=len(shards))
    scratch.gathered("rows")
    outcome = _gathered(work, folders, tasks=len(shards), total=total)
    if outcome.failed and not outcome.kept and not outcome.dropped:
        first = next(tables.read(work.output.failed))
        raise user_error(
            "broken-file",
            f"none of {total:,} rows could be read; the first: {first['reason']}, {first['detail']}",
            hint="is `format` right, and the file UTF-8?",
        )
    scratch.remove()
    outcome.facts["filters"] = _cost_of(filters, stats)
    outcome.facts.update(order)
    outcome.facts["seconds"] = round(monotonic() - started, 2)
    return outcome


@contextmanager
def _hub_errors() -> Iterator[None]:
    try:
        yield
    except HubUnreachable as error:
        raise user_error("hub-unreachable", f"reading from the Hub stopped: {error}", hint=HUB_HINT) from None


def _row(_: JsonlWriter, document: Document) -> dict[str, Any]:
    """A document as a task writes it down: columns, verdict, and `ordinal`, `masked_kinds` for the way home."""
    metadata = document.metadata
    verdict: Verdict | None = metadata.get(VERDICT)
    masked: Counter[str] | None = metadata.get("masked")
    row = {
        "ordinal": metadata["ordinal"],
        "document_id": document.id,
        "text": document.text,
        "source": metadata["source"],
        "url": metadata["url"],
        "language_score": metadata.get("language_score"),
        "cut_chars": metadata.get("cut_chars"),
        "masked": None if masked is None else masked.total(),
        "masked_kinds": masked,
    }
    if verdict is not None:
        row |= {
            "reason": verdict.reason,
            "value": verdict.value,
            "threshold": verdict.threshold,
            "detail": verdict.detail,
        }
    return row


def _gathered(work: Work, folders: Sequence[Path], *, tasks: int, total: int) -> Outcome:
    """Put the rows of all tasks in order, give each an id of its own, write them as parquet, count them."""
    new_ids, per_source = _unique_ids(lambda: _merged(folders, tasks))
    if per_source.total() != total:
        raise user_error(
            "changed-corpus",
            f"{total} rows were counted before the run and {per_source.total()} were read",
            hint="a source file changed while it was read; run again",
        )
    stayed = [folder for folder in folders if folder.name == KEPT]
    left = [folder for folder in folders if folder.name != KEPT]
    dropped: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    kept_per_source: Counter[str] = Counter()
    masked: Counter[str] = Counter()
    chars, scores = array("q"), array("d")

    def kept() -> Iterator[tables.Row]:
        for row in finished(_merged(stayed, tasks)):
            kept_per_source[row["source"]] += 1
            masked.update(row["masked_kinds"])
            chars.append(len(row["text"]))
            scores.append(row["language_score"])
            yield row

    def gone(counts: Counter[str], *, failed: bool) -> Iterator[tables.Row]:
        for row in finished(_merged(left, tasks)):
            if (row["reason"] in FAILED) == failed:
                counts[row["reason"]] += 1
                yield row

    def finished(rows: Iterator[tables.Row]) -> Iterator[tables.Row]:
        for row in rows:
            row["document_id"] = new_ids.get(row["ordinal"], row["document_id"])
            row["language"] = work.stage.language.code
            yield row

    output, columns = work.output, work.stage.columns
    stay = tables.write(output.data, kept(), columns)
    tables.write(output.dropped, gone(dropped, failed=False), columns, outcome=True)
    tables.write(output.failed, gone(failed, failed=True), columns, outcome=True)
    facts = {
        "characters": _quantiles(chars),
        "language_score": _quantiles(scores),
        "masked": dict(sorted(masked.items())),
        "model_license": "cc-by-sa-3.0",  # of lid.176, see NOTICE
        "sources": {name: {"rows": rows, "kept": kept_per_source[name]} for name, rows in sorted(per_source.items())},
    }
    return Outcome(rows_in=total, asked=total, kept=stay, dropped=dict(dropped), failed=dict(failed), facts=facts)


def _merged(folders: Sequence[Path], tasks: int) -> Iterator[dict[str, Any]]:
    """What the tasks wrote into these folders, in the order it was read."""
    for rank in range(tasks):
        files = [path for folder in folders if (path := folder / f"{rank:05d}.jsonl").exists()]
        yield from heapq.merge(*map(_lines, files), key=lambda row: row["ordinal"])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        yield from map(orjson.loads, file)


def _unique_ids(rows: Callable[[], Iterable[dict[str, Any]]]) -> tuple[dict[int, str], Counter[str]]:
    """The new ids of rows whose own is taken by an earlier row, by ordinal; and rows by source.

    Holds 8 bytes a row; where an id comes again, all ids, about 150 bytes each.
    """
    hashes = array("Q")
    per_source: Counter[str] = Counter()
    for row in rows():
        per_source[row["source"]] += 1
        hashes.append(xxhash.xxh3_64_intdigest(row["document_id"].encode("utf-8", "surrogatepass")))
    ordered = np.sort(np.frombuffer(hashes, dtype=np.uint64)) if hashes else np.empty(0, dtype=np.uint64)
    repeated = bool((ordered[1:] == ordered[:-1]).any())
    return _renamed(rows()) if repeated else {}, per_source


def _renamed(rows: Iterable[dict[str, Any]]) -> dict[int, str]:
    taken: set[str] = set()
    last: dict[str, int] = {}
    new: dict[int, str] = {}
    for row in rows:
        own = chosen = row["document_id"]
        while chosen in taken:
            last[own] = last.get(own, 1) + 1
            chosen = f"{own}~{last[own]}"
        taken.add(chosen)
        if chosen != own:
            new[row["ordinal"]] = chosen
    return new


def _quantiles(values: array[int] | array[float]) -> dict[str, float]:
    """Nearest-rank quantiles; nothing where there are no values."""
    ordered = np.sort(np.array(values, copy=False))
    size = len(ordered)
    return {name: round(ordered[ceil(q * size) - 1].item(), 4) for name, q in _QUANTILES.items()} if size else {}


def _cost_of(filters: Sequence[Explained], stats: PipelineStats) -> list[dict[str, Any]]:
    """What each filter saw, dropped and cost, in the order they ran: what another order would have saved."""
    counted = {step.name: step for step in stats.stats}
    found = []
    for each in filters:
        step = counted[f"{each.type}: {each.name}"]
        numbers = {key: int(step.stats[key].total) if key in step.stats else 0 for key in ("total", "dropped")}
        found.append(
            {
                "filter": each.name,
                "documents": numbers["total"],
                "dropped": numbers["dropped"],
                "seconds": round(step.time_stats.total, 2),
            }
        )
    return found
