"""Steps of a pipeline that tests run on other processes: importable there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep


class Slow(PipelineStep):
    """Says which process it runs in, and takes its time the first time."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        with (self.folder / f"{rank}.pids").open("a") as file:
            file.write(f"{os.getpid()}\n")
        first = len((self.folder / f"{rank}.pids").read_text().split()) == 1
        time.sleep(8 if first and rank == 1 else 0.2)
        self.stat_update("documents")
        yield Document(f"text {rank}", str(rank))


class Failing(PipelineStep):
    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        yield Document("x", "x")
        if rank == 1:
            raise LookupError("it broke")
