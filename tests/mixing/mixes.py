"""Small mixing recipes in a folder of a test, and runs of whole ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.builders import REPOSITORY, Folder, changed
from xirecipe import tables
from xirecipe.artifact import Manifest
from xirecipe.compile import compile_recipe
from xirecipe.plan import MixPlan
from xirecipe.run import StageDone, run_plan
from xirecipe.settings import Settings
from xirecipe.store import Store
from xirecipe.tables import Row

RECIPES = REPOSITORY / "recipes"
#: Two languages beside English, with names for one another.
NAMES = {"eng_Latn": "English", "swh_Latn": "Swahili", "fin_Latn": "Finnish"}
MIX: dict[str, Any] = {
    "name": "tiny-mix",
    "version": "1.0.0-dev",
    "datasets": {
        "parallel": {
            "license": "cc0-1.0",
            "versions": {code: {"format": "jsonl", "path": f"{code}.jsonl"} for code in NAMES},
        }
    },
    "answer_in": {
        "eng_Latn": {"phrase": "Answer in {{ name }}."},
        "swh_Latn": {"phrase": "Jibu kwa {{ name }}.", "names": {"eng_Latn": "Kiingereza", "fin_Latn": "Kifini"}},
        "fin_Latn": {"phrase": "Vastaa {{ name }}.", "names": {"eng_Latn": "englanniksi", "swh_Latn": "suahiliksi"}},
    },
    "mix": {
        "parts": {"cross": {"dataset": "parallel", "shape": "cross_lingual", "directions": ["en->x", "x->en"]}},
    },
    "card": {"title": "Tiny", "summary": "s", "uses": "u", "not_for": "n", "biases": "b"},
    "release": {"license": "cc0-1.0"},
}


def mix_folder(root: Path, rows: int = 10, without: dict[str, Iterable[str]] | None = None) -> Folder:
    """A folder with `tiny.yaml`, in which nothing is wrong. `without`: ids that a language lacks."""
    folder = Folder(root)
    for code, name in NAMES.items():
        folder.write(
            f"languages/{code}.yaml",
            {
                "code": code, "name": name, "native_name": name, "hub_code": code[:2], "lid_labels": [code[:2]],
                "sources": ["made up for a test"],
            },
        )  # fmt: skip
        lacking = set((without or {}).get(code, ()))
        ids = [name for name in map(str, range(rows)) if name not in lacking]
        folder.json_lines(f"{code}.jsonl", [pair(code, i) for i in ids])
    folder.write("tiny.yaml", MIX)
    return folder


def pair(code: str, id: str) -> dict[str, str]:
    return {"id": id, "instruction": f"{code} asks {id}", "response": f"{code} says {id}"}


def mix(folder: Folder, changes: dict[str, Any]) -> Path:
    """The recipe, changed at dotted keys; a value of `...` takes the key away."""
    return folder.write("tiny.yaml", changed(MIX, changes))


@dataclass
class Ran:
    """A plan after its run."""

    plan: MixPlan
    store: Store
    stages: list[StageDone]

    @property
    def manifests(self) -> dict[str, Manifest]:
        return {done.stage.label: done.manifest for done in self.stages}

    def rows(self, label: str = "mix") -> list[Row]:
        stage = next(s for s in self.plan.stages if s.label == label)
        return list(tables.read(self.store.artifact(stage.kind, stage.fingerprint).data))

    def lost(self, label: str) -> list[Row]:
        stage = next(s for s in self.plan.stages if s.label == label)
        artifact = self.store.artifact(stage.kind, stage.fingerprint)
        return [*tables.read(artifact.dropped), *tables.read(artifact.failed)]


def run(
    recipe: Path, store: Path, profile: str | None = None, overrides: Sequence[str] = (), limit: int | None = None
) -> Ran:
    """Run a mixing recipe in this process; every manifest must add up."""
    plan = compile_recipe(recipe, profile, overrides, limit)
    assert isinstance(plan, MixPlan)
    place = Store(store)
    ran = Ran(plan, place, run_plan(plan, place, Settings(store=store, workers=1)))
    for done in ran.stages:
        assert done.manifest.balanced, done.stage.label
        fed = sum(ran.manifests[given.label].kept for given in done.stage.feeding)
        assert not done.stage.inputs or done.manifest.rows_in == fed, done.stage.label
    return ran
