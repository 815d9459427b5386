"""What a comparison found: ours, the peer's, the ratio and what was aimed at; as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Comparison:
    """One line of the table. `ratio` is above 1 where ours is better, whichever way `unit` counts."""

    what: str
    peer: str
    """Whom ours is compared with, or the limit that it has."""
    ours: float
    theirs: float | None
    unit: str
    target: float | None
    """The least ratio aimed at."""
    less: bool = False
    """Whether less is better (seconds, bytes)."""

    @property
    def ratio(self) -> float | None:
        if not self.theirs or not self.ours:
            return None
        return self.theirs / self.ours if self.less else self.ours / self.theirs

    @property
    def held(self) -> str:
        if self.ratio is None or self.target is None:
            return ""
        return "yes" if self.ratio >= self.target else "**no**"

    def cells(self) -> list[str]:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        theirs = "" if self.theirs is None else _number(self.theirs)
        target = "" if self.target is None else f"≥ {self.target:g}"
        return [self.what, self.peer, f"{_number(self.ours)} {self.unit}", theirs, ratio, target, self.held]


HEADER = ("what", "against", "ours", "theirs", "ratio", "target", "held")


def lines(comparisons: Iterable[Comparison]) -> Iterator[str]:
    """A Markdown table, a line at a time as the comparisons come."""
    yield f"| {' | '.join(HEADER)} |"
    yield "|---|---|---:|---:|---:|---:|---|"
    for each in comparisons:
        yield f"| {' | '.join(each.cells())} |"


def show(comparisons: Iterable[Comparison]) -> None:
    for line in lines(comparisons):
        print(line, flush=True)


def machine() -> str:
    """Where and when: processor, cores, memory, load, versions."""
    names = [line.partition(":")[2].strip() for line in _read("/proc/cpuinfo") if line.startswith("model name")]
    kib = next((int(line.split()[1]) for line in _read("/proc/meminfo") if line.startswith("MemTotal")), 0)
    load = os.getloadavg()[0]
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {kib / 2**20:.0f} GiB; "
        f"Python {platform.python_version()}; load before the start {load:.1f}; {datetime.now(UTC):%Y-%m-%d}"
    )


def _read(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"
