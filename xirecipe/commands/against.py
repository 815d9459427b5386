"""`xirecipe plan --against`: what a change of recipes would re-run and cost. Runs nothing, reaches nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from xirecipe import settings as settings_module
from xirecipe.diagnostics import Diagnostic, Span, user_error
from xirecipe.fingerprint import DEFAULT
from xirecipe.loaded import shown_name
from xirecipe.markdown import visible
from xirecipe.reviewing.comment import amounts, dotted, markdown
from xirecipe.reviewing.review import ProfileReview, RecipeReview, Review, review
from xirecipe.reviewing.snapshots import Repository
from xirecipe.reviewing.states import SAMPLED_DOCUMENTS
from xirecipe.store import Store
from xirecipe.terminal import console, table

FORMATS = ("table", "json", "markdown")


def run_against(path: Path, revision: str, profile: str | None, how: str, exit_code: bool) -> int:
    """0; with `exit_code` 1 for an error that the change brings, else 2 when a stage would run.

    `path` is a recipe or a folder of recipes.
    """
    if how not in FORMATS:
        raise user_error("bad-format", f"`{how}` is not a format", hint=", ".join(FORMATS))
    found = compare(path, revision, profile)
    match how:
        case "markdown":
            sys.stdout.write(markdown(found))
        case "json":
            print(json.dumps(as_json(found), ensure_ascii=False, indent=2))
        case _:
            _print(found)
    if not exit_code:
        return 0
    return 1 if found.has_errors else 2 if found.to_run else 0


def compare(path: Path, revision: str, profile: str | None = None) -> Review:
    """The review of a recipe, or of a folder of them, against a git revision."""
    # A recipe that was deleted is reviewed as well, so it need not be there.
    is_folder = path.is_dir()
    folder = path if is_folder else path.parent
    repository = Repository.of(folder)
    commit = repository.commit(revision)
    store = Store.of(settings_module.from_environment())
    with TemporaryDirectory(prefix="xirecipe-review-") as temporary:
        root = Path(temporary).resolve()
        sides = [root / name for name in ("before", "after")]
        for side in sides:
            side.mkdir()
        old, new = repository.at(commit, sides[0]), repository.working_tree(sides[1])
        only = None if is_folder else path.name
        return review(old, new, shown_name(folder), revision, commit, store, only, profile)


def _print(found: Review) -> None:
    from rich.text import Text

    out = console()

    def line(text: str, style: str | None = None) -> None:
        out.print(visible(text), markup=False, soft_wrap=True, style=style)

    line(f"{found.folder} against {found.revision} ({found.commit[:12]})", "bold")
    lines = table("recipe", "profile", "runs again", ">calls", ">tokens", ">GPU-h", ">$")
    for recipe in found.recipes:
        for profile in recipe.profiles if recipe.status != "deleted" else ():
            lines.add_row(Text(visible(recipe.file)), Text(visible(profile.profile)), *_cells(profile))
    if found.recipes:
        out.print(lines)
    if any(profile.bill.documents for recipe in found.recipes for profile in recipe.profiles):
        line(f"*: for each {SAMPLED_DOCUMENTS:,} documents read; the recipe does not say how many there are")
    for recipe in found.recipes:
        out.print()
        _print_recipe(recipe, line)
    touched = "no recipe is touched" if not found.recipes else f"{len(found.recipes)} touched"
    out.print()
    line(f"{touched}, {found.untouched} not")
    for path, why in found.left_out:
        line(f"not read: {path}: {why}")
    for note in found.notes:
        line(note)


def _cells(profile: ProfileReview) -> list[str]:
    if profile.stages is None:
        return ["has errors", "", "", "", ""]
    changed = sum(change.kind != "gone" for change in profile.stages)
    return [f"{changed} of {profile.total}", *(text.replace("\\", "") for text in amounts(profile.bill))]


def _print_recipe(recipe: RecipeReview, line: Any) -> None:
    line(f"{recipe.file}: {recipe.status}", "bold")
    if recipe.least:
        bound = "at least " if recipe.least.is_bound else ""
        line(f"  least step: {bound}{recipe.least.bump or 'none'} ({recipe.least.why})")
    for note in recipe.notes:
        line(f"  {note.severity}: {note.message}" + (f"; {note.hint}" if note.hint else ""))
    for title, diagnostics in (("new", recipe.new), ("fixed", recipe.fixed)):
        for d in diagnostics:
            at = f"{d.span.file}:{d.span.line}: " if d.span else ""
            line(f"  {title}: {at}{d.severity}[{d.code}]: {d.message}")
    main = next((p for p in recipe.profiles if p.profile == recipe.profile), None)
    for change in main.stages or () if main and recipe.status == "changed" else ():
        line(f"  {change.label}: {change.why}")
    for key in recipe.keys:
        place = key.new_span or key.old_span
        where = f" ({place.file}:{place.line})" if place else ""
        line(f"  {dotted(key.path)}: {_plain(key.old)} → {_plain(key.new)}{where}")
    for prompt in recipe.prompts:
        line(f"  {prompt.path}:")
        for text in (prompt.diff or "too long to compare line by line").split("\n"):
            line(f"    {text}")


def _plain(value: Any) -> str:
    return "default" if value is DEFAULT else json.dumps(value, ensure_ascii=False)


def as_json(found: Review) -> dict[str, Any]:
    """Plain data; a key that nobody wrote on one side is left out there."""
    record = asdict(found)
    record["has_errors"] = found.has_errors
    for shown, recipe in zip(record["recipes"], found.recipes, strict=True):
        shown["keys"] = [
            {
                "key": dotted(key.path),
                **({} if key.old is DEFAULT else {"old": key.old}), **({} if key.new is DEFAULT else {"new": key.new}),
                "old_place": _place(key.old_span), "new_place": _place(key.new_span),
            }
            for key in recipe.keys
        ]  # fmt: skip
        for name, diagnostics in (("new", recipe.new), ("fixed", recipe.fixed)):
            shown[name] = [_record(d) for d in diagnostics]
    return record


def _record(d: Diagnostic) -> dict[str, Any]:
    return {"code": d.code, "severity": d.severity, "message": d.message, "place": _place(d.span), "hint": d.hint}


def _place(span: Span | None) -> str | None:
    return f"{span.file}:{span.line}" if span else None
