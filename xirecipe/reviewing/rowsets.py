"""Two sets of rows beside one another: which documents came, went or changed, and which numbers moved."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from xirecipe.fingerprint import canonical
from xirecipe.hub.measure import Spread, spread
from xirecipe.hub.rows import RENUMBERED
from xirecipe.tables import Row

#: A pass over one side's rows, each with `document_id` where it has one.
Rows = Callable[[], Iterator[Row]]
Kind = Literal["changed", "came", "went"]

#: Numbers that say what a dataset is like; those that rows have are compared.
SCORES = ("score", "rubric_score", "likelihood_gain", "similarity", "language_score")
#: Texts whose lengths are compared, in characters.
TEXTS = ("instruction", "response", "text")
#: Columns that are no part of what a row says to a reader; a release's versions are not told apart by them either.
_UNCOMPARED = RENUMBERED | {"embedding"}
_DIGEST_BYTES = 12


@dataclass(frozen=True)
class Moved:
    """A number's distribution on both sides. `distance` is Kolmogorov-Smirnov's, 0 (the same) to 1 (apart)."""

    name: str
    before: Spread
    after: Spread
    distance: float


@dataclass(frozen=True)
class RowExample:
    """A document on both sides: its columns that differ, or all of them where it stands on one side alone."""

    kind: Kind
    document_id: str
    before: Row | None
    after: Row | None


@dataclass(frozen=True)
class RowsDiff:
    """Rows matched by document id; a document with several rows is a bag of them."""

    before: int
    after: int
    counts: dict[str, int]
    """Rows that `changed`, `came`, `went`."""
    columns_came: tuple[str, ...]
    columns_went: tuple[str, ...]
    moved: tuple[Moved, ...]
    examples: tuple[RowExample, ...] = ()

    @property
    def is_equal(self) -> bool:
        return not any(self.counts.values()) and not self.columns_came and not self.columns_went


@dataclass
class _Side:
    """What one pass over a side's rows leaves behind."""

    documents: dict[str, Counter[bytes]] = field(default_factory=dict)
    numbers: dict[str, list[float]] = field(default_factory=dict)
    rows: int = 0


def compare_rows(old: Rows, new: Rows, examples: int) -> RowsDiff:
    """Compare over the columns that both sides have. Rows are read twice; in memory are digests and numbers alone."""
    columns = [_columns(side) for side in (old, new)]
    shared = [name for name in columns[1] if name in columns[0] and name not in _UNCOMPARED]
    before, after = _read(old, shared), _read(new, shared)
    counts: Counter[str] = Counter()
    wanted: dict[str, Kind] = {}
    found: Counter[str] = Counter()

    def note(kind: Kind, document: str, count: int) -> None:
        counts[kind] += count
        if count and found[kind] < examples and document not in wanted:
            wanted[document] = kind
            found[kind] += 1

    for document in sorted({*before.documents, *after.documents}):
        was = before.documents.get(document, Counter())
        now = after.documents.get(document, Counter())
        gone, came = (was - now).total(), (now - was).total()
        both = min(gone, came)
        note("changed", document, both)
        note("went", document, gone - both)
        note("came", document, came - both)
    # A side without rows says nothing of columns.
    known = all(columns)
    return RowsDiff(
        before.rows, after.rows, {kind: counts[kind] for kind in ("changed", "came", "went")},
        tuple(n for n in columns[1] if n not in columns[0]) if known else (),
        tuple(n for n in columns[0] if n not in columns[1]) if known else (),
        tuple(_moved(before.numbers, after.numbers)),
        tuple(_examples(old, new, wanted, shared)),
    )  # fmt: skip


def _columns(rows: Rows) -> list[str]:
    return list(next(rows(), {}))


def _read(rows: Rows, shared: Sequence[str]) -> _Side:
    side = _Side()
    for row in rows():
        side.rows += 1
        digest = _digest(row, shared)
        side.documents.setdefault(str(row.get("document_id", digest.hex())), Counter())[digest] += 1
        for name in SCORES:
            value = row.get(name)
            if isinstance(value, (int, float)) and np.isfinite(value):
                side.numbers.setdefault(name, []).append(float(value))
        for name in TEXTS:
            if isinstance(row.get(name), str):
                side.numbers.setdefault(f"{name} length", []).append(float(len(row[name])))
    return side


def _digest(row: Row, shared: Sequence[str]) -> bytes:
    said = canonical({name: _plain(row.get(name)) for name in shared})
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _moved(before: dict[str, list[float]], after: dict[str, list[float]]) -> Iterator[Moved]:
    for name in (*SCORES, *(f"{text} length" for text in TEXTS)):
        one, other = spread(before.get(name, [])), spread(after.get(name, []))
        if one is not None and other is not None:
            yield Moved(name, one, other, ks_distance(before[name], after[name]))


def ks_distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Kolmogorov-Smirnov's statistic of two samples: how far their distribution functions are apart at most, 0..1."""
    a, b = np.sort(np.asarray(one, dtype=np.float64)), np.sort(np.asarray(other, dtype=np.float64))
    at = np.concatenate([a, b])
    shares = (np.searchsorted(side, at, side="right") / len(side) for side in (a, b))
    first, second = shares
    return float(np.max(np.abs(first - second)))


def _examples(old: Rows, new: Rows, wanted: dict[str, Kind], shared: Sequence[str]) -> Iterator[RowExample]:
    before, after = _pick(old, wanted), _pick(new, wanted)
    order = {"changed": 0, "came": 1, "went": 2}
    for document, kind in sorted(wanted.items(), key=lambda item: (order[item[1]], item[0])):
        was, now = before.get(document), after.get(document)
        if kind == "came":
            was = None
        if kind == "went":
            now = None
        # The conversation repeats the instruction and the response.
        said = [n for n in shared if n != "messages"]
        names = [n for n in said if was is None or now is None or was.get(n) != now.get(n)] or list(shared)
        yield RowExample(kind, document, _cut(was, names), _cut(now, names))


def _pick(rows: Rows, wanted: dict[str, Kind]) -> dict[str, Row]:
    """The first row of each wanted document."""
    found: dict[str, Row] = {}
    for row in rows():
        document = str(row.get("document_id", ""))
        if document in wanted:
            found.setdefault(document, row)
            if len(found) == len(wanted):
                break
    return found


def _cut(row: Row | None, names: Sequence[str]) -> Row | None:
    return None if row is None else {name: row[name] for name in names if row.get(name) is not None}
