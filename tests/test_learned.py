"""Training as a stage: where it stands, what it hangs on, and which model is asked after it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.builders import SEED, Folder, recipe_folder, xirecipe
from tests.test_lessons import WEIGHTS, changes_of, plan, training, with_learn
from xirecipe.artifact import Manifest
from xirecipe.costs import cost_plan
from xirecipe.learned import GGUF, SAFETENSORS, model_of, writer_of
from xirecipe.plan import Plan
from xirecipe.recipe.models import Adapter, EmbeddedModel, VllmModel
from xirecipe.store import Store
from xirecipe.tables import write

FACTS = {"adapter": {"files": {GGUF: "a" * 64, SAFETENSORS: "b" * 64}, "license": "gemma"}, "steps": 10}
VLLM = {"engine": "vllm", "model": "a/b", "revision": "c" * 40, "license": "apache-2.0"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return recipe_folder(tmp_path)


def fingerprints(plan: Plan) -> dict[str, str]:
    return {stage.label: stage.fingerprint for stage in plan.stages}


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [label for label in after if before.get(label) != after[label]]


def trained(plan: Plan, store: Store, seconds: float = 20.0) -> Store:
    """A store in which the writer's training is done."""
    stage = training(plan)
    artifact = store.artifact("train", stage.fingerprint)
    store.start(artifact)
    artifact.write_manifest(
        Manifest("train", stage.fingerprint, stage.payload, 3, 3, 3, seconds=seconds, facts=FACTS, recipe="tiny-swh")
    )
    return store


def test_the_writer_is_trained_before_it_is_asked_and_documents_do_not_pass_through_it(folder: Folder) -> None:
    made = plan(folder)
    assert [stage.label for stage in made.stages][:4] == ["corpus", "dedup", "train writer", "generate"]
    assert [stage.kind for stage in made.document_stages][:3] == ["corpus", "dedup", "generate"]
    assert [stage.kind for stage in made.stage("split").lineage][-3:] == ["generate", "dedup", "corpus"]


def test_learning_in_context_is_the_plan_of_always(folder: Folder) -> None:
    plain = plan(folder, **{"generate.learn": ...})
    assert fingerprints(plan(folder, **{"generate.learn": {"method": "in_context"}})) == fingerprints(plain)


def test_another_learning_rate_trains_and_writes_again(folder: Folder) -> None:
    before, after = fingerprints(plan(folder)), fingerprints(plan(folder, **with_learn(learning_rate=1e-4)))
    assert changed(before, after)[:3] == ["train writer", "generate", "judge"]


def test_more_texts_or_another_guard_train_nothing_again(folder: Folder) -> None:
    before = fingerprints(plan(folder))
    guarded = fingerprints(plan(folder, **{"generate.guards": {"min_words": 2}, "generate.draws": 3}))
    assert changed(before, guarded)[0] == "generate"
    folder.json_lines("texts.jsonl", [{"id": "1", "text": "Mwanzo mpya kabisa."}])
    assert "train writer" not in changed(before, fingerprints(plan(folder)))


def test_another_prompt_or_pair_trains_again(folder: Folder) -> None:
    before = fingerprints(plan(folder))
    folder.json_lines("seed.jsonl", [*SEED[:2], SEED[2] | {"instruction": "Describe a hut."}])
    paired = fingerprints(plan(folder))
    assert changed(before, paired)[0] == "train writer"
    folder.write("prompts/write.j2", "{{ text }} >")
    assert changed(paired, fingerprints(plan(folder)))[0] == "train writer"


def test_a_seed_under_another_path_is_the_same_seed(folder: Folder) -> None:
    found = []
    for name in ("one.jsonl", "other.jsonl"):
        folder.json_lines(name, [{"id": "x", "instruction": "Describe fog.", "response": "Ukungu."}])
        found.append(fingerprints(plan(folder, **with_learn(seeds={"more": {"path": name, "license": "cc0-1.0"}}))))
    assert found[0] == found[1]


def test_nobody_is_asked_before_the_training_is_done(folder: Folder, tmp_path: Path) -> None:
    made, store = plan(folder), Store(tmp_path / "store")
    assert model_of(made.stage("generate"), store) is None
    assert model_of(made.stage("judge"), store) == made.recipe.models["writer"]


def test_the_trained_adapter_is_part_of_the_model_that_is_asked(folder: Folder, tmp_path: Path) -> None:
    made = plan(folder)
    store = trained(made, Store(tmp_path / "store"))
    model = model_of(made.stage("generate"), store)
    assert isinstance(model, EmbeddedModel)
    where = store.artifact("train", training(made).fingerprint).adapter.absolute() / GGUF
    assert model.adapter == Adapter(path=str(where), sha256="a" * 64, license="gemma")
    plain = made.recipe.models["writer"]
    assert model.identity == plain.identity | {"adapter": {"sha256": "a" * 64}}


def test_vllm_gets_the_folder_that_peft_wrote(folder: Folder, tmp_path: Path) -> None:
    made = plan(folder, models={"writer": VLLM})
    store = trained(made, Store(tmp_path / "store"))
    model = model_of(made.stage("generate"), store)
    assert isinstance(model, VllmModel)
    where = store.artifact("train", training(made).fingerprint).adapter.absolute()
    assert model.adapter == Adapter(path=str(where), sha256="b" * 64, license="gemma")


def test_a_plan_knows_how_long_a_training_takes_by_its_last_one_or_by_a_declared_rate(
    folder: Folder, tmp_path: Path
) -> None:
    def seconds(made: Plan, store: Store) -> float | None:
        return next(cost.seconds for cost in cost_plan(made, store) if cost.stage.kind == "train")

    store = Store(tmp_path / "store")
    assert seconds(plan(folder), store) is None
    rated = plan(folder, **{"rates": {"writer": {"training_tokens_per_second": 10.0}}} | with_learn(max_steps=5))
    pairs = sum(len(pair["instruction"]) + len(pair["response"]) for pair in SEED) / len(SEED)
    assert seconds(rated, store) == pytest.approx(5 * 8 * pairs / 3 / 10)
    trained(plan(folder), store, seconds=20.0)
    # Ten steps took twenty seconds.
    assert seconds(plan(folder, **with_learn(max_steps=100)), store) == pytest.approx(200)


def in_rounds(folder: Folder, rounds: int = 2, **changes: Any) -> Plan:
    """The plan that trains the writer again before each round; `refine.…` changes a key of the rounds."""
    keys = {name.removeprefix("refine."): changes.pop(name) for name in list(changes) if name.startswith("refine.")}
    return plan(folder, refine={"rounds": rounds, "min_score": 2.0, "learn": True} | keys, **changes)


def test_each_round_is_preceded_by_a_training_that_learns_from_the_rows_before_it(folder: Folder) -> None:
    made = in_rounds(folder)
    stages = {stage.label: stage for stage in made.stages}
    assert list(stages)[2:9] == [
        "train writer", "generate", "judge", "train writer 1", "refine 1", "train writer 2", "refine 2",
    ]  # fmt: skip
    assert [given.label for given in stages["train writer 2"].inputs] == ["refine 1"]
    assert [given.label for given in stages["refine 2"].inputs] == ["refine 1", "train writer 2"]
    # Documents go from round to round, and through no training.
    assert [stage.label for stage in stages["split"].lineage][-6:-2] == ["refine 2", "refine 1", "judge", "generate"]
    assert not [stage.label for stage in made.document_stages if stage.kind == "train"]
    assert stages["train writer 2"].taught == stages["train writer"].taught
    assert stages["train writer 2"].hangs_on(stages["train writer"])


def test_many_rounds_are_compiled_at_once(folder: Folder) -> None:
    stages = in_rounds(folder, rounds=60).stages
    assert stages[-1].hangs_on(stages[0])
    assert not stages[0].hangs_on(stages[-1])


def test_rounds_that_teach_nothing_are_the_rounds_of_always(folder: Folder) -> None:
    never = {"rounds": 2, "min_score": 2.0}
    before = fingerprints(plan(folder, refine=never))
    assert fingerprints(plan(folder, refine=never | {"learn": False, "max_learnt_rows": 5})) == before
    after = fingerprints(in_rounds(folder))
    assert changed(before, after)[:2] == ["train writer 1", "refine 1"]


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"refine.max_learnt_rows": 5}, "train writer 1"),
        ({"refine.min_score": 2.5}, "train writer 1"),
        ({"refine.draws": 2}, "refine 1"),
        ({"generate.guards": {"min_words": 2}}, "generate"),
        ({"judge.rubric.levels": {"3": 4, "1": 1}}, "judge"),
        (with_learn(learning_rate=1e-4), "train writer"),
    ],
    ids=lambda change: str(next(iter(change))) if isinstance(change, dict) else "",
)
def test_what_a_rounds_training_hangs_on_trains_it_again(folder: Folder, change: dict[str, Any], first: str) -> None:
    before = fingerprints(in_rounds(folder))
    after = changed(before, fingerprints(in_rounds(folder, **change)))
    assert after[0] == first
    assert "train writer 2" in after


def test_one_more_round_is_one_more_training_and_leaves_the_others(folder: Folder) -> None:
    before, after = fingerprints(in_rounds(folder)), fingerprints(in_rounds(folder, rounds=3))
    assert changed(before, after)[:2] == ["train writer 3", "refine 3"]


def test_a_round_asks_with_the_adapter_of_the_training_before_it(folder: Folder, tmp_path: Path) -> None:
    made, store = in_rounds(folder), Store(tmp_path / "store")
    stages = {stage.label: stage for stage in made.stages}
    for number, label in enumerate(("train writer", "train writer 1", "train writer 2")):
        stage = stages[label]
        artifact = store.artifact("train", stage.fingerprint)
        store.start(artifact)
        facts = {"adapter": {"files": {GGUF: str(number) * 64}, "license": "gemma"}}
        manifest = Manifest("train", stage.fingerprint, stage.payload, 3, 3, 3, facts=facts)
        artifact.write_manifest(manifest)
        assert manifest.label == label
    for number, asks in enumerate((stages["generate"], writer_of(stages["refine 1"]), writer_of(stages["refine 2"]))):
        model = model_of(asks, store)
        assert isinstance(model, EmbeddedModel)
        assert model.adapter is not None
        assert model.adapter.sha256 == str(number) * 64
    plain = plan(folder, refine={"rounds": 1, "min_score": 2.0})
    assert writer_of(next(s for s in plain.stages if s.kind == "refine")) is plain.stage("generate")


def test_a_plan_shows_what_a_rounds_training_may_learn_at_most(folder: Folder, tmp_path: Path) -> None:
    def pairs(**changes: Any) -> list[int | None]:
        costs = cost_plan(in_rounds(folder, **changes), Store(tmp_path / "store"))
        return [cost.rows_in for cost in costs if cost.stage.role == "writer"]

    # Three documents, one draft each, one more in the first round.
    assert pairs() == [3, 3 + 3, 3 + 6]
    assert pairs(**{"refine.max_learnt_rows": 2}) == [3, 5, 5]


def test_a_trace_says_in_which_rounds_a_document_was_learnt(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, store = in_rounds(folder), Store(tmp_path / "store")
    monkeypatch.setenv("XIRECIPE_STORE", str(store.root))
    learnt = {"pair_id": "0", "seed": "best_rows", "instruction": "Describe the news."}
    for stage in made.stages[:6]:
        artifact = store.artifact(stage.kind, stage.fingerprint)
        store.start(artifact)
        rows = [{"document_id": "0", "text": "Habari."}] if stage.kind != "train" else [learnt][: stage.round]
        kept = write(artifact.data, rows, stage.columns)
        artifact.write_manifest(Manifest(stage.kind, stage.fingerprint, stage.payload, kept, kept, kept))
    said = xirecipe("trace", folder.root / "tiny.yaml", "0").out
    assert "train writer 1: learnt\n  instruction: Describe the news." in said
    assert "train writer:" not in said
    assert "on its way: the stages after judge are not done" in said


def mistakes(folder: Folder, **changes: Any) -> str:
    return xirecipe("check", folder.recipe(changes_of(**changes))).err


def test_weights_behind_a_server_cannot_be_trained(folder: Folder) -> None:
    server = {"engine": "server", "model": "tiny", "revision": "1", "license": "apache-2.0"}
    said = mistakes(folder, models={"writer": server})
    assert "error[cannot-train]: `generate.learn` trains weights, and those of `writer` are behind a server" in said
    assert "tiny.yaml:" in said
    assert "name an `embedded` or `vllm` model, or learn with `method: in_context`" in said


def test_rounds_train_no_writer_that_learns_in_context(folder: Folder) -> None:
    rounds = {"min_score": 2.0, "learn": True}
    said = mistakes(folder, **{"generate.learn": {"method": "in_context"}, "refine": rounds})
    assert (
        "error[cannot-train]: `refine.learn` trains the writer before each round, and `generate.learn` does not" in said
    )
    assert re.search(r"tiny\.yaml:\d+:\d+: error\[cannot-train\]", said)
    assert "`generate.learn: {method: fine_tune}`" in said
    assert "cannot-train" not in mistakes(folder, refine=rounds)


def test_quantized_weights_and_adapted_ones_cannot_be_trained(folder: Folder) -> None:
    assert "are quantized (awq)" in mistakes(folder, models={"writer": VLLM | {"quantization": "awq"}})
    adapter = {"path": "seed.jsonl", "sha256": "0" * 64, "license": "gemma"}
    assert "`writer` has one already" in mistakes(folder, models={"writer": WEIGHTS | {"adapter": adapter}})


def test_seeds_and_languages_that_are_not_there_are_named(folder: Folder) -> None:
    more = {"path": "none.jsonl", "license": "cc0-1.0", "language": "fin_Latn"}
    said = mistakes(folder, **with_learn(seeds={"fi": more}))
    assert "error[missing-seed]: there is no seed file none.jsonl" in said
    assert "error[unknown-language]: there is no language file for `fin_Latn`" in said


def test_seeds_of_a_rating_set_are_looked_at_like_those_of_a_writer(folder: Folder) -> None:
    rated: dict[str, Any] = {
        "generate.learn": ...,
        "judge": {
            "model": "writer", "rubric": {"prompt": "prompts/rate.j2", "levels": {"3": 3, "2": 2, "1": 1}},
            "learn": {"method": "fine_tune"},
        },
    }  # fmt: skip
    more = {"path": "none.jsonl", "license": "cc0-1.0", "language": "fin_Latn"}
    said = mistakes(folder, **rated, rating_set={"seeds": {"fi": more}})
    assert "error[missing-seed]: there is no seed file none.jsonl" in said
    assert "error[unknown-language]: there is no language file for `fin_Latn`" in said
    folder.json_lines("more.jsonl", SEED)
    said = mistakes(folder, **rated, rating_set={"seeds": {"more": {"path": "more.jsonl", "license": "cc-by-nc-4.0"}}})
    assert "`rating_set.seeds.more.license` is `cc-by-nc-4.0`" in said
    assert f"the seed has {len(SEED)} pairs; rated pairs are made of at least 4" in said
    assert "unused-seed" not in said
    seeds = {"more": {"path": "more.jsonl", "license": "cc0-1.0"}}
    in_context = {"judge": {**rated["judge"], "learn": {"method": "in_context"}}}
    said = mistakes(folder, **rated | in_context, rating_set={"seeds": seeds})
    assert "warning[unused-seed]: only an evaluator that is trained learns from `rating_set.seeds`" in said


def test_unknown_keys_and_methods_are_named(folder: Folder) -> None:
    assert "did you mean `rank`?" in mistakes(folder, **with_learn(ranks=8))
    said = mistakes(folder, **{"generate.learn": {"method": "fine_tuning"}})
    assert "`fine_tuning` is not a value of `generate.learn.method`" in said


def test_a_writer_asked_about_longer_texts_than_it_learns_from_is_warned_of(folder: Folder) -> None:
    said = mistakes(folder, **{"generate.max_prompt_chars": 500})
    assert "warning[asked-otherwise]" in said
    assert "`generate.max_prompt_chars: 300`" in said
    assert "asked-otherwise" not in mistakes(folder)


def test_an_evaluator_learns_from_a_rating_set_a_rubric_or_the_likelihood_of_instructions(folder: Folder) -> None:
    said = mistakes(folder, **{"generate.learn": ..., "judge.learn": {"method": "fine_tune"}})
    assert "error[missing-rating-set]: `judge.learn` learns from the rating set, and there is none" in said
    judge = {"similarity": {}, "learn": {"method": "fine_tune"}}
    said = mistakes(folder, **{"judge": judge, "select.score": "similarity", "select.min_score": 0.5})
    neither = "`learn` teaches a `rubric`, or a `likelihood` with `of: instruction`; there is none"
    assert neither in said
    likelihood = {"prompt": "prompts/rate.j2"}
    scored = {"select.score": "likelihood", "select.min_score": 0.5, "rating_set": {}, "generate.learn": ...}
    judge = {"model": "writer", "learn": {"method": "fine_tune"}}
    assert neither in mistakes(folder, judge={**judge, "likelihood": likelihood}, **scored)
    folder.json_lines("seed.jsonl", [{"id": str(i), "instruction": f"Do {i}.", "response": f"{i}."} for i in range(12)])
    judge["likelihood"] = {**likelihood, "of": "instruction"}
    assert "error[" not in mistakes(folder, judge=judge, **scored)


def test_a_writers_prompt_scores_instructions_without_its_exemplars(folder: Folder) -> None:
    judge = {"model": "writer", "likelihood": {"prompt": "prompts/write.j2", "of": "instruction"}}
    scored = {"select.score": "likelihood", "select.min_score": 0.5, "generate.learn": ..., "rating_set": {}}
    folder.json_lines("seed.jsonl", [{"id": str(i), "instruction": f"Do {i}.", "response": f"{i}."} for i in range(12)])
    assert "error[" not in mistakes(folder, judge=judge, **scored)
    judge["likelihood"]["of"] = "text"  # type: ignore[index]
    assert "prompts/write.j2 reads `exemplars`" in mistakes(folder, judge=judge, **scored)


@pytest.mark.parametrize(("of", "shown"), [("text", "instruction"), ("instruction", "text")])
def test_a_prompt_that_shows_nothing_of_what_may_raise_a_likelihood_is_an_error(
    folder: Folder, of: str, shown: str
) -> None:
    folder.write("prompts/mute.j2", "{{ language.name }}:")
    judge = {"model": "writer", "likelihood": {"prompt": "prompts/mute.j2", "of": of}}
    said = mistakes(folder, judge=judge, **{"select.score": "likelihood", "generate.learn": ...})
    assert f"prompts/mute.j2 does not show the `{shown}`, so nothing raises a likelihood" in said
    assert f"write {{{{ {shown} }}}} where it belongs" in said


def test_a_non_commercial_seed_is_no_ground_for_a_freer_dataset(folder: Folder) -> None:
    folder.json_lines("more.jsonl", SEED)
    said = mistakes(folder, **with_learn(seeds={"more": {"path": "more.jsonl", "license": "cc-by-nc-4.0"}}))
    assert "error[licence-conflict]" in said
    assert "`generate.learn.seeds.more.license` is `cc-by-nc-4.0`" in said


def test_without_the_extra_a_run_says_which_one_it_needs(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    from xirecipe.diagnostics import UserError
    from xirecipe.engines import trainer as engine

    monkeypatch.setattr(engine, "_NEEDED", ("torch_that_is_not_there", "json"))
    with pytest.raises(UserError, match="torch_that_is_not_there") as caught:
        engine.require_extra()
    assert caught.value.diagnostics[0].code == "no-train-extra"
    assert 'pip install "xirecipe[train]"' in (caught.value.diagnostics[0].hint or "")
