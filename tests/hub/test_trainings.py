"""Trainings, as a card tells of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xirecipe.artifact import Manifest
from xirecipe.hub.card import environment
from xirecipe.hub.facts import collect
from xirecipe.hub.trainings import trainings

from .conftest import Run

MEASURED: dict[str, Any] = {
    "learn": {"pairs": 90}, "held_out": {"pairs": 10, "nats_before": 4.0, "nats_after": 2.5}, "steps": 24,
    "device": "cpu", "precision": "float32", "parameters": 1000, "adapter": {"sha256": "a" * 64, "license": "gemma"},
}  # fmt: skip


def manifest(role: str, round: int | None = None, **facts: Any) -> Manifest:
    identity = {"role": role} | ({"round": round} if round else {})
    return Manifest("train", "0" * 64, {"identity": identity}, 100, 100, 100, facts=facts)


def manifests() -> list[Manifest]:
    """A writer's three trainings, the last of which was before a round that was not run, and an evaluator's."""
    evaluator = {"accuracy": 0.5, "auc": 0.75}
    return [
        manifest("writer", **MEASURED),
        manifest("judge", **MEASURED, evaluator_before=evaluator, evaluator_after=evaluator | {"accuracy": 0.625}),
        manifest("writer", 1, **MEASURED | {"learn": {"pairs": 120}, "best_rows": 30}),
        manifest("writer", 2, stopped=True),
    ]


def test_a_training_before_a_round_that_was_not_run_is_none() -> None:
    found = trainings(manifests())
    assert [(each.role, each.round, each.learnt, each.best_rows) for each in found] == [
        ("writer", None, 90, 0), ("judge", None, 90, 0), ("writer", 1, 120, 30),
    ]  # fmt: skip


def test_a_card_says_before_which_round_a_writer_learnt_how_many_best_rows(run: Run) -> None:
    facts = replace(collect(*run.build()), trainings=trainings(manifests()))
    text = environment().get_template("process.md.j2").render(facts=facts, recipe=facts.recipe)
    lines = [line for line in text.splitlines() if line.startswith(("| writer |", "| judge |", "| writer, "))]
    assert [line.split(" | ")[:4] for line in lines if "aaaa" in line] == [
        ["| writer", "90", "10", "24"],
        ["| judge", "90", "10", "24"],
        ["| writer, before round 1", "120, 30 of them best rows so far", "10", "24"],
    ]


def test_a_card_has_no_accuracy_of_an_evaluator_that_learnt_instructions_and_no_labels(run: Run) -> None:
    facts = replace(collect(*run.build()), trainings=trainings([manifest("judge", **MEASURED)]))
    text = environment().get_template("process.md.j2").render(facts=facts, recipe=facts.recipe)
    (line,) = (line for line in text.splitlines() if line.startswith("| judge |") and "aaaa" in line)
    assert line.split(" | ")[4:8] == ["4.000", "2.500", "none", "none"]
