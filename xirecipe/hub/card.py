"""The dataset card: facts through the templates in `hub_cards/`, each value escaped unless it was made safe here."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from xirecipe.diagnostics import UserError
from xirecipe.hub.facts import EXAMPLE_SEED, CardFacts, collect
from xirecipe.hub.limits import derived_limits
from xirecipe.hub.metadata import block, metadata, validate
from xirecipe.hub.mix_facts import MixFacts
from xirecipe.hub.rows import CONFIGS, ReleaseData, split_table, write_data
from xirecipe.licences import obligations
from xirecipe.markdown import NOT_RECORDED, code, fence, inline
from xirecipe.plan import Plan
from xirecipe.recipe.release import Paper
from xirecipe.store import Store

#: Characters of a long value that an example shows.
SHOWN_CHARS = 300

_LIST_ITEM = re.compile(r"^\s*[-*]\s+")
_URL = re.compile(r"https?://[A-Za-z0-9./?=%#&@:_~+-]*[A-Za-z0-9/]")


def render_card(plan: Plan, store: Store) -> str:
    """The card of a finished plan, the same text that a release of it carries.

    Raises UserError: `not-finished`, or `card-metadata` for metadata that the Hub would refuse.
    """
    facts = collect(plan, store)
    table = split_table(store.artifact("split", plan.stage("split").fingerprint))
    # Sizes stand in the metadata and are known only once the files are written.
    with TemporaryDirectory() as folder:
        data = write_data(table, Path(folder))
    return card_text(facts, data)


def card_text(facts: CardFacts, data: ReleaseData) -> str:
    """The card over facts and the release's data files. Raises UserError as `render_card` does."""
    values = metadata(facts, data)
    problems = validate(values, facts.recipe.release.license)
    if problems:
        raise UserError(problems)
    body = environment().get_template("dataset.md.j2").render(
        facts=facts, recipe=facts.recipe, language=facts.language, data=data, configs=CONFIGS,
        limits=derived_limits(facts), citation=citation(facts), example_seed=EXAMPLE_SEED,
    )  # fmt: skip
    return f"{block(values)}\n{body.strip()}\n"


@cache
def environment() -> Environment:
    """Typed values only: what `_shown` does not know is an error, and what no one made safe is escaped."""
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(_templates()), undefined=StrictUndefined, autoescape=True, finalize=_shown,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {
        "code": code, "fence": fence, "prose": prose, "quote": quote, "share": share, "number": number,
        "decimal": decimal, "bibtex": bibtex, "cited": cited, "cut": cut, "counts": counts, "obligations": obligations,
    }  # fmt: skip
    return environment


def _templates() -> Path:
    """`hub_cards/`: inside the package when it was installed, beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "hub_cards"
    return inside if inside.is_dir() else package.parent / "hub_cards"


def _shown(value: Any) -> Markup:
    if isinstance(value, Markup):
        return value
    if value is None:
        return Markup(NOT_RECORDED)
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if isinstance(value, int):
        return number(value)
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, (list, tuple, dict)):
        raise TypeError(f"a card shows single values, not {type(value).__name__}")
    return inline(str(value))


def prose(text: str) -> Markup:
    """An author's words: paragraphs and `-` lists stay, web addresses become links, the rest is plain text."""
    paragraphs = re.split(r"\n\s*\n", text.strip().replace("\r\n", "\n").replace("\r", "\n"))
    return Markup("\n\n".join(_paragraph(paragraph.split("\n")) for paragraph in paragraphs))


def _paragraph(lines: list[str]) -> str:
    return "\n".join(
        "- " + _linked(_LIST_ITEM.sub("", line)) if _LIST_ITEM.match(line) else _linked(line) for line in lines
    )


def _linked(line: str) -> str:
    parts, end = [], 0
    for match in _URL.finditer(line):
        parts += [_kept_spaces(line[end : match.start()]), f"<{match[0]}>"]
        end = match.end()
    return "".join([*parts, _kept_spaces(line[end:])]).strip()


def _kept_spaces(text: str) -> str:
    return f"{' ' if text[:1].isspace() else ''}{inline(text)}{' ' if text.strip() and text[-1:].isspace() else ''}"


def quote(text: str) -> Markup:
    """A block quote, line by line."""
    lines = [inline(line) for line in re.split(r"\r\n|\r|\n", text.strip())]
    return Markup("\n".join(f"> {line}".rstrip() for line in lines))


def cut(text: str) -> str:
    """The first `SHOWN_CHARS` characters of a long text, with a note of how long it is."""
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS].rstrip()} … ({len(text):,} characters)"


def share(ratio: float | None) -> Markup:
    return Markup(NOT_RECORDED if ratio is None else f"{ratio:.1%}")


def number(value: float | None) -> Markup:
    return Markup(NOT_RECORDED if value is None else f"{value:,.0f}")


def decimal(value: float | None) -> Markup:
    return Markup(NOT_RECORDED if value is None else f"{value:,.3f}")


def counts(values: dict[str, int]) -> Markup:
    """Reasons and how often each was given, the commonest first."""
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return Markup(", ".join(f"{code(name)} {count:,}" for name, count in ordered) or "none")


def cited(paper: Paper) -> tuple[str, dict[str, str]]:
    """A paper as a BibTeX key and its fields."""
    fields = {"title": paper.title, "author": " and ".join(paper.authors), "year": str(paper.year), "url": paper.url}
    return paper.key, fields


def citation(facts: CardFacts | MixFacts) -> tuple[str, dict[str, str]]:
    """This version of the dataset as a BibTeX key and its fields; what is not recorded is left out."""
    recipe = facts.recipe
    fields = {"title": recipe.card.title, "version": recipe.version}
    fields |= {"year": facts.date[:4]} if facts.date else {}
    published = recipe.release.repository
    fields |= {"url": f"https://huggingface.co/datasets/{published}"} if published else {}
    return f"{recipe.name}-{recipe.version}", fields


def bibtex(entry: tuple[str, dict[str, str]]) -> Markup:
    """A BibTeX entry; braces and backslashes, which have a meaning there, are left out of the values."""
    key, fields = entry
    plain = {name: re.sub(r"[{}\\]", "", " ".join(value.split())) for name, value in fields.items()}
    lines = [f"@misc{{{key},", *(f"  {name} = {{{value}}}," for name, value in plain.items()), "}"]
    return fence("\n".join(lines), "bibtex")
