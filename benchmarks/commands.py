"""How long the commands take that do no work: from the prompt back to the prompt, the best of some runs.

python -m benchmarks.commands [--runs 5]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.table import Comparison, show

RECIPES = Path(__file__).parents[1] / "recipes"
RECIPE = "swahili.yaml"
ROWS = 100_000
PLANS = 100


def seconds(arguments: Sequence[str], folder: Path, runs: int) -> float:
    """The fastest of some runs of a command in `folder`. Raises CalledProcessError."""
    found = []
    source = os.pathsep.join([str(RECIPES.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": source, "XIRECIPE_STORE": str(folder / "store")}
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - begun)
    return min(found)


def finish(recipe: Path, rows: int, store_folder: Path) -> None:
    """Lay down finished artifacts of so many rows for every stage of a recipe, as a run would have left them."""
    import pyarrow as pa

    from xirecipe.artifact import Manifest
    from xirecipe.compile import compile_recipe
    from xirecipe.store import Store
    from xirecipe.tables import schema, write_batches
    from xirecipe.work import Outcome

    store = Store(store_folder)
    ids = pa.array([f"document-{number}" for number in range(rows)])
    for stage in compile_recipe(recipe, "sample", [], None, store_folder / "hashes.json").stages:
        artifact = store.artifact(stage.kind, stage.fingerprint)
        store.start(artifact)
        cells = {field.name: pa.nulls(rows, field.type) for field in schema(stage.columns)} | {"document_id": ids}
        write_batches(artifact.data, [pa.RecordBatch.from_pydict(cells)], stage.columns)
        made = {"recipe": "benchmark", "tool": "", "versions": {}, "finished": "2026-01-01T00:00:00+00:00"}
        artifact.write_manifest(
            Manifest(
                stage=stage.kind, fingerprint=stage.fingerprint, payload=stage.payload, seconds=1.0, **made,
                **asdict(Outcome(rows, rows, rows)),
            )
        )  # fmt: skip


def compare(runs: int, folder: Path) -> Iterator[Comparison]:
    shutil.copytree(RECIPES, folder / "recipes")
    recipe = f"recipes/{RECIPE}"
    xirecipe = ["-m", "xirecipe"]
    plans = (
        "import sys; from pathlib import Path; from xirecipe.commands.plan import run_plan_command as plan\n"
        f"for _ in range({PLANS}): assert plan(Path({recipe!r}), None, [], None, False) == 0"
    )
    yield _line("`--help`", seconds([*xirecipe, "--help"], folder, runs), 0.3)
    yield _line("`check` of a recipe", seconds([*xirecipe, "check", recipe], folder, runs), 0.4)
    yield _line(f"`plan`, {PLANS} recipes in one process", seconds(["-c", plans], folder, max(1, runs // 2)), 3.0)
    finish(folder / recipe, ROWS, folder / "store")
    again = [*xirecipe, "run", recipe, "--to", "select"]
    yield _line(f"`run` with nothing to do, {ROWS:,} rows a stage, up to select", seconds(again, folder, runs), 1.5)


def _line(what: str, found: float, limit: float) -> Comparison:
    return Comparison(what, "limit", found, limit, "s", 1.0, less=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        show(compare(given.runs, Path(folder)))


if __name__ == "__main__":
    main()
