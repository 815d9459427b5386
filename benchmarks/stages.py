"""One stage run alone, as `xirecipe run` runs it, without a plan around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from xirecipe.artifact import Artifact
from xirecipe.columns import StageKind
from xirecipe.load import load_language
from xirecipe.run import run_stage
from xirecipe.settings import Settings
from xirecipe.stage import Config, Stage
from xirecipe.store import Store
from xirecipe.work import Outcome, Work

LANGUAGES = Path(__file__).parents[1] / "recipes" / "languages"


def run_alone(
    kind: StageKind, config: Config, folder: Path, inputs: Mapping[str, Path], *, workers: int = 2
) -> Outcome:
    """Run a stage into `folder`/<its artifact>, over finished artifacts that lie in `inputs`."""
    facts, problems, _ = load_language(LANGUAGES / "swh_Latn.yaml")
    assert facts is not None, problems
    earlier: dict[StageKind, tuple[StageKind, ...]] = {
        "dedup": ("corpus",),
        "cluster": ("corpus", "generate", "judge", "embed"),
    }
    lineage: tuple[Stage, ...] = ()
    for name in earlier.get(kind, ()):
        lineage = (Stage(name, config, facts, inputs=lineage),)
    stage = Stage(kind, config, facts, inputs=lineage, root=Path("/"))
    store = Store(folder)
    artifact = Artifact(folder / kind)
    store.start(artifact)
    found = {name: Artifact(path) for name, path in inputs.items()}
    return run_stage(Work(stage, found, artifact, store, Settings(workers=workers), lambda progress: None, None))
