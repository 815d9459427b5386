from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from xirecipe.diagnostics import Diagnostic, UserError
from xirecipe.hub.gates import Gate, check_gates, not_releasable

from .conftest import Run

EVALUATOR = {"learned_from": 9, "held_out": 11, "accuracy": 0.82, "auc": 0.9, "calibration_error": 0.1}


def gates(run: Run, **minimums: float) -> list[Gate]:
    run.recipe["release"]["gates"] = minimums
    return check_gates(*run.build())


def shut(run: Run, **minimums: float) -> list[Diagnostic]:
    with pytest.raises(UserError) as error:
        gates(run, **minimums)
    return list(error.value.diagnostics)


def test_without_declared_minimums_every_gate_is_open(version: Run) -> None:
    assert gates(version) == []


def test_what_is_measured_is_what_the_small_run_has(version: Run) -> None:
    version.change_row = lambda row: {**row, "language_score": 0.4 if row["document_id"] == "d1" else 0.9}
    found = gates(version, min_rows=3, min_keep_ratio=0.375, min_language_ratio=0.6, min_mean_score=2.5)
    values = {gate.name: gate.value for gate in found}
    # Eight documents were read and three released, with the scores 2.9, 2.5 and 2.1.
    assert values == {
        "min_rows": 3, "min_keep_ratio": 3 / 8, "min_language_ratio": pytest.approx(2 / 3), "min_mean_score": 2.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "minimum", "value"),
    [
        ("min_rows", 4, "3"), ("min_keep_ratio", 0.4, "0.375"), ("min_language_ratio", 1.0, "0"),
        ("min_mean_score", 2.6, "2.5"),
    ],
)  # fmt: skip
def test_a_shut_gate_is_named_with_its_value_and_minimum(version: Run, name: str, minimum: Any, value: str) -> None:
    version.change_row = lambda row: {**row, "language_score": 0.5}
    (problem,) = shut(version, **{name: minimum})
    assert problem.code == "gate"
    assert problem.message == f"`release.gates.{name}` is {minimum:g}, and this version has {value}"


def test_every_shut_gate_is_said_at_once(version: Run) -> None:
    assert len(shut(version, min_rows=100, min_mean_score=3, min_keep_ratio=0.1)) == 2


def test_the_evaluators_accuracy_is_read_from_the_judges_manifest(version: Run) -> None:
    assert "has not recorded" in shut(version, min_evaluator_accuracy=0.8)[0].message
    version.change_manifest = lambda manifest: (
        replace(manifest, facts={**manifest.facts, "evaluators": {"rubric": EVALUATOR}})
        if manifest.stage == "judge"
        else manifest
    )
    (gate,) = gates(version, min_evaluator_accuracy=0.8)
    assert gate.value == 0.82
    assert "has 0.82" in shut(version, min_evaluator_accuracy=0.9)[0].message


def test_scores_that_are_missing_do_not_open_a_gate(version: Run) -> None:
    version.change_row = lambda row: {**row, "score": None}
    assert "not recorded" in shut(version, min_mean_score=0.1)[0].message


# What can be no version, whatever its rows


def codes(run: Run) -> list[str]:
    return [d.code for d in not_releasable(run.plan())]


def test_a_frozen_pinned_recipe_under_a_real_profile_has_nothing_against_it(version: Run) -> None:
    assert codes(version) == []


@pytest.mark.parametrize("revision", ["main", "v1.0", "abc123"])
def test_a_hub_source_needs_a_commit(version: Run, revision: str) -> None:
    version.recipe["corpus"]["sources"]["news"]["revision"] = revision
    (problem,) = not_releasable(version.plan())
    assert problem.message == f"`corpus.sources.news.revision` is `{revision}`; what it names can change"


@pytest.mark.parametrize(
    ("model", "refused"),
    [
        ({"engine": "vllm", "model": "a/b", "revision": "main"}, True),
        ({"engine": "vllm", "model": "a/b", "revision": "0" * 40}, False),
        ({"engine": "server", "model": "a/b", "revision": "v2"}, True),
        ({"engine": "server", "model": "gpt-x", "revision": "2026-08-06"}, False),
        ({"engine": "server", "model": "gpt-x", "revision": "latest"}, True),
        ({"engine": "embedded", "repository": "a/b", "file": "b.gguf", "revision": "main", "sha256": "0" * 64}, True),
        ({"engine": "embedded", "package": "p", "revision": "1.0.0", "sha256": "0" * 64}, False),
    ],
)
def test_a_model_is_pinned_by_a_commit_where_it_lies_on_the_hub(
    version: Run, model: dict[str, Any], refused: bool
) -> None:
    version.recipe["models"]["writer"] = {**model, "license": "mit"}
    assert codes(version) == (["unpinned"] if refused else [])
