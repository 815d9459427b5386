"""Students for real, of tiny models with random weights: trained once, examined, and heard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.builders import LANGUAGE, REPOSITORY, Folder, recipe_folder, xirecipe
from tests.engines.test_training import LEARN, NOUNS, cache, trainers, until, weights_of
from tests.engines.tiny_models import REVISION
from xirecipe.fingerprint import file_digest
from xirecipe.learned import GGUF
from xirecipe.models.embedded import EmbeddedModel, Weights

pytestmark = pytest.mark.train
__all__ = ["cache"]

LANGUAGES = {"swh_Latn": "ni kitu kizuri sana", "fin_Latn": "on aivan hyvä asia"}
#: Nothing that anybody is asked about: as many rows, of another kind.
NOISE = "0123 4567 89"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Folder]:
    """A recipe with students, rows that are like the answers held out, and rows that are like nothing.

    The current folder, with a store that the tests share: what one of them trained is there for the next.
    """
    made = recipe_folder(tmp_path_factory.mktemp("students"))
    made.write("languages/fin_Latn.yaml", LANGUAGE | {"code": "fin_Latn", "name": "Finnish"})
    made.write("prompts/answer.j2", "{{ instruction }}\n{{ language.name }}:")
    for name, text in {"like": None, "noise": NOISE}.items():
        made.json_lines(
            f"{name}.jsonl",
            [
                {"instruction": f"Tell me of {noun}.", "response": f"{noun} {text or own}.", "language": code}
                for code, own in LANGUAGES.items()
                for noun in NOUNS[:8]
            ],
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.root)
        patch.setenv("XIRECIPE_STORE", str(made.root / "store"))
        patch.setenv("XIRECIPE_WORKERS", "1")
        yield made


@pytest.fixture(autouse=True)
def as_it_was(folder: Folder, cache: Path) -> None:
    """The recipe and its answers held out, whatever a test made of them."""
    with_people(folder, NOUNS[8:])
    with_students(folder, cache)


def with_people(folder: Folder, nouns: list[str]) -> None:
    for code, text in LANGUAGES.items():
        pairs = [{"id": noun, "instruction": f"Describe {noun}.", "response": f"{noun} {text}."} for noun in nouns]
        folder.json_lines(f"{code}.people.jsonl", pairs)


def with_students(folder: Folder, cache: Path, **changes: Any) -> None:
    learn = {key: value for key, value in LEARN.items() if key != "held_out_ratio"} | {"max_steps": 24}
    students = {
        "model": "student", "prompt": "prompts/answer.j2", "rows": 6, "learn": learn, "max_tokens": 12,
        "held_out": {code: f"{code}.people.jsonl" for code in LANGUAGES},
    }  # fmt: skip
    model = {
        "engine": "embedded", "repository": "tiny/gemma3_text", "file": "tiny.gguf", "revision": REVISION,
        "sha256": file_digest(weights_of(cache, "gemma3_text")), "license": "apache-2.0",
        "prompt_format": "completion", "context_tokens": 256,
    }  # fmt: skip
    folder.recipe(
        {"models.student": model, "evaluate": {"students": students | changes, "bootstrap": {"samples": 200}}}
    )


def evaluate(*arguments: str) -> dict[str, Any]:
    ran = xirecipe("evaluate", "tiny.yaml", *arguments, "--metric", "learning", "--json")
    assert ran.code == 0, ran.err
    loaded: dict[str, Any] = json.loads(ran.out)
    return loaded


def kept(folder: Folder) -> dict[str, int]:
    """Students, and when each was trained."""
    return {
        path.parent.parent.name: path.stat().st_mtime_ns for path in folder.root.glob("store/students/*/adapter/*.gguf")
    }


def test_rows_like_the_answers_help_and_rows_like_nothing_do_not(folder: Folder, cache: Path) -> None:
    found = evaluate("like.jsonl", "noise.jsonl", "--to", "out")
    assert found["rows"] == {
        "each": 12,
        "by_language": {"swh_Latn": 6, "fin_Latn": 6},
        "left_out": {"a": {"not_drawn": 4}, "b": {"not_drawn": 4}},
    }
    students = found["students"]
    assert {name: (facts["steps"], facts["pairs"]) for name, facts in students.items()} == {
        "a": (24, 12),
        "b": (24, 12),
    }
    assert students["a"]["last_loss"] < 0.8 * students["a"]["first_loss"]
    nats = found["overall"]["nats"]
    assert nats["a_minus_untrained"]["high"] < -0.2
    assert nats["a_minus_b"]["high"] < 0
    assert nats["a"]["mean"] - nats["untrained"]["mean"] == pytest.approx(nats["a_minus_untrained"]["mean"])
    assert {code: group["answers"] for code, group in found["by_language"].items()} == {"swh_Latn": 2, "fin_Latn": 2}
    assert found["overall"]["answered"] == 4
    assert set(found["overall"]["similarity"]) == set(nats)

    rows = pq.read_table("out/verdicts.parquet").to_pylist()
    assert [row["id"] for row in rows[:2]] == [f"swh_Latn/{noun}" for noun in NOUNS[8:]]
    heard_and_measured_alike(folder, cache, rows)
    # The students' answers are sets like any other.
    answers = [json.loads(line) for line in folder.read("out/answers-A.jsonl").splitlines()]
    assert [(row["id"], row["answer"]) for row in answers] == [(row["id"], row["answer_a"]) for row in rows]
    assert {path.name for path in Path("out").iterdir()} == {
        "verdicts.parquet", "summary.json", "answers-untrained.jsonl", "answers-A.jsonl", "answers-B.jsonl",
    }  # fmt: skip


def heard_and_measured_alike(folder: Folder, cache: Path, rows: list[dict[str, Any]]) -> None:
    """llama.cpp wears the student's adapter and finds the answers as probable as the training process did."""
    base = weights_of(cache, "gemma3_text")
    adapters = {path.parent.parent.name: path for path in folder.root.glob(f"store/students/*/adapter/{GGUF}")}
    assert len(adapters) == 2
    found = set()
    for path in adapters.values():
        with EmbeddedModel(Weights(base, path), context_tokens=256, sequences=1) as model:
            for name in ("a", "b"):
                scores = [
                    model.log_likelihoods(f"{row['instruction']}\n{language}:", [f" {row['answer']}"])[0]
                    for row, language in zip(rows, ("Swahili", "Swahili", "Finnish", "Finnish"), strict=True)
                ]
                if all(
                    -score.log_prob / row["tokens"] == pytest.approx(row[f"nats_{name}"], abs=0.02)
                    for score, row in zip(scores, rows, strict=True)
                ):
                    found.add(name)
    assert found == {"a", "b"}


def test_a_second_time_trains_nothing_and_another_set_its_own_student_alone(folder: Folder) -> None:
    first = evaluate("like.jsonl", "noise.jsonl")
    trained = kept(folder)
    assert len(trained) == 2
    again = evaluate("like.jsonl", "noise.jsonl")
    assert again == first | {"made": False}
    # Results that are gone are made again from the students and the answers that are kept.
    (Path(first["folder"]) / "summary.json").unlink()
    remade = evaluate("like.jsonl", "noise.jsonl")
    assert (remade["made"], remade["calls"], remade["overall"]) == (True, 0, first["overall"])
    assert kept(folder) == trained

    alone = evaluate("like.jsonl")
    assert set(alone["overall"]["nats"]) == {"untrained", "a", "a_minus_untrained"}
    assert alone["overall"]["nats"]["a"] == first["overall"]["nats"]["a"]
    swapped = evaluate("noise.jsonl", "like.jsonl")
    assert swapped["overall"]["nats"]["b"] == first["overall"]["nats"]["a"]
    assert kept(folder) == trained


def test_a_student_whose_training_was_killed_goes_on_and_becomes_the_same(folder: Folder) -> None:
    command = [sys.executable, "-m", "xirecipe", "evaluate", "tiny.yaml", "like.jsonl", "--metric", "learning"]
    store = folder.root / "killed"
    run = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "XIRECIPE_STORE": str(store), "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    try:
        until(lambda: len(list(store.glob("checkpoints/*/checkpoint-*/whole"))) >= 2, run)
    finally:
        run.kill()
        run.wait()
    until(lambda: not trainers(store))
    assert not list(store.glob("students/*/student.json"))
    whole = evaluate("like.jsonl")["students"]["a"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XIRECIPE_STORE", str(store))
        resumed = evaluate("like.jsonl")["students"]["a"]
    assert (whole["resumed_at"], resumed["resumed_at"] > 0) == (0, True)
    assert resumed["adapter"] == whole["adapter"]
    assert resumed["losses"] == whole["losses"]
    assert not list(store.glob("checkpoints/*"))


def test_other_answers_held_out_are_measured_by_the_same_student(folder: Folder) -> None:
    first = evaluate("like.jsonl")
    trained = kept(folder)
    with_people(folder, ["mlango", *NOUNS[8:]])
    second = evaluate("like.jsonl")
    assert kept(folder) == trained
    assert second["students"] == first["students"]
    assert second["overall"]["answers"] == 6
    assert second["overall"]["nats"]["a_minus_untrained"]["high"] < 0


def test_an_answer_too_long_for_the_context_is_named_and_not_measured(folder: Folder, cache: Path) -> None:
    with_students(folder, cache, max_answer_chars=1000)
    pair = {"id": "long", "instruction": "Describe all.", "response": "kitu " * 100}
    folder.json_lines("swh_Latn.people.jsonl", [pair, {"id": "sun", "instruction": "Sun?", "response": "Jua."}])
    ran = xirecipe("evaluate", "tiny.yaml", "like.jsonl", "--metric", "learning")
    assert ran.code == 0, ran.err
    assert "longer than the model's context: 1 (swh_Latn/long)" in ran.out
    assert "A minus untrained" in ran.out
