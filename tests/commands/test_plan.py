"""`xirecipe plan`: done or to run and why, and what it would cost."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Folder, Ran, recipe_folder, xirecipe
from xirecipe import tables
from xirecipe.artifact import Manifest
from xirecipe.columns import CORE, columns_after
from xirecipe.compile import compile_recipe
from xirecipe.models.completions import CompletionLog
from xirecipe.models.requests import Answer
from xirecipe.questions import generate_requests
from xirecipe.store import Store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XIRECIPE_STORE", raising=False)
    return recipe_folder(tmp_path)


def finish(folder: Folder, to: str = "split", **numbers: Any) -> None:
    """Leave the artifacts of a run behind, of three documents of which all are kept."""
    store = Store(folder.root / "store")
    for stage in compile_recipe(folder.root / "tiny.yaml").stages:
        artifact = store.artifact(stage.kind, stage.fingerprint)
        store.start(artifact)
        rows = [{"document_id": str(i), "text": f"maandishi {i}", "instruction": "i", "draw": 0} for i in range(3)]
        tables.write(artifact.data, rows, columns_after(stage.kind))
        counts = {"rows_in": 3, "asked": 3, "kept": 3, **(numbers if stage.kind == to else {})}
        artifact.write_manifest(Manifest(stage.kind, stage.fingerprint, stage.payload, recipe="tiny-swh", **counts))
        if stage.kind == to:
            return


def plan(*arguments: str) -> dict[str, dict[str, Any]]:
    ran = xirecipe("plan", "tiny.yaml", "--json", *arguments)
    assert (ran.code, ran.err) == (0, "")
    return {record["stage"]: record for record in json.loads(ran.out)}


def why(*arguments: str) -> dict[str, str]:
    """The reason of every stage that would run."""
    return {kind: record["why"] for kind, record in plan(*arguments).items() if record["state"] == "run"}


def test_a_recipe_that_was_never_run_would_run_whole(folder: Folder) -> None:
    assert why() == dict.fromkeys(CORE, "never run")
    assert plan()["generate"]["calls"] == 3
    assert plan()["judge"]["calls"] == 3


def test_the_table_names_every_stage_and_counts_calls(folder: Folder) -> None:
    ran = xirecipe("plan", "tiny.yaml")
    assert (ran.code, ran.err) == (0, "")
    for kind in CORE:
        assert f"{kind}: never run\n" in ran.out
    assert ran.out.endswith("9 of 9 stages would run: 6 model calls, 2,974 tokens, $?, 0 answers already paid for\n")


def test_a_finished_recipe_would_do_nothing(folder: Folder) -> None:
    finish(folder)
    assert why() == {}
    ran = xirecipe("plan", "tiny.yaml", "--exit-code")
    assert ran.code == 0
    assert ran.out.endswith("everything is done; `xirecipe run` would do nothing\n")


def test_exit_code_is_2_when_something_would_run(folder: Folder) -> None:
    assert xirecipe("plan", "tiny.yaml", "--exit-code").code == 2
    assert xirecipe("plan", "tiny.yaml", "--exit-code", "--json").code == 2
    assert xirecipe("plan", "tiny.yaml").code == 0


def test_a_changed_threshold_shows_old_and_new_and_costs_no_call(folder: Folder) -> None:
    finish(folder)
    folder.recipe({"select.min_score": 2.5})
    assert why() == {
        "select": "select.min_score: 2.0 → 2.5",
        "messages": "select changed",
        "split": "messages changed",
    }
    assert sum(record["calls"] for record in plan().values()) == 0


def test_a_key_that_was_not_written_before_shows_the_default(folder: Folder) -> None:
    finish(folder)
    assert why("--set", "generate.draws=2")["generate"] == "generate.draws: default → 2"
    assert why("--set", "dedup.minhash=null")["dedup"] == "dedup.minhash: default → null"


def test_a_new_filter_shows_each_of_its_keys(folder: Folder) -> None:
    folder.recipe({"corpus.filters": {"language": None}})
    finish(folder)
    folder.recipe({"corpus.filters": {"language": None, "length": {"min_chars": 7, "max_chars": 9}}})
    assert (
        why()["corpus"] == "corpus.filters.length.max_chars: default → 9; corpus.filters.length.min_chars: default → 7"
    )


def test_a_changed_model_shows_its_revision(folder: Folder) -> None:
    finish(folder)
    assert why("--set", 'models.writer.revision="2"') == {
        "generate": "model.revision: 1 → 2",
        "judge": "model.revision: 1 → 2",
        **{kind: f"{before} changed" for before, kind in itertools.pairwise(CORE[3:])},
    }


def test_a_changed_prompt_and_a_changed_exemplar_say_so(folder: Folder) -> None:
    finish(folder)
    folder.write("prompts/write.j2", folder.read("prompts/write.j2") + "!")
    assert why()["generate"] == "prompts: other text"
    folder.write("seed.jsonl", folder.read("seed.jsonl").replace("Describe rain", "Describe storms"))
    assert why()["generate"] == "exemplars: other text; prompts: other text"


def test_another_corpus_content_names_the_source(folder: Folder) -> None:
    finish(folder)
    folder.write("texts.jsonl", folder.read("texts.jsonl") + '{"id": "9", "text": "mpya"}\n')
    assert why()["corpus"] == "web: other content"
    assert plan()["corpus"]["rows_in"] == 4


def test_an_artifact_that_was_removed_is_gone(folder: Folder) -> None:
    finish(folder)
    store = Store(folder.root / "store")
    stage = compile_recipe(folder.root / "tiny.yaml").stage("embed")
    other = store.artifact("embed", "0" * 64)
    store.start(other)
    other.write_manifest(Manifest("embed", stage.fingerprint, stage.payload, 1, 1, 1, recipe="tiny-swh"))
    store.artifact("embed", stage.fingerprint).manifest_path.unlink()
    assert why() == {"embed": "its artifact is gone"}


def test_answers_that_are_paid_for_are_not_counted_again(folder: Folder) -> None:
    finish(folder, to="dedup")
    stage = compile_recipe(folder.root / "tiny.yaml").stage("generate")
    assert stage.model is not None
    store, identity = Store(folder.root / "store"), stage.model.identity
    rows = tables.read(store.artifact("dedup", stage.inputs[0].fingerprint).data)
    requests = [request for _, request in generate_requests(stage, rows)]
    with CompletionLog(store.completions, identity) as log:
        log.append(requests[0].key(identity), Answer("an instruction"))
    assert (plan()["generate"]["calls"], plan()["generate"]["paid"]) == (2, 1)
    planned = xirecipe("plan", "tiny.yaml").out
    assert "stages would run: 5 model calls" in planned
    assert "1 + ? answers already paid for\ncalls are at most" in planned


def test_rows_are_expected_by_the_keep_rate_of_the_last_run(folder: Folder) -> None:
    finish(folder, to="corpus", kept=1, dropped={"length.min_chars": 2})
    folder.write("texts.jsonl", folder.read("texts.jsonl") * 10)
    assert (plan()["corpus"]["rows_in"], plan()["corpus"]["rows_out"], plan()["corpus"]["measured"]) == (30, 10, True)
    assert plan()["generate"]["calls"] == 10


def test_measured_calls_give_tokens_money_and_time(folder: Folder) -> None:
    finish(folder, to="generate", calls=3, prompt_tokens=300, completion_tokens=30, seconds=6.0)
    rates = ["--set", "rates.writer={dollars_per_million_prompt_tokens: 10, dollars_per_million_completion_tokens: 10}"]
    cost = plan("--set", "generate.sampling.seed=1", *rates)["generate"]
    assert (cost["calls"], cost["tokens"], cost["seconds"]) == (3, 330, 6.0)
    assert cost["dollars"] == pytest.approx(0.0033)


def test_rates_that_are_declared_give_a_time_before_the_first_run(folder: Folder) -> None:
    cost = plan("--set", "rates.writer.tokens_per_second=100")["generate"]
    assert cost["seconds"] == pytest.approx(cost["tokens"] / 100)


def test_a_limit_bounds_what_is_expected(folder: Folder) -> None:
    assert plan("--limit", "2")["corpus"]["rows_in"] == 2


def test_a_hub_source_without_a_number_of_documents_is_unknown(folder: Folder) -> None:
    source = {"format": "hub", "repository": "a/b", "revision": "0" * 40, "files": "*.parquet", "license": "odc-by"}
    folder.recipe({"corpus.sources": {"web": source}})
    assert (plan()["generate"]["calls"], plan()["generate"]["tokens"]) == (None, None)
    assert "9 of 9 stages would run: ? model calls" in xirecipe("plan", "tiny.yaml").out
    assert plan("--set", "corpus.sources.web.documents=50")["generate"]["calls"] == 50


def test_a_plan_of_a_store_of_another_layout_is_refused(folder: Folder) -> None:
    folder.write("store/layout", "99\n")
    ran = xirecipe("plan", "tiny.yaml")
    assert ran.code == 1
    assert "error[other-store]: store has store layout 99" in ran.err


def test_planning_makes_no_store(folder: Folder) -> None:
    before = sorted(path.name for path in folder.root.iterdir())
    plan()
    assert sorted(path.name for path in folder.root.iterdir()) == before


def test_a_broken_recipe_has_no_plan_and_shows_its_mistakes(folder: Folder) -> None:
    folder.recipe({"select.rows": 0})
    assert xirecipe("plan", "tiny.yaml") == Ran(
        1,
        "",
        "tiny.yaml:36:9: error[out-of-range]: `select.rows` must be at least 1, not 0\n"
        "   |\n36 |   rows: 0\n   |         ^\n\n1 error\n",
    )


ROUNDS: dict[str, Any] = {
    "judge.rubric.levels": {"3": 3, "2": 2, "1": 1}, "rating_set": {},
    "refine": {"rounds": 2, "score": "rubric", "min_score": 2},
}  # fmt: skip


def with_rounds(folder: Folder, **changes: Any) -> None:
    folder.json_lines("seed.jsonl", ({"instruction": f"Say {i}.", "response": f"Jambo {i}."} for i in range(4)))
    folder.recipe({**ROUNDS, **changes})


def test_the_rating_set_is_rated_in_every_pass_and_counted(folder: Folder) -> None:
    with_rounds(folder)
    planned = plan()
    # Three candidates and three rows for each of four pairs; a round may write a draft for each document as well.
    assert planned["judge"]["calls"] == 3 + 12
    assert planned["refine 1"]["calls"] == 3 + (3 + 3 + 12)
    # The six candidates of the first round are of three documents all the same.
    assert (planned["refine 2"]["rows_in"], planned["refine 2"]["rows_out"]) == (6, 9)


def test_a_round_is_expected_to_cost_what_the_same_round_cost_also_where_its_answers_were_paid_for(
    folder: Folder,
) -> None:
    with_rounds(folder)
    store = Store(folder.root / "store")
    for stage in compile_recipe(folder.root / "tiny.yaml").stages:
        if stage.kind == "refine":
            calls, reused = {1: (2, 7), 2: (0, 0)}[stage.round]
            artifact = store.artifact("refine", stage.fingerprint)
            store.start(artifact)
            artifact.write_manifest(
                Manifest(
                    "refine", stage.fingerprint, stage.payload, 3, 3, 3, calls=calls, reused=reused, recipe="tiny-swh"
                )
            )
    with_rounds(folder, refine={**ROUNDS["refine"], "min_score": 2.5})
    planned = plan()
    assert planned["refine 1"]["calls"] == 9
    assert planned["refine 1"]["why"].startswith("refine.min_score: 2.0 → 2.5")
    # The second round was stopped before it asked anything, which says nothing of what it would ask.
    assert (planned["refine 2"]["calls"], planned["refine 2"]["measured"]) == (3 + (3 + 3 + 12), False)


HUB = {"format": "hub", "repository": "a/b", "revision": "0" * 40, "files": "*.parquet", "license": "odc-by"}
ENOUGH = """\
400 documents are enough for `select.rows: 200`, going by the run of 2026-11-21T10:00:00+00:00, where 1,000 gave 500 \
rows that pass: `documents:` of a source says how many are read; `xirecipe run --enough` finds out
"""


def selected(folder: Folder, **numbers: Any) -> None:
    """The manifests of a run that read a thousand documents and selected 80 rows of 500."""
    store = Store(folder.root / "store")
    for stage in compile_recipe(folder.root / "tiny.yaml").stages:
        counts: dict[str, Any] = {"rows_in": 1_000, "asked": 1_000, "kept": 1_000}
        if stage.kind == "select":
            counts |= {"kept": 80, "dropped": {"select.min_score": 500, "select.rows": 420}}
        artifact = store.artifact(stage.kind, stage.fingerprint)
        store.start(artifact)
        told = {"recipe": "tiny-swh", "finished": "2026-11-21T10:00:00+00:00"}
        artifact.write_manifest(Manifest(stage.kind, stage.fingerprint, stage.payload, **told, **counts))


def asks_for(folder: Folder, documents: int, rows: int, **changes: Any) -> None:
    folder.recipe({"corpus.sources": {"web": HUB | {"documents": documents}}, "select.rows": rows, **changes})


@pytest.mark.parametrize(("read", "told"), [(10_000, ENOUGH), (400, "")])
def test_a_plan_that_reads_more_than_its_rows_need_says_how_much_is_enough(
    folder: Folder, read: int, told: str
) -> None:
    asks_for(folder, documents=1_000, rows=80)
    selected(folder)
    asks_for(folder, documents=read, rows=200)
    ran = xirecipe("plan", "tiny.yaml")
    assert ran.out.endswith(told) if told else "are enough" not in ran.out


@pytest.mark.parametrize(
    "change",
    [
        {"corpus.sources": {"web": HUB | {"files": "other.parquet"}}},
        {"corpus.filters": {"length": {"min_chars": 50}}},
        {"models.writer.revision": "2"},
        {"select.min_score": 1},
        {"embed.column": "response"},
        {"refine": ROUNDS["refine"], "judge.rubric.levels": {"3": 3, "2": 2, "1": 1}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_run_of_other_sources_filters_models_or_thresholds_does_not_say_how_much_is_enough(
    folder: Folder, change: dict[str, Any]
) -> None:
    asks_for(folder, documents=1_000, rows=80, **change)
    selected(folder)
    asks_for(folder, documents=10_000, rows=200)
    assert "are enough" not in xirecipe("plan", "tiny.yaml").out


def test_the_sample_does_not_speak_for_another_profile(folder: Folder) -> None:
    profiles = {"sample": {"corpus": {"filters": {"length": {"min_chars": 50}}}}, "full": {}}
    asks_for(folder, documents=10_000, rows=200, profiles=profiles)
    selected(folder)
    assert "are enough" in xirecipe("plan", "tiny.yaml", "--profile", "sample").out
    assert "are enough" not in xirecipe("plan", "tiny.yaml", "--profile", "full").out


def test_a_limited_run_says_how_much_is_enough(folder: Folder) -> None:
    asks_for(folder, documents=10_000, rows=200)
    store = Store(folder.root / "store")
    for stage in compile_recipe(folder.root / "tiny.yaml", limit=100).stages:
        artifact = store.artifact(stage.kind, stage.fingerprint)
        store.start(artifact)
        artifact.write_manifest(Manifest(stage.kind, stage.fingerprint, stage.payload, 100, 50, 50))
    assert "400 documents are enough for `select.rows: 200`" in xirecipe("plan", "tiny.yaml").out
