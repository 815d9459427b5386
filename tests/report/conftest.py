"""A small run written by hand: rows and manifests of every stage of a plan, with numbers that a test can add up."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.builders import LANGUAGE, recipe_folder
from tests.report.instructions import LABELLED
from xirecipe.artifact import Manifest
from xirecipe.compile import compile_recipe
from xirecipe.plan import Plan
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.tables import Row

URDU = {
    "code": "urd_Arab", "name": "Urdu", "native_name": "اردو", "hub_code": "ur", "lid_labels": ["ur"],
    "direction": "rtl",
}  # fmt: skip
#: Original sentences; documents are made of them in turn.
SENTENCES = {
    "swh_Latn": (
        "Mvua imenyesha sana mjini leo asubuhi.", "Watoto walikwenda shuleni wakiwa na miavuli.",
        "Bei ya mahindi imepanda tena sokoni.", "Fundi alitengeneza mlango wa nyumba yetu.",
    ),
    "urd_Arab": (
        "آج صبح شہر میں بہت بارش ہوئی۔", "بچے چھتریاں لے کر اسکول گئے۔", "بازار میں مکئی کی قیمت پھر بڑھ گئی ہے۔",
        "بڑھئی نے ہمارے گھر کا دروازہ ٹھیک کیا۔",
    ),
}  # fmt: skip
DOCUMENTS = 40
BELOW = ("d03", "d11", "d19", "d27", "d35")
TOO_SHORT = 12
#: Reasons by stage, as the manifests count them.
DROPPED: dict[str, list[tuple[str, str, float | None, float | None, str]]] = {
    "corpus": [(f"short{i:02}", "length.min_chars", 3.0, 5.0, "") for i in range(TOO_SHORT)]
    + [
        ("english1", "language.expected", 0.01, 0.96, "en 0.960"),
        ("english2", "language.expected", 0.03, 0.94, "en 0.940"),
        ("arabic1", "language.expected", 0.02, 0.99, "ar 0.990"),
        ("unsure1", "language.min_score", 0.05, 0.2, ""),
    ],
    "select": [(name, "select.min_score", 1.2, 2.0, "") for name in BELOW]
    + [("d00-again", "select.best_draw", 2.5, 2.9, "draw 0 of this document is better")],
}


@dataclass
class Run:
    """What a test may change before `build` writes the run."""

    root: Path
    changes: dict[str, Any] = field(default_factory=dict)
    language: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Facts of manifests by the stage's label."""
    stops_before: str | None = None
    """A stage's label: it and those after it are not done."""
    change_row: Callable[[Row], Row] = lambda row: row

    def in_urdu(self) -> None:
        self.language = URDU
        self.changes |= {"language": "urd_Arab"}

    def plan(self) -> Plan:
        folder = recipe_folder(self.root)
        # Enough pairs for a rating set.
        pairs = [{"id": f"p{i}", "instruction": f"Describe house {i}.", "response": f"Nyumba {i}."} for i in range(6)]
        folder.json_lines("seed.jsonl", pairs)
        facts = LANGUAGE | self.language
        folder.write(f"languages/{facts['code']}.yaml", facts)
        return compile_recipe(folder.recipe(self.changes))

    def build(self) -> tuple[Plan, Store]:
        plan, store = self.plan(), Store(self.root / "store")
        rows = [self._row(i, plan.language.code) for i in range(DOCUMENTS)]
        extra = rows[0] | {"document_id": "d00-again", "score": 2.5, "rubric_score": 2.5}
        for stage in plan.stages:
            if stage.label == self.stops_before:
                break
            rows = self._write(stage, store, rows, extra)
        return plan, store

    def _write(self, stage: Stage, store: Store, rows: list[Row], extra: Row) -> list[Row]:
        artifact = store.artifact(stage.kind, stage.fingerprint)
        store.start(artifact)
        names = [column.name for column in stage.columns]
        lost = DROPPED.get(stage.kind, [])
        gone = {name for name, *_ in lost}
        kept = [row for row in rows if row["document_id"] not in gone]
        known = {row["document_id"]: row for row in [*rows, extra]}
        dropped = [
            {
                **known.get(name, rows[0] | {"document_id": name, "text": f"Habari {name}."}),
                "reason": reason, "value": value, "threshold": threshold, "detail": detail,
            }
            for name, reason, value, threshold, detail in lost
        ]  # fmt: skip
        _table(artifact.data, kept, names)
        _table(
            artifact.dropped, [self.change_row(r) for r in dropped], [*names, "reason", "value", "threshold", "detail"]
        )
        manifest = Manifest(
            stage=stage.kind, fingerprint=stage.fingerprint, payload=stage.payload, rows_in=len(kept) + len(dropped),
            asked=len(kept) + len(dropped), kept=len(kept), dropped=dict(Counter(r["reason"] for r in dropped)),
            calls=7 if stage.model else 0, prompt_tokens=70 if stage.model else 0, seconds=30.0,
            facts=self.facts.get(stage.label, {}), recipe="tiny-swh", tool="0.1.0",
            versions={"pyarrow": "26.0.1"}, finished="2026-11-21T04:00:00+00:00",
        )  # fmt: skip
        artifact.write_manifest(manifest)
        return kept

    def _row(self, number: int, language: str) -> Row:
        name, sentences = f"d{number:02}", SENTENCES[language]
        score = 1.2 if name in BELOW else 2.0 + (number * 7 % 40) / 40
        centre = number % 4
        noise = random.Random(number)
        vector = [float(i == centre) + 0.2 * noise.random() for i in range(8)]
        length = math.sqrt(sum(x * x for x in vector))
        text = " ".join(sentences[(number + i) % len(sentences)] for i in range(2 + number % 12))
        return self.change_row(
            {
                "document_id": name, "text": text, "source": "web", "url": "", "language": language,
                "language_score": 0.5 + number / 100, "masked": 0, "cut_chars": 0, "draw": 0,
                "instruction": LABELLED[number][0], "round": number % 2, "rubric_score": score, "likelihood_gain": None,
                "similarity": 0.8, "embedding": [x / length for x in vector], "cluster": centre, "score": score,
                "style": "plain", "prompt": "", "split": "test" if number % 10 == 0 else "train",
            }
        )  # fmt: skip


def _table(folder: Path, rows: list[Row], names: list[str]) -> None:
    if rows:
        folder.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
        pq.write_table(table, folder / "part-00000.parquet")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "recipes")
