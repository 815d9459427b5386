"""A recipe under one profile as a folder has it, read without leaving the folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xirecipe.compile import compile_recipe
from xirecipe.diagnostics import Diagnostic, Span, UserError
from xirecipe.lint import lint
from xirecipe.lint_mixing import lint_mixing
from xirecipe.load import load
from xirecipe.loaded import Loaded, shown_name, with_origin
from xirecipe.overlay import Tree
from xirecipe.plan import AnyPlan, MixPlan
from xirecipe.recipe.corpus import FileSource, HubSource
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.mixing import FileVersion, HubVersion
from xirecipe.recipe.recipe import Recipe
from xirecipe.reviewing.snapshots import is_plain
from xirecipe.source_files import source_files

#: Stands for a source outside the recipe folder: a file that is not there, and whose content is a given.
_ELSEWHERE = "source-outside-the-recipe-folder"
#: Documents for which a plan is costed where its recipe does not say how many there are.
SAMPLED_DOCUMENTS = 1_000
_SLOT = re.compile(r"[A-Za-z0-9][\w-]*(/[A-Za-z0-9][\w-]*)?")


@dataclass(frozen=True)
class State:
    """What a folder makes of a recipe under one profile. With errors there is no plan."""

    profile: str
    profiles: tuple[str, ...]
    plan: AnyPlan | None
    limited: AnyPlan | None
    """The plan over SAMPLED_DOCUMENTS documents, where their number is not known."""
    tree: Tree
    diagnostics: tuple[Diagnostic, ...]
    """Files named as the reader knows them, not where the copy lies."""
    reads: frozenset[str]
    """Files of the folder that it hangs on."""
    prompts: dict[str, str]
    """Texts of its templates, those that answers are judged by included."""
    outside: tuple[str, ...]
    """Sources outside the folder. They are not looked at: a stranger's recipe may name any path of this machine."""

    @property
    def errors(self) -> int:
        return sum(d.severity == "error" for d in self.diagnostics)


def read_state(folder: Path, recipe: str, profile: str | None, shown: str) -> State:
    """Read `recipe` in a copy of a recipe folder. `shown` is what people call the folder, such as `recipes`.

    Never raises for what the files say.
    """
    path = folder / recipe
    loaded = load(path, profile)
    outside = dict(_outside(loaded.recipe, folder)) if loaded.recipe else {}
    strange = [name for _, name in outside if not _SLOT.fullmatch(name)]
    if strange:
        problem = Diagnostic(
            "outside-source", "a source with an odd name lies outside the recipe folder", Span(str(path))
        )
        loaded.diagnostics.append(problem)
        return _state(loaded, None, None, folder, shown, tuple(outside.values()))
    overrides = [f"{_section(role, name)}.path={_ELSEWHERE}" for role, name in outside]
    if overrides:
        loaded = load(path, profile, overrides)
    loaded.diagnostics += with_origin([*lint(loaded), *lint_mixing(loaded)], loaded)
    loaded.diagnostics = [d for d in loaded.diagnostics if _ELSEWHERE not in d.message]
    plan = limited = None
    if not any(d.severity == "error" for d in loaded.diagnostics):
        contents = {f"{role}:{name}": f"outside {where}" for (role, name), where in outside.items()}
        try:
            plan = compile_recipe(path, profile, overrides, contents=contents)
            if _is_of_unknown_size(plan):
                limited = compile_recipe(path, profile, overrides, SAMPLED_DOCUMENTS, contents=contents)
        except UserError as error:
            loaded.diagnostics += error.diagnostics
    return _state(loaded, plan, limited, folder, shown, tuple(outside.values()))


def _state(
    loaded: Loaded, plan: AnyPlan | None, limited: AnyPlan | None, folder: Path, shown: str, outside: tuple[str, ...]
) -> State:
    reads = {*loaded.files}
    if plan is not None:
        reads |= {*plan.files, *plan.attachments, *_source_paths(plan.recipe, folder)}
    reads |= {path for path in _named(loaded.recipe) if is_plain(path) and (folder / path).is_file()}
    prompts = {
        path: (folder / path).read_text(encoding="utf-8", errors="replace")
        for path in sorted(reads)
        if path.endswith(".j2")
    }
    return State(
        loaded.profile or "", loaded.profiles, plan, limited, _renamed(loaded.tree, folder, shown),
        tuple(_relocated(d, folder, shown) for d in loaded.diagnostics), frozenset(reads), prompts,
        outside,
    )  # fmt: skip


def _named(recipe: Recipe | MixRecipe | None) -> Iterator[str]:
    """Templates, prompt sets and answers held out that a recipe names, also one that has no plan."""
    sections = vars(recipe) if recipe else {}
    if generate := sections.get("generate"):
        yield generate.prompt
    if judge := sections.get("judge"):
        yield from (part.prompt for part in (judge.rubric, judge.likelihood) if part)
    for translate in (sections.get("translate") or {}).values():
        yield translate.prompt
    if evaluate := sections.get("evaluate"):
        yield from evaluate.files


def _is_of_unknown_size(plan: AnyPlan) -> bool:
    """Whether a plan reads something of which the recipe does not say how many rows it has."""
    if isinstance(plan, MixPlan):
        datasets = (plan.recipe.datasets[name] for name in plan.recipe.used_datasets)
        return any(isinstance(version, HubVersion) for dataset in datasets for version in dataset.versions.values())
    assert isinstance(plan.recipe, Recipe)
    return any(isinstance(s, HubSource) and s.documents is None for s in plan.recipe.corpus.sources.values())


def _section(role: str, name: str) -> str:
    """Where the recipe has a source."""
    if role == "version":
        dataset, _, language = name.partition("/")
        return f"datasets.{dataset}.versions.{language}"
    return f"{'corpus.sources' if role == 'source' else 'decontaminate.evaluations'}.{name}"


def _sources(recipe: Recipe | MixRecipe) -> Iterator[tuple[tuple[str, str], FileSource | FileVersion]]:
    """Local sources, evaluations and datasets of a recipe that may lack sections, by role and name."""
    datasets = vars(recipe).get("datasets") or {}
    for name, dataset in datasets.items():
        for code, version in dataset.versions.items():
            if isinstance(version, FileVersion):
                yield ("version", f"{name}/{code}"), version
    corpus = vars(recipe).get("corpus")
    decontaminate = vars(recipe).get("decontaminate")
    slots: list[tuple[str, Mapping[str, Any]]] = [
        ("source", corpus.sources if corpus else {}),
        ("evaluation", decontaminate.evaluations if decontaminate else {}),
    ]
    for role, sources in slots:
        for name, source in sources.items():
            if isinstance(source, FileSource):
                yield (role, name), source


def _outside(recipe: Recipe | MixRecipe, folder: Path) -> Iterator[tuple[tuple[str, str], str]]:
    for key, source in _sources(recipe):
        try:
            resolved = (folder / source.path).resolve()
            inside = resolved.is_relative_to(folder.resolve()) and resolved != folder.resolve()
        except (OSError, RuntimeError, ValueError):
            inside = False
        if not inside:
            yield key, source.path


def _source_paths(recipe: Recipe | MixRecipe, folder: Path) -> Iterator[str]:
    for _, source in _sources(recipe):
        if source.path != _ELSEWHERE:
            for file in source_files(folder, source):
                yield file.relative_to(folder).as_posix()


def _relocated(d: Diagnostic, folder: Path, shown: str) -> Diagnostic:
    def name(text: str) -> str:
        return text.replace(shown_name(folder), shown)

    return replace(
        d, message=name(d.message), hint=name(d.hint) if d.hint else None, notes=tuple(name(n) for n in d.notes),
        span=replace(d.span, file=name(d.span.file)) if d.span else None,
    )  # fmt: skip


def _renamed(tree: Tree, folder: Path, shown: str) -> Tree:
    keys, values = (
        {p: replace(s, file=s.file.replace(shown_name(folder), shown)) for p, s in table.items()}
        for table in (tree.keys, tree.values)
    )
    return Tree(tree.data, keys, values)
