"""The page about a mixing recipe: funnel, part by language, rows drawn evenly. No figure needs a script."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from markupsafe import Markup

from xirecipe import __version__
from xirecipe.diagnostics import user_error
from xirecipe.markdown import visible
from xirecipe.plan import AnyPlan, MixPlan
from xirecipe.recipe.language import Language
from xirecipe.recipe.mix_recipe import MixRecipe
from xirecipe.report.funnel import StageLine, stage_lines
from xirecipe.report.page import environment
from xirecipe.report.sampling import Reservoir, beginning, rows
from xirecipe.store import Store

#: Rows shown of each part, and how much of each text, in graphemes.
EXAMPLES, SHOWN_GRAPHEMES = 5, 600


@dataclass(frozen=True)
class Example:
    """A row for people: the user's turn and the response, or the two texts of a pair."""

    document_id: str
    direction: str
    instruction: str
    instruction_language: Language
    response: str
    response_language: Language


@dataclass(frozen=True)
class PartTable:
    """A part's rows: how many of each direction by instruction and response language, and some of them."""

    name: str
    shape: str
    rows: int
    counts: tuple[tuple[Language, Language, int], ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class MixReport:
    """What the page is rendered from."""

    recipe: MixRecipe
    profile: str
    limit: int | None
    overrides: tuple[str, ...]
    stages: tuple[StageLine, ...]
    parts: tuple[PartTable, ...]
    command: str
    run_command: str
    tool: str = __version__

    @property
    def missing(self) -> tuple[StageLine, ...]:
        return tuple(line for line in self.stages if line.manifest is None)


def render_mix_report(plan: AnyPlan, store: Store, *, command: str, run_command: str) -> str:
    """The page over a plan as far as it is done. Raises UserError `not-run` where no stage is."""
    assert isinstance(plan, MixPlan)
    lines = stage_lines(plan, store)
    if not any(line.manifest for line in lines):
        raise user_error("not-run", "no stage of this recipe is done", hint=f"`{run_command}`")
    facts = MixReport(
        plan.recipe, plan.profile, plan.limit, plan.overrides, lines, _parts(plan, store), command, run_command
    )
    templates = environment()
    style = Markup(templates.get_template("style.css.j2").render())
    return templates.get_template("mix.html.j2").render(facts=facts, recipe=plan.recipe, style=style, examples=EXAMPLES)


def _parts(plan: MixPlan, store: Store) -> tuple[PartTable, ...]:
    """Of the rows that the last finished stage of the mix kept; empty where it is not done."""
    done = [
        artifact for stage in (plan.stage("split"), plan.stage("mix"))
        if (artifact := store.artifact(stage.kind, stage.fingerprint)).done
    ]  # fmt: skip
    if not done:
        return ()
    counts: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in plan.recipe.mix.chosen}
    drawn = {name: Reservoir[Example](EXAMPLES, name) for name in counts}
    wanted = (
        "document_id", "part", "direction", "content", "response", "instruction_language", "response_language",
    )  # fmt: skip
    for row in rows(done[0].data, wanted):
        key = row["instruction_language"], row["response_language"]
        counts[row["part"]][key] += 1
        asked, answered = (plan.languages[code] for code in key)
        texts = [visible(beginning(row[name], SHOWN_GRAPHEMES), keep="\n\t") for name in ("content", "response")]
        drawn[row["part"]].add(Example(row["document_id"], row["direction"], texts[0], asked, texts[1], answered))
    return tuple(
        PartTable(
            name, plan.recipe.mix.parts[name].shape, found.total(),
            tuple((plan.languages[a], plan.languages[b], n) for (a, b), n in sorted(found.items())),
            tuple(drawn[name].items),
        )
        for name, found in counts.items()
    )  # fmt: skip
