"""Rounds of refinement: real stages against a model server that rates what it is told to rate badly."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Folder, recipe_folder
from tests.models.fake_server import FakeServer, Fault, prompt_of
from xirecipe import tables
from xirecipe.compile import compile_recipe
from xirecipe.diagnostics import UserError
from xirecipe.hub.provenance import models
from xirecipe.plan import AnyPlan, Plan
from xirecipe.run import StageDone, run_plan
from xirecipe.settings import Settings
from xirecipe.store import Store

pytestmark = pytest.mark.engine

DOCUMENTS = {
    "mvua": "Mvua hunyesha wakati wa masika na kujaza mito yote ya bonde.",
    "mkate": "Mkate huokwa kwa unga wa ngano, chumvi kidogo na maji ya moto.",
    "simba": "Simba huishi kwa makundi katika nyika na huwinda usiku.",
}
TOPICS = {"mvua": "seasonal rain", "mkate": "baking bread", "simba": "lions in the wild"}
PAIRS = tuple(
    {"id": f"s{i}", "instruction": f"Say something about matter {i}.", "response": f"Jambo la {i} ni zuri sana kwetu."}
    for i in range(6)
)
WRITE = "WRITE {% for pair in exemplars %}[{{ pair.instruction }}]{% endfor %} {{ text }}"
RATE = (
    "RATE {% for example in examples %}({{ example.label }}: {{ example.instruction }}){% endfor %} {{ instruction }}"
)


#: Judged by embeddings, with a threshold that no draft reaches.
SIMILAR = {
    "judge": {"similarity": {}},
    "select.score": "similarity",
    "select.min_score": 0.1,
    "refine": {"rounds": 1, "score": "similarity", "min_score": 1.0, "exemplars": 0},
}


@dataclass
class Project:
    """A recipe of one round, its server, and what each document's drafts are rated."""

    folder: Folder
    server: FakeServer

    def run(self, *, retry_failed: bool = False, max_failed_ratio: float = 0.05, **changes: Any) -> list[StageDone]:
        plan = self.plan(**changes)
        environment = {"XIRECIPE_MODEL_URL": self.server.url}
        self.store = Store(self.folder.root / "store")
        settings = Settings(workers=1, max_failed_ratio=max_failed_ratio, environment=environment)
        return run_plan(plan, self.store, settings, retry_failed=retry_failed)

    def plan(self, **changes: Any) -> AnyPlan:
        return compile_recipe(self.folder.recipe(self.changes(changes)))

    refine = {"rounds": 1, "score": "rubric", "min_score": 2.0, "exemplars": 1}  # noqa: RUF012
    recipe = {  # noqa: RUF012
        "corpus.filters": {"length": {"min_chars": 5}}, "dedup": {"minhash": None}, "rating_set": {},
        "generate.guards": {"min_english_score": None},
        "judge.rubric": {"prompt": "prompts/rate.j2", "levels": {"3": 3, "2": 2, "1": 1}, "examples_per_level": 1},
    }  # fmt: skip

    def changes(self, changes: dict[str, Any]) -> dict[str, Any]:
        own = {key: value for key, value in self.recipe.items() if key.partition(".")[0] not in changes}
        return {"refine": self.refine, **own, **changes}

    def rows(self, done: StageDone) -> list[tables.Row]:
        return list(tables.read(self.store.artifact(done.stage.kind, done.stage.fingerprint).data))

    def asked(self, start: str) -> list[str]:
        return [prompt_of(call) for call in self.server.calls if prompt_of(call).startswith(start)]


@pytest.fixture
def project(tmp_path: Path, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    folder = recipe_folder(tmp_path)
    folder.json_lines("texts.jsonl", ({"id": name, "text": text} for name, text in DOCUMENTS.items()))
    folder.json_lines("seed.jsonl", PAIRS)
    folder.write("prompts/write.j2", WRITE)
    folder.write("prompts/rate.j2", RATE)
    # No label probabilities, so that the answer's text is the rating.
    fake_server.label_log_probs = None
    fake_server.models = ("tiny",)
    return Project(folder, fake_server)


def model(ratings: Callable[[str], int]) -> Callable[[dict[str, Any]], str]:
    """Writes about the document's topic, a new wording for each seed and prompt; rates as `ratings` says."""

    def answer(body: dict[str, Any]) -> str:
        prompt = prompt_of(body)
        if prompt.startswith("RATE"):
            return str(ratings(prompt.rpartition(")")[2].strip()))
        topic = next(TOPICS[name] for name, text in DOCUMENTS.items() if text in prompt)
        manner = "carefully" if "[Explain" in prompt else "plainly"
        return f"Explain {topic} {manner} in draft number {body.get('seed')}."

    return answer


def lions_are_flawed_at_first(instruction: str) -> int:
    return 1 if "lions" in instruction and "draft number 0" in instruction else 3


def test_only_flawed_documents_get_new_drafts_and_everything_is_rated_again(project: Project) -> None:
    project.server.answer = model(lions_are_flawed_at_first)
    stages = {done.stage.label: done for done in project.run()}

    refined = stages["refine 1"].manifest
    assert (refined.rows_in, refined.asked, refined.kept) == (3, 4, 4)
    assert refined.balanced
    rows = project.rows(stages["refine 1"])
    assert sorted((r["document_id"], r["draw"], r["round"], r["rubric_score"]) for r in rows) == [
        ("mkate", 0, 0, 3.0), ("mvua", 0, 0, 3.0), ("simba", 0, 0, 1.0), ("simba", 1, 1, 3.0),
    ]  # fmt: skip
    assert stages["split"].manifest.kept == 3


def test_the_best_candidate_stands_in_the_next_rounds_prompts_of_writer_and_evaluator(project: Project) -> None:
    project.server.answer = model(lions_are_flawed_at_first)
    project.run()
    best = "Explain baking bread plainly in draft number 0."
    assert [prompt.count(f"[{best}]") for prompt in project.asked("WRITE")] == [0, 0, 0, 1]
    again = [prompt for prompt in project.asked("RATE") if f"(3: {best})" in prompt]
    # Three candidates, without the best one itself, and the rating set.
    assert len(again) >= 3
    assert not [prompt for prompt in again if prompt.endswith(f") {best}")]


def test_a_round_says_what_it_did(project: Project) -> None:
    project.server.answer = model(lions_are_flawed_at_first)
    stages = {done.stage.label: done for done in project.run()}
    manifest = stages["refine 1"].manifest
    facts = manifest.facts
    assert facts["round"] == {
        "round": 1, "documents": 3, "flawed": 1, "redrafted": 1, "improved": 1, "changed_ratio": 0.3333,
        "agreement": 1.0, "mean_score_before": 2.3333, "mean_score_after": 3.0, "yield_before": 0.6667,
        "yield_after": 1.0, "stopped": False, "exemplars": ["mkate"], "kept_ratings": 0,
        "answers": {"generate": 1, "judge": manifest.calls + manifest.reused - 1},
    }  # fmt: skip
    assert facts["evaluators"]["rubric"]["rows"] == 3 * len(PAIRS)


def test_a_card_counts_the_answers_of_all_rounds_by_the_model_that_gave_them(project: Project) -> None:
    project.server.answer = model(lions_are_flawed_at_first)
    manifests = {done.stage.label: done.manifest for done in project.run()}
    plan = project.plan()
    assert isinstance(plan, Plan)
    writer, judge, *_ = models(plan, manifests)
    assert (writer.answers or 0) + (judge.answers or 0) == sum(m.calls + m.reused for m in manifests.values())
    assert writer.answers == len(DOCUMENTS) + 1
    rated = sum(sum(m.facts.get("ratings", {}).values()) for m in manifests.values())
    assert judge.sampling == f"label in the text: {rated:,} ratings"

    refined = manifests["refine 1"]
    del refined.facts["round"]["answers"]
    assert [model.answers for model in models(plan, manifests)[:2]] == [None, None]


def test_a_document_whose_drafts_were_all_dropped_is_drafted_again(project: Project) -> None:
    base = model(lambda instruction: 3)
    project.server.answer = lambda body: (
        "Translate." if "Simba" in prompt_of(body) and body.get("seed") == 0 else base(body)
    )
    stages = {done.stage.label: done for done in project.run()}
    assert stages["generate"].manifest.kept == 2
    assert [(r["document_id"], r["round"]) for r in project.rows(stages["split"]) if r["round"]] == [("simba", 1)]


def test_a_round_after_one_that_changed_too_little_asks_nothing(project: Project) -> None:
    project.server.answer = model(lambda instruction: 3)
    done = project.run(refine={**project.refine, "rounds": 3, "min_changed_ratio": 0.1})
    rounds = {d.stage.label: d.manifest for d in done if d.stage.kind == "refine"}
    assert rounds["refine 1"].facts["round"]["changed_ratio"] == 0.0
    for label in ("refine 2", "refine 3"):
        assert rounds[label].facts["round"]["stopped"]
        assert (rounds[label].calls, rounds[label].kept) == (0, 3)


def test_an_edited_number_of_rounds_pays_only_for_the_new_round(project: Project) -> None:
    project.server.answer = model(lambda instruction: 1)
    once = {**project.refine, "min_changed_ratio": 0.0}
    project.run(refine=once)
    before = len(project.server.calls)
    done = {d.stage.label: d for d in project.run(refine={**once, "rounds": 2})}
    made = [label for label, d in done.items() if d.made]
    assert made[0] == "refine 2"
    # Three new drafts and their ratings; nothing was good enough to become an exemplar, so nothing else is asked again.
    assert len(project.server.calls) - before == 6


def test_the_same_run_again_asks_nothing(project: Project) -> None:
    project.server.answer = model(lions_are_flawed_at_first)
    project.run()
    before = len(project.server.calls)
    assert not any(done.made for done in project.run())
    assert len(project.server.calls) == before


def rates_again_rain(body: dict[str, Any]) -> bool:
    """Whether a request is the round's about the draft on rain: its examples have one of the drafts among them."""
    return re.search(r"\(3: Explain.*\) Explain seasonal", prompt_of(body)) is not None


def test_a_candidate_whose_rating_fails_in_a_round_keeps_the_one_it_has(project: Project) -> None:
    own = model(lions_are_flawed_at_first)
    project.server.answer = lambda body: "no idea" if rates_again_rain(body) else own(body)
    done = {done.stage.label: done for done in project.run()}
    refined = done["refine 1"].manifest
    assert (refined.rows_in, refined.asked, refined.kept, refined.failed) == (3, 4, 4, {})
    assert [r["rubric_score"] for r in project.rows(done["refine 1"]) if r["document_id"] == "mvua"] == [3.0]
    assert refined.facts["unrated"] == {"judge.unparsable_rating": 1}
    assert refined.facts["round"]["kept_ratings"] == 1


def test_a_new_draft_whose_rating_fails_is_a_failed_row_and_the_rows_add_up(project: Project) -> None:
    own = model(lions_are_flawed_at_first)
    project.server.answer = lambda body: (
        "no idea" if prompt_of(body).endswith("draft number 1.") and "RATE" in prompt_of(body) else own(body)
    )
    refined = next(done.manifest for done in project.run() if done.stage.label == "refine 1")
    assert (refined.asked, refined.kept, refined.failed) == (4, 3, {"judge.unparsable_rating": 1})
    assert refined.balanced


def test_ratings_that_a_server_owes_are_asked_for_again_when_failed_rows_are(project: Project) -> None:
    project.server.answer = model(lions_are_flawed_at_first)
    about_a_pair = f"RATE  {PAIRS[0]['instruction']}"

    def fault(body: dict[str, Any]) -> Fault | None:
        refused = rates_again_rain(body) or re.sub(r"\(.*\)", "", prompt_of(body)) == about_a_pair
        return Fault(status=400, message="no") if refused else None

    project.server.fail_when(fault)
    first = {done.stage.label: done for done in project.run(max_failed_ratio=0.5)}
    # The pair stands in the set with three texts.
    assert first["judge"].manifest.facts["unrated"] == {"judge.refused": 3}
    assert first["refine 1"].manifest.facts["unrated"] == {"judge.refused": 4}
    project.server.fail_when(lambda body: None)
    assert not any(done.made for done in project.run())

    again = {done.stage.label: done for done in project.run(retry_failed=True)}
    assert [label for label, done in again.items() if done.made][:2] == ["judge", "refine 1"]
    for label in ("judge", "refine 1"):
        assert "unrated" not in again[label].manifest.facts
    assert again["refine 1"].manifest.facts["evaluators"]["rubric"]["unscored"] == 0


def test_a_judge_that_answers_nonsense_stops_the_run_before_more_is_paid(project: Project) -> None:
    project.folder.json_lines(
        "texts.jsonl",
        ({"id": f"{name}-{n}", "text": f"{text} {n}."} for name, text in DOCUMENTS.items() for n in range(8)),
    )
    base = model(lambda instruction: 3)
    project.server.answer = lambda body: "lovely" if prompt_of(body).startswith("RATE") else base(body)
    with pytest.raises(UserError) as caught:
        project.run()
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "unparsable-ratings"
    assert diagnostic.message == "judge: 24 of 24 ratings name no level of the rubric"


def test_a_round_keeps_the_similarity_of_old_candidates_and_gives_new_ones_theirs(project: Project) -> None:
    project.server.answer = model(lambda instruction: 3)
    done = {d.stage.label: d for d in project.run(**SIMILAR)}
    before = {(r["document_id"], r["draw"]): r["similarity"] for r in project.rows(done["judge"])}
    after = {(r["document_id"], r["draw"]): r["similarity"] for r in project.rows(done["refine 1"])}
    assert {key: after[key] for key in before} == before
    new = [after[key] for key in after.keys() - before.keys()]
    assert len(new) == 3
    assert all(0 < similarity < 1 for similarity in new)
    assert done["judge"].manifest.calls == 0
