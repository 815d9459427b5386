"""From a recipe file to a Recipe: `extends`, the language's facts, a profile and `--set` laid over one another."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from xirecipe import yaml
from xirecipe.diagnostics import Diagnostic, Sources, Span, UserError, did_you_mean
from xirecipe.loaded import Loaded, inside, shown_name, with_origin
from xirecipe.overlay import Tree, lay
from xirecipe.recipe.language import Language
from xirecipe.recipe.learning import SEEDS_PLACES
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.mixing import ENGLISH
from xirecipe.recipe.recipe import Recipe
from xirecipe.schema_errors import diagnose, offending_path
from xirecipe.yaml import Path_

AnyModel = TypeVar("AnyModel", bound=BaseModel)

DEFAULT_PROFILE = "sample"
_CODE = re.compile(r"[\w-]{1,40}")
#: Bases of bases: deeper than this is a mistake, not a design.
MAX_EXTENDS = 8


def load(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> Loaded:
    """Read one recipe under one profile (`sample` where the recipe has it and none is named).

    Never raises for what the files say: every problem is in `diagnostics`.
    """
    loaded = Loaded(path, path.resolve().parent, profile, Tree(), Sources(), overrides=tuple(overrides))
    documents: list[yaml.Document] = []
    with _collecting(loaded):
        for document in _chain(path, loaded):
            documents.append(document)
    if not documents:
        return loaded
    stacked = Tree()
    for document in reversed(documents):
        loaded.diagnostics += with_origin(document.problems, loaded)
        stacked = lay(stacked, Tree.of(document).without("extends"))
    # Where a base is missing, what it would have brought is not held against the recipe.
    complete = not loaded.diagnostics or all(d.code == "duplicate-key" for d in loaded.diagnostics)
    loaded.tree = _with_profile(loaded, stacked, profile)
    for override in overrides:
        with _collecting(loaded):
            loaded.tree = lay(loaded.tree, _override(override))
    found: list[Diagnostic]
    if "mix" in loaded.tree.data:
        _add_languages(loaded)
        _add_held_out_languages(loaded)
        loaded.recipe, found = _validated(MixRecipe, loaded.tree, shown_name(path))
    else:
        with _collecting(loaded):
            _add_language(loaded)
        _add_learnt_languages(loaded)
        _add_held_out_languages(loaded)
        loaded.recipe, found = _validated(Recipe, loaded.tree, shown_name(path))
    loaded.diagnostics += with_origin((d for d in found if complete or d.code != "missing-key"), loaded)
    return loaded


def load_language(path: Path) -> tuple[Language | None, list[Diagnostic], Sources]:
    """Read a language file by itself."""
    shown, sources = shown_name(path), Sources()
    try:
        document = yaml.read(path, shown)
    except UserError as error:
        return None, list(error.diagnostics), sources
    sources.texts[shown] = document.text
    language, problems = _validated(Language, Tree.of(document), shown)
    found = [*document.problems, *problems]
    code = document.data.get("code", path.stem)
    if isinstance(code, str) and code != path.stem:
        span = document.values.get(("code",))
        found.append(Diagnostic("bad-value", f"`code` is {code} but the file is {path.name}", span))
    return None if found else language, found, sources


@contextlib.contextmanager
def _collecting(loaded: Loaded) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        loaded.diagnostics += error.diagnostics


def _chain(path: Path, loaded: Loaded) -> Iterator[yaml.Document]:
    """The recipe's document, its base's, and so on. Raises UserError where the chain breaks."""
    seen: list[Path] = []
    current = path.resolve()
    origin: Span | None = None
    while True:
        shown = shown_name(current)
        if origin and not current.is_file():
            near = [p.relative_to(loaded.root).as_posix() for p in current.parent.glob("*.yaml") if p != seen[-1]]
            hint = did_you_mean(current.relative_to(loaded.root).as_posix(), near)
            raise UserError([Diagnostic("missing-base", f"{shown} does not exist", origin, hint)])
        document = yaml.read(current, shown)
        loaded.sources.texts[shown] = document.text
        loaded.files[current.relative_to(loaded.root).as_posix()] = document.text
        yield document
        seen.append(current)
        target = document.data.get("extends")
        if target is None:
            return
        origin = document.values.get(("extends",)) or Span(shown)
        if not isinstance(target, str):
            raise UserError([Diagnostic("wrong-type", "`extends` must be the path of one recipe", origin)])
        current = inside(loaded.root, target, origin, "extends")
        if current in seen:
            way = " -> ".join(shown_name(p) for p in [*seen[seen.index(current) :], current])
            raise UserError([Diagnostic("looping-extends", f"`extends` comes back to itself: {way}", origin)])
        if len(seen) >= MAX_EXTENDS:
            raise UserError([Diagnostic("looping-extends", f"more than {MAX_EXTENDS} bases", origin)])


def _with_profile(loaded: Loaded, stacked: Tree, profile: str | None) -> Tree:
    plain = stacked.without("profiles")
    profiles = stacked.data.get("profiles", {})
    if not isinstance(profiles, dict):
        message = "`profiles` must be a mapping of names to overlays"
        loaded.diagnostics.append(Diagnostic("wrong-type", message, stacked.span(("profiles",))))
        return plain
    loaded.profiles = tuple(profiles)
    chosen = profile or (DEFAULT_PROFILE if DEFAULT_PROFILE in profiles else None)
    loaded.profile = chosen
    if chosen is None:
        return plain
    if chosen not in loaded.profiles:
        message = f"{shown_name(loaded.path)} has no profile `{chosen}`"
        hint = did_you_mean(chosen, loaded.profiles) or "it has no profiles"
        loaded.diagnostics.append(Diagnostic("unknown-profile", message, stacked.key_span(("profiles",)), hint))
        return plain
    if not isinstance(profiles[chosen], dict):
        message = f"`profiles.{chosen}` must be a mapping of what it changes"
        hint = f"`{chosen}: {{}}` changes nothing"
        loaded.diagnostics.append(Diagnostic("wrong-type", message, stacked.span(("profiles", chosen)), hint))
        return plain
    return lay(plain, stacked.part("profiles", chosen))


def _override(text: str) -> Tree:
    """`a.b.c=value` as a tree; the value is read as YAML."""
    key, equals, value = text.partition("=")
    shown = f"--set {text}"
    if not equals or not all(key.split(".")):
        message = f"`{shown}` is not KEY=VALUE"
        raise UserError([Diagnostic("bad-override", message, hint="such as `--set select.min_score=2.5`")])
    try:
        tree = Tree.of(yaml.parse(f"value: {value}", shown)).data["value"]
    except UserError as error:
        raise UserError(replace(d, span=Span(shown, 0)) for d in error.diagnostics) from None
    path = tuple(key.split("."))
    under = Tree({path[0]: tree}) if len(path) == 1 else Tree(tree if isinstance(tree, dict) else {}).under(*path)
    if not isinstance(tree, dict) and len(path) > 1:
        under = Tree({path[-1]: tree}).under(*path[:-1])
    spans: dict[Path_, Span] = {path[:n]: Span(shown, 0) for n in range(1, len(path) + 1)}
    return Tree(under.data, dict(spans), dict(spans))


def _add_language(loaded: Loaded) -> None:
    code = loaded.tree.data.get("language")
    if not isinstance(code, str):
        return
    loaded.language = _language(loaded, code, loaded.span("language"))
    if loaded.language is None:
        return
    file = loaded.root / "languages" / f"{code}.yaml"
    facts = Tree.of(yaml.read(file, shown_name(file))).part("filters").under("corpus", "filters")
    loaded.tree = lay(facts, loaded.tree)


def _add_learnt_languages(loaded: Loaded) -> None:
    """The facts of every language that a seed beside the recipe's own is in."""
    for place in SEEDS_PLACES:
        for name, seed in loaded.tree.part(*place).data.items():
            code = seed.get("language") if isinstance(seed, dict) else None
            if isinstance(code, str):
                _add_facts(loaded, code, loaded.span(*place, name, "language"))


def _add_held_out_languages(loaded: Loaded) -> None:
    """The facts of every language that `evaluate.students` has answers in."""
    place = ("evaluate", "students", "held_out")
    for code in loaded.tree.part(*place).data:
        _add_facts(loaded, code, loaded.key_span(*place, code))


def _add_facts(loaded: Loaded, code: str, span: Span) -> None:
    if code not in loaded.languages:
        with _collecting(loaded):
            language = _language(loaded, code, span)
            loaded.languages |= {code: language} if language else {}


def _add_languages(loaded: Loaded) -> None:
    """The facts of English and of every language that a mixing recipe's datasets have or are translated into."""
    named: dict[str, Span] = {}
    for key, spot in (("datasets", "versions"), ("translate", "into")):
        slots = loaded.tree.data.get(key)
        for name, slot in slots.items() if isinstance(slots, dict) else ():
            codes = slot.get(spot) if isinstance(slot, dict) else None
            for index, code in enumerate(codes if isinstance(codes, dict | list) else ()):
                if isinstance(code, str):
                    at = loaded.key_span(key, name, spot, code) if isinstance(codes, dict) else None
                    named.setdefault(code, at or loaded.span(key, name, spot, index))
    for code, span in {ENGLISH: loaded.key_span("mix"), **named}.items():
        _add_facts(loaded, code, span)
    loaded.language = loaded.languages.get(ENGLISH)


def _language(loaded: Loaded, code: str, span: Span) -> Language | None:
    """The facts in `languages/<code>.yaml`; None where they are wrong. Raises UserError where there is no such file."""
    folder = loaded.root / "languages"
    file = folder / f"{code}.yaml"
    if not _CODE.fullmatch(code):
        return None
    if not inside(loaded.root, f"languages/{code}.yaml", span, "language").is_file():
        known = sorted(p.stem for p in folder.glob("*.yaml"))
        hint = did_you_mean(code, known) or f"write {shown_name(folder)}/<code>.yaml (see CONTRIBUTING.md)"
        raise UserError([Diagnostic("unknown-language", f"there is no language file for `{code}`", span, hint)])
    language, found, sources = load_language(file)
    loaded.sources.texts |= sources.texts
    loaded.diagnostics += with_origin(found, loaded)
    if language is not None:
        loaded.files[file.relative_to(loaded.root).as_posix()] = yaml.read(file, shown_name(file)).text
    return language


def _validated(model: type[AnyModel], tree: Tree, file: str) -> tuple[AnyModel | None, list[Diagnostic]]:
    try:
        return model.model_validate(tree.data), []
    except ValidationError as error:
        return _mended(model, tree, error), diagnose(error, model, tree, file)


def _mended(model: type[AnyModel], tree: Tree, error: ValidationError) -> AnyModel | None:
    """What is left without wrong values and sections that lack a key, so that `lint` can look at it in the same run."""
    data = copy.deepcopy(tree.data)
    for item in error.errors(include_url=False):
        path = offending_path(dict(item), tree.data)
        owner: Any = data
        for part in path[:-1]:
            owner = owner.get(part) if isinstance(owner, dict) else None
        if isinstance(owner, dict) and path:
            owner.pop(path[-1], None)
    sections: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if name not in data:
            if not info.is_required():
                sections[name] = info.get_default()
            continue
        with contextlib.suppress(ValidationError):
            kind: TypeAdapter[Any] = TypeAdapter(info.annotation or Any)
            sections[name] = kind.validate_python(data[name])
    return model.model_construct(**sections)
