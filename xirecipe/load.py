"""From a recipe file to a Recipe: `extends`, the language's facts, a profile and `--set` laid over one another."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from xirecipe import yaml
from xirecipe.diagnostics import Diagnostic, Sources, Span, UserError, did_you_mean
from xirecipe.overlay import Tree, lay
from xirecipe.recipe.language import Language
from xirecipe.recipe.recipe import Recipe
from xirecipe.schema_errors import diagnose, offending_path

AnyModel = TypeVar("AnyModel", bound=BaseModel)

DEFAULT_PROFILE = "sample"
#: Bases of bases: deeper than this is a mistake, not a design.
MAX_EXTENDS = 8


@dataclass
class Loaded:
    """A recipe file as far as it could be understood. `recipe` is None when diagnostics forbid it."""

    path: Path
    root: Path
    profile: str | None
    tree: Tree
    sources: Sources
    diagnostics: list[Diagnostic] = field(default_factory=list)
    recipe: Recipe | None = None
    language: Language | None = None
    profiles: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    """Texts of the recipe, its bases and its language, by path relative to the recipe folder."""

    def span(self, *path: str | int) -> Span:
        return self.tree.span(path) or Span(shown_name(self.path))

    def key_span(self, *path: str | int) -> Span:
        return self.tree.key_span(path) or Span(shown_name(self.path))


def shown_name(path: Path) -> str:
    """A path as a person in this directory would type it."""
    with contextlib.suppress(ValueError):
        return path.resolve().relative_to(Path.cwd()).as_posix()
    return path.as_posix()


def load(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> Loaded:
    """Read one recipe under one profile (`sample` where the recipe has it and none is named).

    Never raises for what the files say: every problem is in `diagnostics`.
    """
    loaded = Loaded(path, path.resolve().parent, profile, Tree(), Sources(), overrides=tuple(overrides))
    with _collecting(loaded):
        stacked = Tree()
        for document in _chain(path, loaded):
            stacked = lay(stacked, Tree.of(document).without("extends"))
        loaded.tree = stacked
        profiles = stacked.data.get("profiles", {})
        if not isinstance(profiles, dict):
            message = "`profiles` must be a mapping of names to overlays"
            raise UserError([Diagnostic("wrong-type", message, stacked.span(("profiles",)))])
        loaded.profiles = tuple(profiles)
        loaded.tree = _with_profile(loaded, stacked, profile)
        for override in overrides:
            loaded.tree = lay(loaded.tree, _override(override))
        _add_language(loaded)
        loaded.recipe, found = _validated(Recipe, loaded.tree, shown_name(path))
        loaded.diagnostics += _with_origin(found, loaded)
    return loaded


def load_language(path: Path) -> tuple[Language | None, list[Diagnostic], Sources]:
    """Read a language file by itself."""
    shown, sources = shown_name(path), Sources()
    try:
        document = yaml.read(path, shown)
    except UserError as error:
        return None, list(error.diagnostics), sources
    sources.texts[shown] = document.text
    language, found = _validated(Language, Tree.of(document), shown)
    if language is not None and language.code != path.stem:
        span = document.values.get(("code",))
        found.append(Diagnostic("bad-value", f"`code` is {language.code} but the file is {path.name}", span))
    return language, found, sources


@contextlib.contextmanager
def _collecting(loaded: Loaded) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        loaded.diagnostics += error.diagnostics


def _chain(path: Path, loaded: Loaded) -> list[yaml.Document]:
    """The recipe's documents, farthest base first."""
    documents: list[yaml.Document] = []
    seen: list[Path] = []
    current = path.resolve()
    origin: Span | None = None
    while True:
        shown = shown_name(current)
        if origin and not current.is_file():
            hint = did_you_mean(current.name, [p.name for p in current.parent.glob("*.yaml")])
            raise UserError([Diagnostic("missing-base", f"{shown} does not exist", origin, hint)])
        document = yaml.read(current, shown)
        loaded.sources.texts[shown] = document.text
        loaded.files[current.relative_to(loaded.root).as_posix()] = document.text
        documents.append(document)
        seen.append(current)
        target = document.data.get("extends")
        if target is None:
            return documents[::-1]
        origin = document.values.get(("extends",)) or Span(shown)
        if not isinstance(target, str):
            raise UserError([Diagnostic("wrong-type", "`extends` must be the path of one recipe", origin)])
        current = inside(loaded.root, target, origin, "extends")
        if current in seen:
            way = " -> ".join(shown_name(p) for p in [*seen[seen.index(current) :], current])
            raise UserError([Diagnostic("looping-extends", f"`extends` comes back to itself: {way}", origin)])
        if len(seen) >= MAX_EXTENDS:
            raise UserError([Diagnostic("looping-extends", f"more than {MAX_EXTENDS} bases", origin)])


def inside(root: Path, target: str, span: Span | None, what: str) -> Path:
    """A path below the recipe folder. Raises UserError when it leaves it, symbolic links followed."""
    resolved = (root / target).resolve()
    if not resolved.is_relative_to(root.resolve()):
        message = f"`{what}: {target}` leaves the recipe folder"
        hint = f"put the file below {shown_name(root)}/"
        raise UserError([Diagnostic("escaping-path", message, span, hint)])
    return resolved


def _with_profile(loaded: Loaded, stacked: Tree, profile: str | None) -> Tree:
    chosen = profile or (DEFAULT_PROFILE if DEFAULT_PROFILE in loaded.profiles else None)
    loaded.profile = chosen
    plain = stacked.without("profiles")
    if chosen is None:
        return plain
    if chosen not in loaded.profiles:
        message = f"{shown_name(loaded.path)} has no profile `{chosen}`"
        hint = did_you_mean(chosen, loaded.profiles) or "it has no profiles"
        loaded.diagnostics.append(Diagnostic("unknown-profile", message, stacked.key_span(("profiles",)), hint))
        return plain
    return lay(plain, stacked.part("profiles", chosen))


def _override(text: str) -> Tree:
    """`a.b.c=value` as a tree; the value is read as YAML."""
    key, equals, value = text.partition("=")
    shown = f"--set {text}"
    if not equals or not all(key.split(".")):
        message = f"`{shown}` is not KEY=VALUE"
        raise UserError([Diagnostic("bad-override", message, hint="such as `--set select.min_score=2.5`")])
    tree = Tree.of(yaml.parse(f"value: {value}", shown)).data["value"]
    path = tuple(key.split("."))
    under = Tree({path[0]: tree}) if len(path) == 1 else Tree(tree if isinstance(tree, dict) else {}).under(*path)
    if not isinstance(tree, dict) and len(path) > 1:
        under = Tree({path[-1]: tree}).under(*path[:-1])
    spans = {path[:n]: Span(shown) for n in range(1, len(path) + 1)}
    return Tree(under.data, dict(spans), dict(spans))


def _add_language(loaded: Loaded) -> None:
    code = loaded.tree.data.get("language")
    if not isinstance(code, str):
        return
    folder = loaded.root / "languages"
    file = folder / f"{code}.yaml"
    span = loaded.span("language")
    if "/" in code or "\\" in code or not file.is_file():
        known = sorted(p.stem for p in folder.glob("*.yaml"))
        hint = did_you_mean(code, known) or f"write {shown_name(folder)}/<code>.yaml (see CONTRIBUTING.md)"
        raise UserError([Diagnostic("unknown-language", f"there is no language file for `{code}`", span, hint)])
    loaded.language, found, sources = load_language(file)
    loaded.diagnostics += found
    loaded.sources.texts |= sources.texts
    if loaded.language is None:
        return
    document = yaml.read(file, shown_name(file))
    loaded.files[file.relative_to(loaded.root).as_posix()] = document.text
    facts = Tree.of(document).part("filters").under("corpus", "filters")
    loaded.tree = lay(facts, loaded.tree)


def _validated(model: type[AnyModel], tree: Tree, file: str) -> tuple[AnyModel | None, list[Diagnostic]]:
    try:
        return model.model_validate(tree.data), []
    except ValidationError as error:
        return _mended(model, tree, error), diagnose(error, model, tree, file)


def _mended(model: type[AnyModel], tree: Tree, error: ValidationError) -> AnyModel | None:
    """The recipe without its wrong values, so that the rules of `lint` can be checked in the same run."""
    data = copy.deepcopy(tree.data)
    for item in error.errors(include_url=False):
        path = offending_path(dict(item), tree.data)
        owner: Any = data
        for part in path[:-1]:
            owner = owner.get(part) if isinstance(owner, dict) else None
        if isinstance(owner, dict) and path:
            owner.pop(path[-1], None)
    with contextlib.suppress(ValidationError):
        return model.model_validate(data)
    return None


def _with_origin(found: list[Diagnostic], loaded: Loaded) -> list[Diagnostic]:
    """Problems written in a base or a language file say which recipe they were met in."""
    shown = shown_name(loaded.path)
    result = []
    for d in found:
        if d.span is not None and d.span.file != shown and not d.span.file.startswith("--set"):
            d = Diagnostic(d.code, d.message, d.span, d.hint, (*d.notes, f"inherited by {shown}"), d.severity)
        result.append(d)
    return result
