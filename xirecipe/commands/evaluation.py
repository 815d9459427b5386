"""What the metrics of `xirecipe evaluate` share: the recipe that was read, and a result that is made once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xirecipe import settings as settings_module
from xirecipe.compile import BrokenRecipe, check
from xirecipe.disk import explained
from xirecipe.engines.evaluating import Judge
from xirecipe.evaluating.files import Table
from xirecipe.evaluating.results import Evaluation, Results
from xirecipe.loaded import Loaded, inside, shown_name
from xirecipe.recipe.language import Language
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.models import Model
from xirecipe.recipe.recipe import Recipe
from xirecipe.settings import Settings
from xirecipe.spending import Spending
from xirecipe.store import Store
from xirecipe.terminal import console
from xirecipe.work import Progress

#: A result: where it lies, its summary, and whether it was made now.
Made = tuple[Evaluation, dict[str, Any], bool]


@dataclass(frozen=True)
class Session:
    """A recipe that was read, and where its evaluations go."""

    recipe: Recipe | MixRecipe
    language: Language
    languages: dict[str, Language]
    """Of every language that it has the facts of besides, see `load.Loaded`."""
    profile: str
    root: Path
    store: Store
    settings: Settings

    def template(self, prompt: str) -> str:
        """The text of a prompt in the recipe's folder."""
        return inside(self.root, prompt, None, "prompt").read_text(encoding="utf-8")


def open_recipe(path: Path, profile: str | None, overrides: Sequence[str]) -> Session:
    loaded: Loaded = check(path, profile, overrides)
    if any(d.severity == "error" for d in loaded.diagnostics) or not loaded.recipe or not loaded.language:
        raise BrokenRecipe(loaded)
    settings = settings_module.from_environment()
    store = Store.of(settings)
    store.check_layout()
    return Session(loaded.recipe, loaded.language, loaded.languages, loaded.profile or "", loaded.root, store, settings)


def make_once(
    session: Session,
    evaluation: Evaluation,
    model: Model,
    name: str,
    make: Callable[[Judge], Results],
    facts: dict[str, Any],
    *,
    retry_failed: bool,
) -> tuple[dict[str, Any], bool]:
    """The summary, and whether it was made now: done is done, but for failed requests when they are to be retried."""
    summary = evaluation.finished()
    if summary is not None and not (retry_failed and summary["failed_requests"]):
        return summary, False
    recipe = session.recipe
    budget = Spending(recipe.budget, recipe.rates)
    with session.store.locked(), explained(evaluation.folder), _progress() as report:
        judge = Judge(model, name, evaluation.folder, session.store, session.settings, budget, report)
        return evaluation.write(make(judge), recipe=recipe.name, profile=session.profile, **facts), True


def shown_files(files: dict[str, Table]) -> dict[str, Any]:
    return {
        name: {"path": shown_name(table.path), "rows": len(table.rows), "sha256": table.sha256}
        for name, table in files.items()
    }


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """Reports to stderr: a bar on a terminal, else two lines."""
    from rich.progress import Progress as Bars

    err = console(stderr=True)
    live = err.is_terminal and not os.environ.get("CI")
    last = Progress(0, None, "answers")
    with Bars(console=err, disable=not live) as bars:
        task = bars.add_task("evaluate", total=None)

        def report(progress: Progress) -> None:
            nonlocal last
            last = progress
            bars.update(task, completed=progress.done, total=progress.total)

        if not live:
            print("evaluate ...", file=sys.stderr, flush=True)
        yield report
        if not live:
            print(f"evaluate: {last.done:,} {last.unit}", file=sys.stderr, flush=True)
