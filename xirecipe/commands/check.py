"""`xirecipe check`: every mistake in recipes and language files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from xirecipe.compile import check
from xirecipe.diagnostics import Diagnostic, Sources, Span, render, user_error
from xirecipe.load import load_language
from xirecipe.loaded import shown_name

FORMATS = ("text", "json", "github")


def run_check(paths: Sequence[Path], how: str) -> int:
    """0 when no file has an error, 1 otherwise. Recipes are checked under each of their profiles."""
    if how not in FORMATS:
        raise user_error("bad-format", f"`{how}` is not a format", hint="text, json or github")
    sources = Sources()
    found: list[Diagnostic] = []
    files = list(checked_files(paths))
    for path in files:
        found += check_file(path, sources)
    found = _once(found)
    if how == "json":
        sys.stdout.write(render(found, "json"))
    elif how == "github":
        sys.stdout.write(render(found, "github"))
    elif found:
        sys.stderr.write(render(found, "text", sources))
    else:
        print(f"{len(files)} file{'' if len(files) == 1 else 's'} checked, no errors")
    return int(any(d.severity == "error" for d in found))


def check_file(path: Path, sources: Sources) -> list[Diagnostic]:
    """Everything wrong with one recipe, under all its profiles, or one language file."""
    if path.resolve().parent.name == "languages":
        _, diagnostics, texts = load_language(path)
        sources.texts |= texts.texts
        return diagnostics
    first = check(path)
    diagnostics = list(first.diagnostics)
    sources.texts |= first.sources.texts
    for profile in first.profiles:
        if profile != first.profile:
            other = check(path, profile)
            sources.texts |= other.sources.texts
            note = f"with `--profile {profile}`"
            diagnostics += [replace(d, notes=(*d.notes, note)) for d in other.diagnostics if d not in first.diagnostics]
    return diagnostics


def _once(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """What is said of the same place by several recipes or profiles, said once with all their notes."""
    merged: dict[Diagnostic, dict[str, None]] = {}
    for d in found:
        merged.setdefault(replace(d, notes=()), {}).update(dict.fromkeys(d.notes))
    return [replace(d, notes=tuple(notes)) for d, notes in merged.items()]


def checked_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as they are, and the recipes and language files of folders. Raises UserError for a folder without any."""
    for path in paths:
        if path.is_dir():
            found = sorted(path.glob("*.yaml")) + sorted((path / "languages").glob("*.yaml"))
            if not found:
                raise user_error("no-recipes", f"{shown_name(path)} has no *.yaml", span=Span(shown_name(path)))
            yield from found
        else:
            yield path
