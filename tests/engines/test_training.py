"""Training for real, on tiny models of random weights: what is learnt, resumed, killed, and read by llama.cpp."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import REPOSITORY, Folder, recipe_folder, xirecipe
from tests.engines.tiny_models import REVISION, in_hub_cache, random_model, write_gguf
from xirecipe.artifact import Artifact, Manifest
from xirecipe.compile import compile_recipe
from xirecipe.diagnostics import UserError
from xirecipe.engines import training
from xirecipe.fingerprint import file_digest
from xirecipe.learned import GGUF, SAFETENSORS, model_of, writer_of
from xirecipe.models.completions import CompletionLog
from xirecipe.models.embedded import EmbeddedModel, Weights
from xirecipe.models.weights import adapter_of
from xirecipe.plan import Plan
from xirecipe.recipe import models as recipe_models
from xirecipe.run import run_plan
from xirecipe.settings import from_environment
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.tables import read

pytestmark = pytest.mark.train
for _needed in ("torch", "transformers", "trl", "peft", "gguf"):
    pytest.importorskip(_needed)

NOUNS = ["mvua", "chakula", "nyumba", "maji", "moto", "jua", "mwezi", "nyota", "mti", "samaki"]
PAIRS = [
    {"id": str(i), "instruction": f"Describe {noun}.", "response": f"{noun} ni kitu kizuri sana."}
    for i, noun in enumerate(NOUNS)
]
LEARN: dict[str, Any] = {
    "method": "fine_tune", "max_steps": 12, "rank": 4, "batch_size": 4, "learning_rate": 0.005, "held_out_ratio": 0.2,
    "precision": "float32",
}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Hub cache with two tiny models, and no network."""
    folder = tmp_path_factory.mktemp("hub")
    for kind in ("gemma3_text", "llama"):
        write_gguf(random_model(kind), in_hub_cache(folder, f"tiny/{kind}") / "tiny.gguf")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HF_HUB_CACHE": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}.items():
            patch.setenv(name, value)
        yield folder


def weights_of(cache: Path, kind: str) -> Path:
    return next((cache / f"models--tiny--{kind}").rglob("tiny.gguf"))


def recipe(folder: Folder, cache: Path, kind: str = "gemma3_text", **changes: Any) -> Path:
    folder.json_lines("seed.jsonl", PAIRS)
    file = weights_of(cache, kind)
    writer = {
        "engine": "embedded", "repository": f"tiny/{kind}", "file": "tiny.gguf", "revision": REVISION,
        "sha256": file_digest(file), "license": "apache-2.0", "prompt_format": "completion", "context_tokens": 256,
    }  # fmt: skip
    own = {"models": {"writer": writer}, "generate.learn": LEARN, "generate.max_prompt_chars": 100}
    return folder.recipe({key: value for key, value in (own | changes).items() if value is not ...})


def trained(path: Path, store: Store) -> tuple[Stage, Artifact, Manifest]:
    plan = compile_recipe(path)
    assert isinstance(plan, Plan)
    settings = from_environment({**os.environ, "XIRECIPE_WORKERS": "1"})
    run_plan(plan, store, settings, to="train")
    stage = next(stage for stage in reversed(plan.stages) if stage.kind == "train")
    artifact = store.artifact("train", stage.fingerprint)
    return next(s for s in plan.stages if stage in s.inputs), artifact, artifact.manifest()


@pytest.mark.parametrize("kind", ["gemma3_text", "llama"])
def test_the_writer_learns_and_llama_cpp_finds_its_answers_as_likely_as_transformers_does(
    tmp_path: Path, cache: Path, kind: str
) -> None:
    asks, artifact, manifest = trained(recipe(recipe_folder(tmp_path), cache, kind), Store(tmp_path / "store"))
    facts = manifest.facts
    assert facts["steps"] == 12
    # A random Llama learns less in twelve steps than a random Gemma, whose attention is wider.
    assert facts["last_loss"] < 0.95 * facts["first_loss"]
    assert facts["held_out"]["nats_after"] < 0.95 * facts["held_out"]["nats_before"]
    assert facts["held_out"]["pairs"] == 2
    assert facts["learn"]["pairs"] == 8
    assert set(facts["adapter"]["files"]) == {GGUF, SAFETENSORS}
    assert not (tmp_path / "store" / "checkpoints").exists() or not any((tmp_path / "store" / "checkpoints").iterdir())
    config = json.loads((artifact.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == f"tiny/{kind}"
    assert str(tmp_path) not in json.dumps(config)
    assert (artifact.adapter / "tokenizer.json").exists()

    model = model_of(asks, Store(tmp_path / "store"))
    assert isinstance(model, recipe_models.EmbeddedModel)
    rows = list(read(artifact.data))
    assert len(rows) == 10
    with EmbeddedModel(weights_of(cache, kind), context_tokens=256, sequences=1) as plain:
        compared(plain, rows, "log_prob_before")
    with EmbeddedModel(Weights(weights_of(cache, kind), adapter_of(model)), context_tokens=256, sequences=1) as adapted:
        compared(adapted, rows, "log_prob_after")


def compared(model: EmbeddedModel, rows: list[dict[str, Any]], column: str) -> None:
    """llama.cpp's log-likelihoods of all answers against what the training measured, in nats."""
    for row in rows:
        (found,) = model.log_likelihoods(f"{row['text']}:", [f" {row['instruction']}\n"])
        assert found.tokens == row["tokens"]
        # float16 matrices and llama.cpp's own rounding; the answers are 20 to 100 nats.
        assert found.log_prob == pytest.approx(row[column], abs=0.15)


def test_a_training_that_was_killed_goes_on_from_its_last_checkpoint_and_ends_the_same(
    tmp_path: Path, cache: Path
) -> None:
    path = recipe(recipe_folder(tmp_path), cache)
    _, _, whole = trained(path, Store(tmp_path / "whole"))
    store = Store(tmp_path / "killed")
    command = [sys.executable, "-m", "xirecipe", "run", str(path), "--to", "train"]
    environment = {
        **os.environ, "XIRECIPE_STORE": str(store.root), "XIRECIPE_WORKERS": "1", "PYTHONPATH": str(REPOSITORY),
    }  # fmt: skip
    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: len(list(store.root.glob("checkpoints/*/checkpoint-*/whole"))) >= 2, run)
        children = trainers(store.root)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert children
    until(lambda: not trainers(store.root))
    assert not list(store.root.glob("train-*/manifest.json"))

    _, _, resumed = trained(path, store)
    assert resumed.facts["resumed_at"] >= 1
    assert resumed.facts["steps"] == whole.facts["steps"] == 12
    assert [step for step, _ in resumed.facts["losses"]] == list(range(1, 13))
    assert resumed.facts["losses"] == whole.facts["losses"]
    assert resumed.facts["adapter"]["sha256"] == whole.facts["adapter"]["sha256"]
    assert not list(store.root.glob("checkpoints/*"))


def until(what: Any, run: subprocess.Popen[bytes] | None = None, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert run is None or run.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def trainers(store: Path) -> list[int]:
    """Processes that train for a store."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # it has just ended
            if b"xirecipe.engines.finetune" in line and str(store).encode() in line:
                found.append(int(folder.name))
    return found


def test_the_same_training_gives_the_same_adapter(tmp_path: Path, cache: Path) -> None:
    path = recipe(recipe_folder(tmp_path), cache, **{"generate.learn": LEARN | {"max_steps": 2, "dropout": 0.1}})
    one, other = (trained(path, Store(tmp_path / name))[2] for name in ("one", "other"))
    assert one.facts["adapter"]["sha256"] == other.facts["adapter"]["sha256"]


def test_pairs_longer_than_the_context_are_dropped_and_counted(tmp_path: Path, cache: Path) -> None:
    folder = recipe_folder(tmp_path)
    path = recipe(folder, cache, **{"generate.learn": LEARN | {"max_steps": 1}})
    folder.json_lines(
        "seed.jsonl", [*PAIRS, {"id": "long", "instruction": "Describe " + "x" * 300, "response": "ndefu"}]
    )
    _, artifact, manifest = trained(path, Store(tmp_path / "store"))
    assert manifest.dropped == {"context_tokens": 1}
    (row,) = read(artifact.dropped)
    assert row["pair_id"] == "long"
    assert row["value"] > row["threshold"] == 256


def test_nothing_to_learn_is_the_users_mistake(tmp_path: Path, cache: Path) -> None:
    folder = recipe_folder(tmp_path)
    path = recipe(folder, cache)
    folder.json_lines("seed.jsonl", [{"id": str(i), "instruction": "x" * 300, "response": str(i)} for i in range(3)])
    with pytest.raises(UserError, match="no pair is left to learn from"):
        trained(path, Store(tmp_path / "store"))


def test_an_evaluator_learns_its_labels_and_is_measured_before_and_after(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "MOST_LEARNT_MEASURED", 4)
    judge = {
        "model": "writer", "learn": {key: value for key, value in LEARN.items() if key != "held_out_ratio"},
        "rubric": {"prompt": "prompts/rate.j2", "levels": {"3": 3, "2": 2, "1": 1}},
    }  # fmt: skip
    path = recipe(recipe_folder(tmp_path), cache, **{"generate.learn": ..., "rating_set": {}, "judge": judge})
    plan = compile_recipe(path)
    store = Store(tmp_path / "store")
    # `generate` needs no documents for the evaluator to be trained.
    _, artifact, manifest = trained(path, store)
    assert manifest.label == "train judge"
    assert plan.stages[4].label == "train judge"
    rows = list(read(artifact.data))
    assert {row["level"] for row in rows} == {"top", "middle", "bottom"}
    # Of the pairs learnt from, whole ones until there are enough; of those held out, all.
    measured = [row for row in rows if row["log_prob_before"] is not None and row["log_prob_after"] is not None]
    assert Counter(row["part"] for row in measured) == {"held_out": 12, "learn": 6}
    assert set(Counter(row["pair_id"] for row in measured).values()) == {3}
    assert {part: manifest.facts[part]["pairs"] for part in ("learn", "held_out")} == {"learn": 18, "held_out": 12}
    assert {part: manifest.facts[part]["measured"] for part in ("learn", "held_out")} == {"learn": 6, "held_out": 12}
    assert manifest.facts["learn"]["nats_after"] < manifest.facts["learn"]["nats_before"]
    for when in ("before", "after"):
        found = manifest.facts[f"evaluator_{when}"]
        assert found["held_out"] == 12
        assert 0 <= found["auc"] <= 1


def test_an_evaluator_that_scores_instructions_learns_to_write_them_and_is_asked_with_what_it_learnt(
    tmp_path: Path, cache: Path
) -> None:
    judge = {
        "model": "writer", "learn": {key: value for key, value in LEARN.items() if key != "held_out_ratio"},
        "likelihood": {"prompt": "prompts/write.j2", "of": "instruction"},
    }  # fmt: skip
    changes = {"generate.learn": ..., "rating_set": {}, "judge": judge, "select.score": "likelihood"}
    path = recipe(recipe_folder(tmp_path), cache, **changes)
    store = Store(tmp_path / "store")
    _, artifact, manifest = trained(path, store)
    assert {row["level"] for row in read(artifact.data)} == {"top"}
    assert manifest.facts["learn"]["nats_after"] < manifest.facts["learn"]["nats_before"]
    assert "evaluator_after" not in manifest.facts
    adapter = Weights(weights_of(cache, "gemma3_text"), artifact.adapter / GGUF)
    with EmbeddedModel(adapter, context_tokens=256, sequences=1) as adapted:
        compared(adapted, list(read(artifact.data)), "log_prob_after")
    plan = compile_recipe(path)
    assert isinstance(plan, Plan)
    run_plan(plan, store, from_environment({**os.environ, "XIRECIPE_WORKERS": "1"}), to="judge")
    judged = plan.stage("judge")
    found = store.artifact("judge", judged.fingerprint).manifest().facts["evaluators"]["likelihood"]
    assert (found["held_out"], found["unscored"]) == (12, 0)
    assert 0 <= found["auc"] <= 1
    assert found["accuracy"] is not None


#: No guard: what a tiny model writes is only almost English.
UNGUARDED: dict[str, Any] = {
    "min_english_score": None, "max_exemplar_similarity": None, "max_leaked_words": None, "missing_input": False,
    "min_words": None, "max_words": None,
}  # fmt: skip


def in_rounds(folder: Folder, cache: Path, **refine: Any) -> Path:
    """A recipe whose writer learns in rounds, judged by embeddings; two documents are what pairs held out answer."""
    texts = [{"id": f"d{i}", "text": f"{noun} ni kitu kimoja tu {i}."} for i, noun in enumerate(NOUNS)]
    texts += [{"id": f"pair {pair['id']}", "text": pair["response"]} for pair in PAIRS]
    folder.json_lines("texts.jsonl", texts)
    rounds = {"rounds": 2, "score": "similarity", "min_score": -1.0, "draws": 2, "exemplars": 0, "learn": True}
    return recipe(
        folder, cache, **{
            "corpus.filters.language": None, "dedup": {"minhash": None},
            "generate.learn": LEARN | {"max_steps": 60}, "generate.guards": UNGUARDED,
            "generate.sampling": {"max_tokens": 24, "stop": ["\n"]},
            "judge": {"similarity": {}}, "select": {"score": "similarity"}, "split": {"test_ratio": 0.2},
            "refine": rounds | {"min_changed_ratio": 0.0} | refine,
        },
    )  # fmt: skip


def stages_of(path: Path) -> dict[str, Stage]:
    return {stage.label: stage for stage in compile_recipe(path).stages}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Folder]:
    """A recipe folder, the current one, with a store in which everything before the first round is done."""
    folder = recipe_folder(tmp_path_factory.mktemp("rounds"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.root)
        patch.setenv("XIRECIPE_STORE", str(folder.root / "store"))
        patch.setenv("XIRECIPE_WORKERS", "1")
        ran = xirecipe("run", in_rounds(folder, cache), "--to", "judge")
        assert ran.code == 0, ran.err
        yield folder


@pytest.mark.end_to_end
def test_a_writer_learns_its_best_rows_before_every_round_and_nothing_that_is_held_out(
    judged: Folder, cache: Path
) -> None:
    folder, store = judged, Store(judged.root / "store")
    judge = stages_of(in_rounds(folder, cache))["judge"]
    scores = sorted(row["similarity"] for row in read(store.artifact("judge", judge.fingerprint).data))
    # Half of the documents are flawed, and not all of the others are learnt from.
    most = 8
    path = in_rounds(folder, cache, min_score=scores[len(scores) // 2], max_learnt_rows=most)
    ran = xirecipe("run", path)
    assert ran.code == 0, ran.err

    stages = stages_of(path)
    made = {label: store.artifact(stage.kind, stage.fingerprint) for label, stage in stages.items()}
    pairs = list(read(made["train writer"].data))
    held_out = {row["text"] for row in pairs if row["part"] == "held_out"}
    assert len(held_out) == 2
    learnt: dict[str, list[tuple[str, str]]] = {made["train writer"].manifest().facts["adapter"]["sha256"]: []}
    for number, before in ((1, "judge"), (2, "refine 1")):
        train = made[f"train writer {number}"]
        manifest, rows, lost = train.manifest(), list(read(train.data)), list(read(train.dropped))
        best = [row for row in rows if row["seed"] == "best_rows"]
        assert 0 < len(best) <= len(best) + len(lost) <= most
        assert manifest.rows_in == len(PAIRS) + len(best) + len(lost)
        assert manifest.facts["best_rows"] == len(best)
        assert {row["reason"] for row in lost} <= {"held_out", "duplicate"}
        assert not held_out & {row["text"] for row in best}
        assert {row["text"] for row in rows if row["part"] == "held_out"} == held_out
        rated = {(row["document_id"], row["instruction"]): row["similarity"] for row in read(made[before].data)}
        found = [rated[row["pair_id"], row["instruction"]] for row in best]
        assert found == sorted(found, reverse=True)
        assert found[-1] >= scores[len(scores) // 2]
        # The same lessons make the same adapter, and others another one.
        lessons = [(row["pair_id"], row["instruction"]) for row in best]
        adapter = manifest.facts["adapter"]["sha256"]
        assert learnt.setdefault(adapter, lessons) == lessons
        # The round drafted with this adapter: the log of the model that wears it has its answers.
        model = model_of(writer_of(stages[f"refine {number}"]), store)
        assert isinstance(model, recipe_models.EmbeddedModel)
        assert model.adapter is not None
        assert model.adapter.sha256 == adapter
        with CompletionLog(store.completions, model.identity) as log:
            assert len(log) >= made[f"refine {number}"].manifest().calls
    assert made["refine 1"].manifest().calls > 0
    assert len(learnt) >= 2

    assert xirecipe("verify", path).code == 0
    n = manifest.facts["best_rows"]
    assert f"| writer, before round 2 | {8 + n}, {n} of them best rows so far | 2 |" in xirecipe("card", path).out
    assert "train writer 2: learnt" in xirecipe("trace", path, best[0]["pair_id"]).out
    page = xirecipe("report", path)
    assert page.code == 0, page.err
    assert "nothing to do" in xirecipe("run", path).out


@pytest.mark.end_to_end
def test_no_training_is_paid_for_before_a_round_that_is_not_run(judged: Folder, cache: Path) -> None:
    # No document is flawed, so that the first round changes nothing.
    path = in_rounds(judged, cache, min_score=-1.0, min_changed_ratio=0.5)
    ran = xirecipe("run", path)
    assert ran.code == 0, ran.err
    stages, store = stages_of(path), Store(judged.root / "store")
    rows = list(read(store.artifact("train", stages["train writer 1"].fingerprint).data))
    held_out = [row for row in rows if row["part"] == "held_out"]
    best = [row for row in rows if row["seed"] == "best_rows"]
    # Every document is good enough, those among them that are pairs held out; no round learns these.
    rated = {row["text"] for row in read(store.artifact("judge", stages["judge"].fingerprint).data)}
    assert {row["text"] for row in held_out} <= rated
    assert best
    for column in ("text", "instruction"):
        assert not {row[column] for row in held_out} & {row[column] for row in best}
    manifest = store.artifact("train", stages["train writer 2"].fingerprint).manifest()
    assert manifest.facts == {"stopped": True}
    assert manifest.rows_in == manifest.kept == 0
    assert xirecipe("verify", path).code == 0
    assert "before round 2" not in xirecipe("card", path).out
