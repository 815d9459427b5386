"""A review as markdown for a pull request: a stranger's words stay words, and it fits into one comment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from xirecipe.diagnostics import Diagnostic, Span, shortened
from xirecipe.fingerprint import DEFAULT
from xirecipe.markdown import code, fence, inline
from xirecipe.reviewing.bumps import Least
from xirecipe.reviewing.changes import StageChange, TextChange
from xirecipe.reviewing.previews import Example, Preview
from xirecipe.reviewing.review import Bill, ProfileReview, RecipeReview, Review, Sum
from xirecipe.reviewing.states import SAMPLED_DOCUMENTS

#: By which the comment is found again, so that there is one a pull request.
MARKER = "<!-- xirecipe review -->"
#: GitHub takes 65,536 characters; some room is left for what posts it.
MAX_CHARS = 60_000
#: Of each kind of thing, so many are shown.
MAX_KEYS, MAX_DIAGNOSTICS, MAX_FILES, MAX_REASONS = 40, 20, 20, 12
MAX_DIFF_CHARS = 6_000
#: Characters of a value, of a reason, and of a row's text.
VALUE_CHARS, REASON_CHARS, TEXT_CHARS = 80, 300, 400
_ZERO_WIDTH = "\u200b"


def markdown(found: Review) -> str:
    """The whole review, at most MAX_CHARS long: what does not fit is left out, whole recipes at a time, and counted."""
    if not found.recipes:
        body = [*_head(found), "", "No recipe is touched."]
        return "\n".join([*body, *_foot(found)]) + "\n"
    text = "\n".join([*_head(found), "", *_summary(found)])
    foot = "\n".join(_foot(found))
    told: set[TextChange] = set()
    sections = [_section(recipe, found.folder, told) for recipe in found.recipes]
    for index, section in enumerate(sections):
        left = len(sections) - index
        note = f"\n\n{left} more recipe{'s do' if left > 1 else ' does'} not fit into a comment; "
        note += "`xirecipe plan --against` shows them."
        if len(text) + len(section) + len(foot) + len(note) > MAX_CHARS:
            text += note
            break
        text += f"\n\n{section}"
    return f"{text}\n{foot}\n"


def said(text: object, limit: int = VALUE_CHARS) -> str:
    """A stranger's words on one line: shown as code, or where that could be broken, as text that calls nobody."""
    shown = code(shortened(text, limit) or "(empty)")
    if shown.startswith("`"):
        return str(shown)
    # GitHub looks for names, numbers and addresses after markdown is done with the text.
    calm = re.sub(r"([@#])(?=\w)", rf"\1{_ZERO_WIDTH}", str(shown))
    return calm.replace("://", f":{_ZERO_WIDTH}//").replace("www.", f"www{_ZERO_WIDTH}.")


def _head(found: Review) -> list[str]:
    errors = [
        f"- **error** {said(found.folder + '/' + recipe.file)}: {text}"
        for recipe in found.recipes
        for text in _errors(recipe)
    ]
    head = [MARKER, f"### Recipes against {said(found.revision)} ({said(found.commit[:12])})"]
    return [*head, "", *_first(errors, MAX_DIAGNOSTICS)] if errors else head


def _errors(recipe: RecipeReview) -> Iterable[str]:
    for note in recipe.notes:
        if note.severity == "error":
            yield f"{said(note.message, REASON_CHARS)}{_hint(note.hint)}"
    for d in recipe.new:
        if d.severity == "error":
            yield f"{_place(d.span)}{said(d.message, REASON_CHARS)}{_hint(d.hint)}"


def _summary(found: Review) -> list[str]:
    lines = [
        "| recipe | change | version | least step | runs again | model calls | tokens | GPU-hours | $ |",
        "|---|---|---|---|---|---:|---:|---:|---:|",
    ]
    for recipe in found.recipes:
        main = next((p for p in recipe.profiles if p.profile == recipe.profile), None)
        lines.append(
            f"| {said(recipe.file)} | {recipe.status} | {_versions(recipe)} | {_least(recipe.least)} "
            f"| {'' if recipe.status == 'deleted' else _again(main)} | {_bill(main)} |"
        )
    others = f"; {found.untouched} not touched" if found.untouched else ""
    profile = (
        "profile `full` where a recipe has it" if any(r.profile == "full" for r in found.recipes) else "one profile"
    )
    lines += ["", f"{len(found.recipes)} touched{others}. Costs are of {profile}, for what has still to run."]
    bills = [p.bill for recipe in found.recipes for p in recipe.profiles]
    if any(s.unknown for bill in bills for s in (bill.calls, bill.tokens, bill.gpu_hours, bill.dollars)):
        lines.append("`?`: not known before a run, or not declared (`rates` of a model).")
    if any(bill.documents for bill in bills):
        lines.append(f"\\*: for each {SAMPLED_DOCUMENTS:,} documents read; the recipe does not say how many there are.")
    return lines


def _versions(recipe: RecipeReview) -> str:
    old, new = recipe.versions
    return said(new or old or "?") if old == new or not old or not new else f"{said(old)} → {said(new)}"


def _least(least: Least | None) -> str:
    if least is None:
        return ""
    return f"at least {least.bump}" if least.is_bound else least.bump or "none"


def _again(profile: ProfileReview | None) -> str:
    if profile is None or profile.stages is None:
        return "" if profile is None else "has errors"
    changed = [change for change in profile.stages if change.kind != "gone"]
    return f"{len(changed)} of {profile.total} stages" if changed else "nothing"


def _bill(profile: ProfileReview | None) -> str:
    if profile is None or profile.stages is None:
        return "| | | "
    return " | ".join(amounts(profile.bill))


def amounts(bill: Bill) -> list[str]:
    """Calls, tokens, GPU-hours and dollars; with a star where they are for some documents alone."""
    sums = ((bill.calls, ".0f"), (bill.tokens, ".0f"), (bill.gpu_hours, ".1f"), (bill.dollars, ".2f"))
    star = "\\*" if bill.documents else ""
    return [text if text == "?" else text + star for text in (total(numbers, form) for numbers, form in sums)]


def total(numbers: Sum, form: str = ".0f") -> str:
    """What is known, and `+ ?` where something is not."""
    if numbers.unknown and not numbers.known:
        return "?"
    return f"{numbers.known:,{form}}" + (" + ?" if numbers.unknown else "")


def _section(recipe: RecipeReview, folder: str, told: set[TextChange]) -> str:
    """`told`: diffs of prompts that were shown already; several recipes may share one."""
    prompts = [_prompt(change, again=change in told) for change in recipe.prompts[:MAX_FILES]]
    told |= {*recipe.prompts}
    parts = [
        f"#### {said(f'{folder}/{recipe.file}')}",
        "\n".join(_facts(recipe, folder)),
        "\n".join(_profiles(recipe)),
        "\n".join(_stages(recipe)),
        "\n".join(_keys(recipe)),
        *prompts,
        "\n".join(_diagnostics("New", recipe.new)),
        "\n".join(_diagnostics("Fixed", recipe.fixed)),
        _preview(recipe.preview) if recipe.status == "changed" else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _facts(recipe: RecipeReview, folder: str) -> list[str]:
    lines = []
    if recipe.files:
        shown = ", ".join(said(f"{folder}/{path}") for path in recipe.files[:MAX_FILES])
        more = f" and {len(recipe.files) - MAX_FILES} more" if len(recipe.files) > MAX_FILES else ""
        lines.append(f"- Files: {shown}{more}")
    if recipe.least is not None:
        lines.append(
            f"- Version: {_versions(recipe)}; least step {_least(recipe.least)}: {said(recipe.least.why, REASON_CHARS)}"
        )
    lines += [f"- **{note.severity}** {said(note.message, REASON_CHARS)}{_hint(note.hint)}" for note in recipe.notes]
    if recipe.remaining:
        lines.append(f"- {recipe.remaining} error{'s' if recipe.remaining > 1 else ''} were there before and still are")
    outside = dict.fromkeys(path for profile in recipe.profiles for path in profile.outside)
    if outside:
        lines.append(f"- Outside the folder, and not read in a review: {', '.join(said(p) for p in list(outside)[:5])}")
    return lines


def _profiles(recipe: RecipeReview) -> list[str]:
    if recipe.status == "deleted":
        return []
    lines = [
        "| profile | runs again | of them not in the store | model calls | tokens | GPU-hours | $ |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for profile in recipe.profiles:
        lines.append(
            f"| {said(profile.profile or '(none)')} | {_again(profile)} | {profile.to_run} | {_bill(profile)} |"
        )
    return lines


def _stages(recipe: RecipeReview) -> list[str]:
    """Why stages run again: of the main profile, and of others where they have reasons of their own."""
    if recipe.status != "changed":
        return []
    lines: list[str] = []
    told: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for profile in sorted(recipe.profiles, key=lambda p: p.profile != recipe.profile):
        own = tuple((c.label, _why(c)) for c in profile.stages or () if c.by_itself)
        told.setdefault(own, []).append(profile.profile or "(none)")
    for reasons, profiles in told.items():
        if reasons:
            lines += ["", f"Under {', '.join(said(p) for p in profiles)}, runs again by itself:", ""]
            lines += _first([f"- {label}: {why}" for label, why in reasons], MAX_REASONS)
    return lines[1:]


def _why(change: StageChange) -> str:
    return said(change.why, REASON_CHARS) if change.kind == "changed" else change.kind


def _keys(recipe: RecipeReview) -> list[str]:
    if not recipe.keys:
        return []
    rows = [
        f"| {said(dotted(c.path))} | {_value(c.old)} | {_value(c.new)} | {_where(c.new_span or c.old_span)} |"
        for c in recipe.keys
    ]
    more = [f"\n{len(rows) - MAX_KEYS} more keys differ."] if len(rows) > MAX_KEYS else []
    profile = f" (profile {said(recipe.profile)})" if recipe.profile else ""
    title = f"Keys that differ{profile}:"
    return [title, "", "| key | before | after | where |", "|---|---|---|---|", *rows[:MAX_KEYS], *more]


def dotted(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path)


def _value(value: Any) -> str:
    return "" if value is DEFAULT else said("null" if value is None else value)


def _where(span: Span | None) -> str:
    return said(f"{span.file}:{span.line}") if span else ""


def _prompt(change: TextChange, *, again: bool) -> str:
    title = f"Prompt {said(change.path)}:"
    if again:
        return f"{title} as above"
    if change.diff is None:
        return f"{title} too long to compare line by line"
    diff, cut = change.diff, ""
    if len(diff) > MAX_DIFF_CHARS:
        diff = diff[:MAX_DIFF_CHARS].rpartition("\n")[0] or diff[:MAX_DIFF_CHARS]
        cut = "\n\nThe rest of this diff is cut."
    return f"{title}\n\n{fence(diff, 'diff')}{cut}"


def _diagnostics(title: str, found: Sequence[Diagnostic]) -> list[str]:
    if not found:
        return []
    lines = [
        f"- {d.severity} {said(d.code)} {_place(d.span)}{said(d.message, REASON_CHARS)}{_hint(d.hint)}" for d in found
    ]
    return [f"{title} diagnostics:", "", *_first(lines, MAX_DIAGNOSTICS)]


def _first(lines: list[str], most: int) -> list[str]:
    return lines[:most] + ([f"- and {len(lines) - most} more"] if len(lines) > most else [])


def _place(span: Span | None) -> str:
    return f"{_where(span)} " if span else ""


def _hint(hint: str | None) -> str:
    # A hint is made of our words and of theirs, in backticks.
    return f" — {said(hint.replace('`', ''), REASON_CHARS)}" if hint else ""


def _preview(found: Preview) -> str:
    if found.why_not:
        return f"No rows to show: {inline(found.why_not)}."
    return "\n\n".join([f"Rows before and after, at {found.stage}:", *(_example(e) for e in found.examples)])


def _example(example: Example) -> str:
    change = "is new" if example.before is None else "is gone" if example.after is None else "changed"
    lines = []
    for mark, row in (("-", example.before), ("+", example.after)):
        lines += [f"{mark} {name}: {shortened(value, TEXT_CHARS)}" for name, value in (row or {}).items()]
    return f"{said(example.document_id)} {change}:\n\n{fence(chr(10).join(lines), 'diff')}"


def _foot(found: Review) -> list[str]:
    lines = []
    if found.left_out:
        shown = [f"- {said(path)}: {why}" for path, why in found.left_out]
        lines += ["", "Files that were not read:", "", *_first(shown, MAX_FILES)]
    if found.notes:
        lines += ["", *(f"{note}." for note in found.notes)]
    return lines
