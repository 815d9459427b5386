"""How the corpus and dedup tests run a stage: real datatrove, in a folder of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from xirecipe import tables
from xirecipe.artifact import Artifact
from xirecipe.columns import columns_after
from xirecipe.engines.datatrove import run_corpus, run_dedup
from xirecipe.recipe.corpus import Corpus, Dedup
from xirecipe.recipe.language import Language
from xirecipe.settings import FilterOrder, Settings
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.work import Outcome, Progress, Work

SWAHILI = Language(
    code="swh_Latn", name="Swahili", native_name="Kiswahili", hub_code="sw", lid_labels=("sw",), sources=("tests",)
)


@dataclass(frozen=True)
class Finished:
    """A stage that ran: what it counted, what it wrote, how far it said it was."""

    outcome: Outcome
    kept: list[tables.Row]
    dropped: list[tables.Row]
    failed: list[tables.Row]
    reports: list[Progress]
    artifact: Artifact

    @property
    def reasons(self) -> dict[str, str]:
        return {row["document_id"]: row["reason"] for row in self.dropped + self.failed}

    @property
    def balances(self) -> bool:
        o = self.outcome
        counted = o.asked == o.rows_in == o.kept + sum(o.dropped.values()) + sum(o.failed.values())
        written = (len(self.kept), len(self.dropped), len(self.failed))
        return counted and written == (o.kept, sum(o.dropped.values()), sum(o.failed.values()))


Run = Callable[..., Finished]


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[[str, Sequence[dict[str, Any] | bytes]], Path]:
    """Writes JSON Lines under `tmp_path`: `jsonl("web.jsonl", [{...}, b"as it is"])`."""

    def write(name: str, rows: Sequence[dict[str, Any] | bytes]) -> Path:
        lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    return write


@pytest.fixture
def corpus(tmp_path: Path) -> Run:
    """Runs the corpus stage: `corpus(sources, filters={...}, limit=..., workers=...)`; paths relative to `tmp_path`."""

    def run(
        sources: dict[str, Any], *, limit: int | None = None, workers: int = 1,
        filter_order: FilterOrder = "declared", **sections: Any,
    ) -> Finished:  # fmt: skip
        described = {name: {"license": "cc0-1.0", "format": "jsonl"} | source for name, source in sources.items()}
        config = Corpus.model_validate({"sources": described} | sections)
        stage = Stage("corpus", config, SWAHILI, limit=limit, root=tmp_path)
        return _run(run_corpus, stage, {}, tmp_path, workers, filter_order)

    return run


@pytest.fixture
def dedup(tmp_path: Path) -> Run:
    """Runs the dedup stage over texts, whose ids are `a`, `b`, ...: `dedup(["...", ...], minhash=None)`."""

    def run(texts: Sequence[str], *, workers: int = 1, **config: Any) -> Finished:
        given = Artifact(tmp_path / "given")
        rows = [{"document_id": chr(ord("a") + index), "text": text} for index, text in enumerate(texts)]
        given.data.mkdir(parents=True, exist_ok=True)
        tables.write(given.data, rows, columns_after("corpus"))
        stage = Stage("dedup", Dedup.model_validate(config), SWAHILI)
        return _run(run_dedup, stage, {"corpus": given}, tmp_path, workers)

    return run


def _run(
    engine: Callable[[Work], Outcome], stage: Stage, inputs: Any, folder: Path, workers: int,
    filter_order: FilterOrder = "declared",
) -> Finished:  # fmt: skip
    store = Store(folder / "store")
    artifact = store.artifact(stage.kind, stage.fingerprint)
    store.start(artifact)
    reports: list[Progress] = []
    settings = Settings(workers=workers, filter_order=filter_order)
    outcome = engine(Work(stage, inputs, artifact, store, settings, reports.append))
    rows = [list(tables.read(part)) for part in (artifact.data, artifact.dropped, artifact.failed)]
    return Finished(outcome, *rows, reports, artifact)
