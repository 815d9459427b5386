"""What a person sees: progress on stderr, tables on stdout, quiet where nobody looks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID
    from rich.table import Table

    from xirecipe.artifact import Manifest
    from xirecipe.stage import Stage
    from xirecipe.work import Progress


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False)
    # A pipe has no width: whoever reads it wants whole lines.
    made.soft_wrap = not made.is_terminal
    return made


def table(*columns: str, title: str | None = None) -> Table:
    """A table; columns whose name starts with `>` are numbers, set to the right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        right = name.startswith(">")
        made.add_column(name.removeprefix(">"), justify="right" if right else "left", no_wrap=right, overflow="fold")
    return made


class Steps:
    """Progress of a run on stderr: a bar a stage with rate and time left; a line a stage where there is no terminal."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        err = console(stderr=True)
        self.live = err.is_terminal and not os.environ.get("CI")
        self._console = err
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
            disable=not self.live,
        )
        self._task: TaskID | None = None

    def started(self, stage: Stage) -> None:
        if self.live:
            self._task = self._progress.add_task(stage.label, total=None, rate="")
        else:
            print(f"{stage.label} ...", file=sys.stderr, flush=True)

    def report(self, stage: Stage, progress: Progress) -> None:
        if self._task is None:
            return
        task = self._progress.tasks[self._task]
        speed = f"{task.speed:,.1f} {progress.unit}/s" if task.speed else progress.unit
        self._progress.update(self._task, completed=progress.done, total=progress.total, rate=speed)

    def finished(self, manifest: Manifest, made: bool) -> None:
        if not made:
            return
        if self._task is not None:
            task = self._progress.tasks[self._task]
            total = task.total if task.total is not None else max(1, manifest.kept)
            self._progress.update(self._task, completed=total, total=total, rate="")
            self._task = None
        else:
            print(f"{manifest.label}: {manifest.kept:,} rows, {manifest.seconds:.1f} s", file=sys.stderr, flush=True)

    @contextmanager
    def showing(self) -> Iterator[Steps]:
        with self._progress:
            yield self


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"
