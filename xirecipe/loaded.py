"""A recipe file as far as it could be understood, and paths as a recipe means them and a person types them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from xirecipe.diagnostics import Diagnostic, Sources, Span, UserError, shortened
from xirecipe.overlay import Tree
from xirecipe.recipe.language import Language
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.recipe.recipe import Recipe


@dataclass
class Loaded:
    """A recipe file as far as it could be understood.

    With errors, `recipe` has only the sections that could be read, and is good for finding more errors alone.
    """

    path: Path
    root: Path
    profile: str | None
    tree: Tree
    sources: Sources
    diagnostics: list[Diagnostic] = field(default_factory=list)
    recipe: Recipe | MixRecipe | None = None
    language: Language | None = None
    """Of a mixing recipe: English."""
    languages: dict[str, Language] = field(default_factory=dict)
    """Of a mixing recipe: the facts of all its languages. Of a text recipe: of those it learns from. Of both: of those
    that students are measured in."""
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


def inside(root: Path, target: str, span: Span | None, what: str) -> Path:
    """A path below the recipe folder. Raises UserError when it leaves it, symbolic links followed."""
    try:
        resolved = (root / target).resolve()
        resolved.exists()
    except (OSError, RuntimeError):
        # Too long for the file system, or symbolic links in a circle.
        raise UserError([Diagnostic("bad-path", f"`{what}: {shortened(target)}` cannot be a path", span)]) from None
    if not resolved.is_relative_to(root.resolve()):
        message = f"`{what}: {shortened(target)}` leaves the recipe folder"
        hint = f"put the file below {shown_name(root)}/"
        raise UserError([Diagnostic("escaping-path", message, span, hint)])
    return resolved


def with_origin(found: Iterable[Diagnostic], loaded: Loaded) -> list[Diagnostic]:
    """Problems written in a base or a language file say which recipe they were met in."""
    shown = shown_name(loaded.path)
    result = []
    for d in found:
        if d.span is not None and d.span.file != shown and d.span.file in loaded.sources.texts:
            d = Diagnostic(d.code, d.message, d.span, d.hint, (*d.notes, f"inherited by {shown}"), d.severity)
        result.append(d)
    return result
