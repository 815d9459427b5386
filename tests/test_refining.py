"""What a refining round decides: the best, the flawed, and what changed."""

from __future__ import annotations

from typing import Any

from xirecipe.recipe.generation import Refine
from xirecipe.refining import best_candidates, best_drafts, is_flawed, is_last, learnt_candidates, round_facts

CONFIG = Refine(score="rubric", min_score=2.0, exemplars=2)


def row(
    document: str, score: float | None, draw: int = 0, instruction: str | None = None, chars: int = 100
) -> dict[str, Any]:
    asked = instruction or f"Explain {document}, draw {draw}."
    return {"document_id": document, "draw": draw, "instruction": asked, "rubric_score": score, "chars": chars}


def test_each_documents_best_draft_counts_and_a_tie_goes_to_the_earlier_draw() -> None:
    best = best_drafts([row("a", 1.0, 0), row("a", 2.0, 1), row("b", 3.0, 1), row("b", 3.0, 0)], CONFIG)
    assert {name: found["draw"] for name, found in best.items()} == {"a": 1, "b": 0}


def test_a_draft_without_a_score_is_nobodys_best() -> None:
    assert best_drafts([row("a", None), row("a", float("nan"), 1)], CONFIG) == {}


def test_a_document_is_flawed_below_the_threshold_or_without_a_draft() -> None:
    best = best_drafts([row("a", 1.9), row("b", 2.0)], CONFIG)
    assert [is_flawed(name, best, CONFIG) for name in ("a", "b", "gone")] == [True, False, True]


def test_the_best_become_exemplars_no_flawed_one_and_no_instruction_twice() -> None:
    rows = [row("a", 2.5, instruction="Explain rain."), row("b", 2.9, instruction="explain  rain"), row("c", 2.1),
            row("d", 1.0)]  # fmt: skip
    chosen = best_candidates(best_drafts(rows, CONFIG), CONFIG)
    assert [found["document_id"] for found in chosen] == ["b", "c"]


def test_a_candidate_whose_text_is_long_becomes_no_exemplar() -> None:
    best = best_drafts([row("a", 3.0, chars=1501), row("b", 2.0, chars=1500)], CONFIG)
    assert [found["document_id"] for found in best_candidates(best, CONFIG)] == ["b"]


def test_a_writer_learns_the_best_drafts_however_long_in_the_order_of_their_scores_and_ties_by_document() -> None:
    rows = [row("b", 2.5), row("a", 2.5), row("c", 3.0, chars=9000), row("d", 1.9), row("e", 2.1, 0), row("e", 2.2, 1)]
    best = best_drafts(rows, CONFIG)
    assert [(r["document_id"], r["draw"]) for r in learnt_candidates(best, CONFIG)] == [
        ("c", 0), ("a", 0), ("b", 0), ("e", 1),
    ]  # fmt: skip


def test_a_writer_learns_no_more_rows_than_the_recipe_says_and_no_instruction_twice() -> None:
    rows = [row(str(i), 3.0 - i / 100, instruction="Explain rain." if i < 3 else None) for i in range(8)]
    few = CONFIG.model_copy(update={"max_learnt_rows": 2, "exemplars": 0})
    assert [r["document_id"] for r in learnt_candidates(best_drafts(rows, few), few)] == ["0", "3"]


def test_no_round_follows_one_that_changed_too_little_or_was_not_run() -> None:
    changed = {"stopped": False, "changed_ratio": CONFIG.min_changed_ratio}
    assert not is_last(None, CONFIG)
    assert not is_last(changed, CONFIG)
    assert is_last(changed | {"changed_ratio": 0.019}, CONFIG)
    assert is_last({"round": 2, "stopped": True}, CONFIG)


def test_a_round_says_what_it_changed() -> None:
    before = best_drafts([row("a", 1.0), row("b", 3.0), row("d", 1.5)], CONFIG)
    after = best_drafts([row("a", 2.5, 1), row("b", 2.8), row("c", 2.0), row("d", 1.5)], CONFIG)
    pairs = [(1.0, 1.2), (3.0, 1.8), (1.5, 1.5)]
    assert round_facts(5, 3, before, after, pairs, CONFIG) == {
        "documents": 5,
        "flawed": 3,
        "improved": 1,
        "changed_ratio": 0.4,
        "agreement": 0.6667,
        "mean_score_before": 1.8333,
        "mean_score_after": 2.2,
        "yield_before": 0.2,
        "yield_after": 0.6,
        "stopped": False,
    }


def test_a_round_over_nothing_divides_by_nothing() -> None:
    facts = round_facts(0, 0, {}, {}, [], CONFIG)
    assert (facts["changed_ratio"], facts["agreement"], facts["mean_score_after"]) == (0.0, None, None)
