from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from xirecipe.engines.executor import EngineFailure, Ticks, execute, watched
from xirecipe.work import Progress

pytestmark = pytest.mark.engine


class Unpicklable(Exception):
    """As huggingface_hub's errors and ours: it cannot be made again from its message alone."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{what} at {where}")


class Failing(PipelineStep):
    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        yield Document("x", "x")
        if rank == 1:
            raise Unpicklable("the middle", "it broke")


def test_a_failure_that_cannot_travel_between_processes_ends_the_run_with_its_message(tmp_path: Path) -> None:
    with pytest.raises(EngineFailure, match="Unpicklable: it broke at the middle"):
        execute([Failing()], tasks=4, workers=2, logs=tmp_path)


def test_a_failure_in_this_process_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(Unpicklable):
        execute([Failing()], tasks=4, workers=1, logs=tmp_path)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    execute([[Document("x", "x")], Ticks(tmp_path / "ticks")], tasks=1, workers=1, logs=tmp_path / "logs")
    assert capfd.readouterr() == ("", "")


def test_progress_is_what_the_tasks_counted_and_ends_at_the_total(tmp_path: Path) -> None:
    reports: list[Progress] = []
    with watched(tmp_path, 120, reports.append):
        for document in Ticks(tmp_path).run(iter([Document("x", "x")] * 120)):
            assert document.id == "x"
        while not reports:
            sleep(0.05)
    assert reports[0] == Progress(100, 120, "documents")
    assert reports[-1] == Progress(120, 120, "documents")


def test_a_run_that_fails_does_not_report_its_total(tmp_path: Path) -> None:
    reports: list[Progress] = []
    with pytest.raises(Unpicklable), watched(tmp_path, 120, reports.append):
        raise Unpicklable("the start", "it broke")
    assert reports == []
