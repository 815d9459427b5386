"""What a version must be to be released: frozen, pinned, made by its own recipe, and as good as the recipe demands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xirecipe.diagnostics import Diagnostic, UserError
from xirecipe.hub.facts import CardFacts, collect, manifests_of
from xirecipe.hub.limits import MOVING_REVISIONS
from xirecipe.hub.measure import finite
from xirecipe.hub.rows import split_table
from xirecipe.load import DEFAULT_PROFILE
from xirecipe.loaded import shown_name
from xirecipe.pins import pins
from xirecipe.plan import AnyPlan, MixPlan, Plan
from xirecipe.store import Store

#: A language score above this is more than all other labels of lid.176 have together.
MOST_PROBABLE = 0.5


@dataclass(frozen=True)
class Gate:
    """One declared minimum and what was measured; `value` is None where nothing recorded it."""

    name: str
    minimum: float
    value: float | None

    @property
    def passed(self) -> bool:
        return self.value is not None and self.value >= self.minimum


def not_releasable(plan: AnyPlan) -> list[Diagnostic]:
    """Every reason why this plan can be no version, whatever its rows are like. Reads nothing but the plan."""
    recipe = plan.recipe
    found: list[Diagnostic] = []
    if recipe.version.endswith("-dev"):
        frozen = recipe.version.removesuffix("-dev")
        message = f"version {recipe.version} may still change; a released version never does"
        found.append(Diagnostic("dev-version", message, hint=f"`version: {frozen}`"))
    if plan.profile == DEFAULT_PROFILE:
        message = "the `sample` profile shows how a dataset is made; it makes no data to train on"
        found.append(Diagnostic("sample-profile", message, hint="name another one with --profile"))
    for override in plan.overrides:
        message = f"`--set {override}` makes this a trial: its recipe is written nowhere"
        found.append(Diagnostic("trial", message, hint="write the value into the recipe"))
    if plan.limit is not None:
        message = f"`--limit {plan.limit}` makes this a trial"
        found.append(Diagnostic("trial", message, hint="run and release without --limit"))
    hint = f"`xirecipe pin {shown_name(plan.path)}` writes the commits of today"
    for key, revision in _unpinned(plan):
        found.append(Diagnostic("unpinned", f"`{key}` is `{revision}`; what it names can change", hint=hint))
    return found


def _unpinned(plan: AnyPlan) -> Iterator[tuple[str, str]]:
    used = plan.recipe.used_datasets if isinstance(plan, MixPlan) else ()
    for pin in pins(plan.recipe):
        if pin.moves and (pin.path[0] != "datasets" or pin.path[1] in used):
            yield pin.key, pin.revision
    for name, model in plan.recipe.models.items():
        if model.revision in MOVING_REVISIONS and "/" not in getattr(model, "model", "/"):
            yield f"models.{name}.revision", model.revision


def gates(plan: Plan, store: Store, facts: CardFacts) -> list[Gate]:
    """Every gate that the recipe declares, with what was measured. Raises UserError `not-finished`."""
    wanted = plan.recipe.release.gates
    measured = _measured(plan, store, facts)
    declared = [(name, getattr(wanted, name)) for name in type(wanted).model_fields]
    return [Gate(name, float(minimum), measured[name]) for name, minimum in declared if minimum is not None]


def _measured(plan: Plan, store: Store, facts: CardFacts) -> dict[str, float | None]:
    table = split_table(store.artifact("split", plan.stage("split").fingerprint))
    scores, languages = finite(table["score"]), finite(table["language_score"])
    read = facts.funnel[0].asked
    accuracy = {evaluator.score: evaluator.accuracy for evaluator in facts.evaluators}
    return {
        "min_rows": float(facts.rows),
        "min_keep_ratio": facts.rows / read if read else None,
        "min_language_ratio": sum(s > MOST_PROBABLE for s in languages) / len(languages) if languages else None,
        "min_mean_score": sum(scores) / len(scores) if scores else None,
        "min_evaluator_accuracy": accuracy.get(plan.recipe.select.score),
    }


def check_gates(plan: AnyPlan, store: Store) -> list[Gate]:
    """The gates of a finished plan. Raises UserError with every gate that is shut, its value and its minimum."""
    found = gates(plan, store, collect(plan, store)) if isinstance(plan, Plan) else _mix_gates(plan, store)
    shut = [gate for gate in found if not gate.passed]
    if shut:
        raise UserError(_refused(gate) for gate in shut)
    return found


def _mix_gates(plan: AnyPlan, store: Store) -> list[Gate]:
    """Of a mixing recipe, whose rows nobody scores: how many there are."""
    least = plan.recipe.release.gates.min_rows
    rows = list(manifests_of(plan, store).values())[-1].kept
    return [] if least is None else [Gate("min_rows", float(least), float(rows))]


def _refused(gate: Gate) -> Diagnostic:
    value = "not recorded" if gate.value is None else f"{gate.value:,.4g}"
    message = f"`release.gates.{gate.name}` is {gate.minimum:,.4g}, and this version has {value}"
    hint = "see what was dropped with `xirecipe rejects`, and the scores with `xirecipe card`"
    return Diagnostic("gate", message, hint=hint)
