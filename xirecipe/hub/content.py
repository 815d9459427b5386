"""What a release is written from, by the kind of its recipe: facts, rows, card."""

from __future__ import annotations

from pathlib import Path

from xirecipe.hub import card, mix_card, mix_facts, mix_rows
from xirecipe.hub.facts import CardFacts, collect
from xirecipe.hub.mix_facts import MixFacts
from xirecipe.hub.rows import ReleaseData, split_table, write_data
from xirecipe.plan import AnyPlan, MixPlan, Plan
from xirecipe.store import Store

AnyFacts = CardFacts | MixFacts


def facts_of(plan: AnyPlan, store: Store) -> AnyFacts:
    """The facts of a finished plan. Raises UserError `not-finished` when a stage has no manifest."""
    match plan:
        case Plan():
            return collect(plan, store)
        case MixPlan():
            return mix_facts.collect(plan, store)
    raise AssertionError(f"no kind of plan: {plan}")


def write_rows(plan: AnyPlan, store: Store, folder: Path) -> ReleaseData:
    """Write a finished plan's rows below `folder`, in every config of its kind."""
    artifact = store.artifact("split", plan.stage("split").fingerprint)
    if isinstance(plan, MixPlan):
        return mix_rows.write_data(mix_rows.split_table(artifact), folder)
    return write_data(split_table(artifact), folder)


def card_of(facts: AnyFacts, data: ReleaseData) -> str:
    """The card over facts and data files. Raises UserError `card-metadata`."""
    return mix_card.card_text(facts, data) if isinstance(facts, MixFacts) else card.card_text(facts, data)


def render_card(plan: AnyPlan, store: Store) -> str:
    """The card of a finished plan, the same text that a release of it carries."""
    match plan:
        case Plan():
            return card.render_card(plan, store)
        case MixPlan():
            return mix_card.render_card(plan, store)
    raise AssertionError(f"no kind of plan: {plan}")
