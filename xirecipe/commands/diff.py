"""`xirecipe diff`: two recipes, two runs, or two released versions beside one another."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from xirecipe import settings as settings_module
from xirecipe.artifact import Manifest
from xirecipe.diagnostics import shortened
from xirecipe.fingerprint import DEFAULT
from xirecipe.hub.diffing import compare
from xirecipe.hub.measure import Spread
from xirecipe.hub.progress import hub_progress
from xirecipe.markdown import visible
from xirecipe.reviewing.changes import (
    KeyChange,
    StageChange,
    TextChange,
    key_changes,
    stage_changes,
    text_changes,
)
from xirecipe.reviewing.comment import dotted
from xirecipe.reviewing.rowsets import RowExample, RowsDiff, compare_rows
from xirecipe.reviewing.sides import Side, open_side
from xirecipe.store import Store
from xirecipe.terminal import console, table

#: Characters of a value, and of a row's text, that are shown.
VALUE_CHARS, TEXT_CHARS = 60, 160
#: Distributions closer than this are not shown: what rounding to two digits would hide.
LEAST_DISTANCE = 0.005

Line = Callable[[str], None]


@dataclass(frozen=True)
class Diff:
    """What differs between two sides, as far as both know it; None where one of them does not."""

    keys: tuple[KeyChange, ...] | None
    texts: tuple[TextChange, ...]
    stages: tuple[StageChange, ...]
    counts: tuple[tuple[str, Manifest | None, Manifest | None], ...]
    rows: RowsDiff | None
    no_rows: str | None
    """Why rows were not compared."""
    least: tuple[str, tuple[str, ...]] | None
    """The least version step between two releases, and its reasons."""

    @property
    def is_equal(self) -> bool:
        same_rows = self.rows is None or self.rows.is_equal
        return not self.keys and not self.texts and not self.stages and same_rows


def run_diff(one: str, other: str, profile: str | None, examples: int, as_json: bool, exit_code: bool) -> int:
    """0; with `exit_code` 1 when something differs."""
    store = Store.of(settings_module.from_environment())
    with hub_progress(), open_side(one, profile, store) as old, open_side(other, profile, store) as new:
        found = diff(old, new, examples)
        if as_json:
            print(json.dumps(record(old, new, found), ensure_ascii=False, indent=2))
        else:
            _print(old, new, found)
    return int(exit_code and not found.is_equal)


def diff(old: Side, new: Side, examples: int) -> Diff:
    """Compare what both sides know."""
    rows, no_rows = None, None
    if old.rows and new.rows and old.row_kind == new.row_kind:
        rows = compare_rows(old.rows, new.rows, examples)
    elif old.rows and new.rows:
        no_rows = f"rows of {old.row_kind} and of {new.row_kind} are not the same kind"
    else:
        missing = [side.name for side in (old, new) if side.rows is None]
        no_rows = f"no finished run of {' and of '.join(missing)} in the store"
    least = None
    if old.release and new.release:
        difference = compare(old.release, new.release)
        least = difference.least, tuple(difference.reasons)
    labels = dict.fromkeys([*(s.label for s in new.stages), *(s.label for s in old.stages)])
    return Diff(
        keys=tuple(key_changes(old.tree, new.tree)) if old.tree and new.tree else None,
        texts=tuple(text_changes(old.prompts, new.prompts)) if old.tree and new.tree else (),
        stages=tuple(stage_changes(old.stages, new.stages)),
        counts=tuple((label, old.manifests.get(label), new.manifests.get(label)) for label in labels),
        rows=rows,
        no_rows=no_rows,
        least=least,
    )


def _print(old: Side, new: Side, found: Diff) -> None:
    out = console()

    def line(text: str = "", style: str | None = None) -> None:
        out.print(visible(text), markup=False, soft_wrap=True, style=style)

    line(f"{old.name} → {new.name}", "bold")
    if found.keys:
        line()
        line("keys", "bold")
        for key in found.keys:
            line(f"  {dotted(key.path)}: {_value(key.old)} → {_value(key.new)}{_places(key)}")
    for text in found.texts:
        line()
        line(text.path, "bold")
        for part in ("too long to compare line by line" if text.diff is None else text.diff).split("\n"):
            line(f"  {part}")
    if found.stages:
        line()
        line("stages with other fingerprints", "bold")
        for change in found.stages:
            line(f"  {change.label}: {change.why}")
    if any(was or now for _, was, now in found.counts):
        line()
        counts = table("stage", ">kept", "", ">dropped", "", ">failed", "", title="rows")
        for label, was, now in (each for each in found.counts if each[1] or each[2]):
            counts.add_row(label, *_both(was, now))
        out.print(counts)
    _print_rows(found, out, line)
    if found.least:
        step, reasons = found.least
        line()
        line(f"least version step: {step} ({'; '.join(reasons)})")
    if found.is_equal:
        line()
        line("no difference" if found.rows is not None else f"no difference; {found.no_rows}")


def _print_rows(found: Diff, out: Any, line: Line) -> None:
    if found.rows is None:
        if not found.is_equal:
            line("")
            line(f"rows were not compared: {found.no_rows}")
        return
    rows = found.rows
    moved = [m for m in rows.moved if m.distance >= LEAST_DISTANCE]
    if moved:
        line("")
        lines = table("distribution", "", ">mean", ">p5", ">p50", ">p95", ">KS")
        for m in moved:
            lines.add_row(m.name, "before", *_spread(m.before), "")
            lines.add_row("", "after", *_spread(m.after), f"{m.distance:.2f}")
        out.print(lines)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in rows.counts.items())
    line("")
    line(f"documents: {rows.before:,} → {rows.after:,} rows; {counts}")
    for what, names in (("new columns", rows.columns_came), ("columns that are gone", rows.columns_went)):
        if names:
            line(f"{what}: {', '.join(names)}")
    for example in rows.examples:
        _print_example(example, line)


def _print_example(example: RowExample, line: Line) -> None:
    line(f"  {example.document_id}: {example.kind}")
    for mark, row in (("-", example.before), ("+", example.after)):
        for name, value in (row or {}).items():
            if name != "document_id":
                shown = f"{value:.4g}" if isinstance(value, float) else shortened(value, TEXT_CHARS)
                line(f"    {mark} {name}: {shown}")


def _both(was: Manifest | None, now: Manifest | None) -> list[str]:
    """Old and new counts, the new one behind an arrow only where it is another."""
    cells = []
    for before, after in zip(_totals(was), _totals(now), strict=True):
        cells += [before, "" if before == after else f"→ {after}"]
    return cells


def _totals(manifest: Manifest | None) -> list[str]:
    if manifest is None:
        return ["?"] * 3
    return [f"{n:,}" for n in (manifest.kept, sum(manifest.dropped.values()), sum(manifest.failed.values()))]


def _spread(spread: Spread) -> list[str]:
    return [_short(number) for number in (spread.mean, spread.p5, spread.p50, spread.p95)]


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _value(value: Any) -> str:
    return "default" if value is DEFAULT else shortened(json.dumps(value, ensure_ascii=False), VALUE_CHARS)


def _places(key: KeyChange) -> str:
    """Where both values are written."""
    spans = [f"{span.file}:{span.line}" if span else None for span in (key.old_span, key.new_span)]
    known = list(dict.fromkeys(span for span in spans if span))
    return f" ({' → '.join(known)})" if known else ""


def record(old: Side, new: Side, found: Diff) -> dict[str, Any]:
    """For `--json`; `keys` and `rows` are null where a side does not know them."""
    return {
        "a": old.name, "b": new.name, "equal": found.is_equal,
        "keys": None if found.keys is None else [_key(key) for key in found.keys],
        "texts": [asdict(text) for text in found.texts],
        "stages": [asdict(stage) for stage in found.stages],
        "counts": [{"stage": label, "a": _counts(was), "b": _counts(now)} for label, was, now in found.counts],
        "rows": None if found.rows is None else asdict(found.rows),
        "rows_not_compared": found.no_rows,
        "least_bump": found.least[0] if found.least else None,
        "reasons": list(found.least[1]) if found.least else [],
    }  # fmt: skip


def _key(key: KeyChange) -> dict[str, Any]:
    return {
        "key": dotted(key.path),
        **({} if key.old is DEFAULT else {"a": key.old}), **({} if key.new is DEFAULT else {"b": key.new}),
        "a_place": f"{key.old_span.file}:{key.old_span.line}" if key.old_span else None,
        "b_place": f"{key.new_span.file}:{key.new_span.line}" if key.new_span else None,
    }  # fmt: skip


def _counts(manifest: Manifest | None) -> dict[str, Any] | None:
    if manifest is None:
        return None
    return {"kept": manifest.kept, "dropped": manifest.dropped, "failed": manifest.failed, "asked": manifest.asked}
