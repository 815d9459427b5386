"""Facts through the templates to one HTML page: every text escaped, every script known by its hash, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from xirecipe.markdown import NOT_RECORDED, visible
from xirecipe.plan import Plan
from xirecipe.report import clusters, dataset, funnel, scores, verbs
from xirecipe.report.facts import ReportFacts, collect
from xirecipe.report.figures import Figure, figures
from xirecipe.report.marks import CATEGORIES
from xirecipe.store import Store


def render_report(plan: Plan, store: Store, *, command: str, run_command: str) -> str:
    """The page over a plan as far as it is done.

    `command` is what made the page and `run_command` what would finish the run; both are shown. Raises UserError
    `not-run` where no stage is done, and for a manifest that cannot be read.
    """
    return page(collect(plan, store, command, run_command))


def page(facts: ReportFacts) -> str:
    """The page over facts."""
    drawn = figures(facts)
    templates = environment()
    script = Markup(templates.get_template("script.js.j2").render())
    plotly = Markup(_plotly())
    return templates.get_template("page.html.j2").render(
        facts=facts, recipe=facts.recipe, language=facts.language, figures=drawn,
        data=_json({id: figure.spec for id, figure in drawn.items()}),
        style=Markup(templates.get_template("style.css.j2").render()),
        plotly=plotly, script=script, hashes=[_hash(plotly), _hash(script)],
        largest=clusters.LARGEST, listed=clusters.LISTED, examples=dataset.EXAMPLES, example_seed=dataset.EXAMPLE_SEED,
        samples=funnel.SAMPLES, tagger=verbs.ACCURACY, colours=CATEGORIES, unknown=None,
        counted=dataset.COUNTED, kept=scores.KEPT, below=scores.BELOW,
    )  # fmt: skip


def _json(specs: dict[str, Any]) -> Markup:
    """JSON for a `<script>` element: `<`, `>`, `&` and `'` are escapes, so that no text can end the element."""
    return htmlsafe_json_dumps(specs, separators=(",", ":"))


def _hash(script: Markup) -> str:
    """A content security policy's name for an inline script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    source = get_plotlyjs()
    if "</script" in source.lower():
        raise AssertionError("plotly.min.js holds a closing tag and cannot be inlined")
    # HTML readers turn CR LF into LF, which would change the hash.
    return str(source).replace("\r\n", "\n").replace("\r", "\n")


@cache
def environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, autoescape=True,
        finalize=_shown, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"share": _share, "decimal": _decimal, "general": _general, "duration": _duration}
    environment.globals["drawing"] = _drawing
    return environment


def _shown(value: Any) -> Any:
    """What a template prints: nothing for nobody knows, thousands apart, no character that hides or turns text."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return Markup(NOT_RECORDED)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _decimal(value)
    return visible(str(value), keep="\n\t")


def _share(ratio: float | None) -> str | None:
    return None if ratio is None else f"{ratio:.1%}"


def _decimal(value: float | None, digits: int = 3) -> str | None:
    return None if value is None else f"{value:,.{digits}f}"


def _general(value: float | None) -> str | None:
    """Four significant digits: values of reasons are ratios, scores and lengths alike."""
    if value is None:
        return None
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _drawing(figure: Figure) -> Markup:
    """The element that the page's script draws a figure in."""
    return Markup('<div class="plot" id="{}" role="img" aria-label="{}"></div>').format(figure.id, visible(figure.alt))
