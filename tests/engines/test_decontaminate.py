"""Candidates that repeat an evaluation prompt: found by datatrove's n-grams, dropped with what they share."""

from __future__ import annotations

import csv
import gzip
import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.builders import recipe_folder, xirecipe
from tests.models.fake_server import FakeServer, prompt_of, written
from xirecipe import tables
from xirecipe.artifact import Artifact
from xirecipe.columns import columns_after
from xirecipe.compile import compile_recipe
from xirecipe.diagnostics import UserError
from xirecipe.engines.decontaminate import run_decontaminate
from xirecipe.recipe.decontamination import Decontaminate
from xirecipe.recipe.language import Language
from xirecipe.run import run_plan
from xirecipe.settings import Settings
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.work import Outcome, Work

pytestmark = pytest.mark.engine

PROMPT = "How can you tell whether a melon is ripe without cutting it open?"
SHORT = "Describe the first rain."
TINY = "Say hello"


@dataclass(frozen=True)
class Finished:
    outcome: Outcome
    kept: list[str]
    dropped: dict[str, tuple[str, str]]


Run = Callable[..., Finished]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run({"melons": [prompt, ...]}, a=(instruction, text), ...)`: ids kept; ids dropped with reason and detail."""

    def run(
        evaluations: dict[str, list[Any]], *, words: str = "unicode", config: dict[str, Any] | None = None,
        **candidates: tuple[str, str],
    ) -> Finished:  # fmt: skip
        sources = {}
        for name, prompts in evaluations.items():
            lines = [json.dumps({"text": prompt}, ensure_ascii=False) for prompt in prompts]
            (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
            sources[name] = {"format": "jsonl", "path": f"{name}.jsonl", "license": "cc0-1.0"}
        return decontaminated(tmp_path, sources, words, config, **candidates)

    return run


def decontaminated(
    folder: Path, sources: dict[str, Any], words: str = "unicode", config: dict[str, Any] | None = None,
    **candidates: tuple[str, str],
) -> Finished:  # fmt: skip
    language = Language.model_validate(
        {
            "code": "swh_Latn", "name": "S", "native_name": "S", "hub_code": "sw", "lid_labels": ["sw"],
            "sources": ["tests"], "words": words,
        }
    )  # fmt: skip
    given, store = Artifact(folder / "given"), Store(folder / "store")
    rows = [
        {"document_id": name, "instruction": instruction, "text": text, "draw": 0}
        for name, (instruction, text) in candidates.items()
    ]
    tables.write(given.data, rows, columns_after("judge"))
    stage = Stage(
        "decontaminate", Decontaminate.model_validate({"evaluations": sources, **(config or {})}), language,
        (Stage("judge", Decontaminate.model_validate({"evaluations": sources}), language),), root=folder,
    )  # fmt: skip
    artifact = store.artifact("decontaminate", stage.fingerprint)
    store.start(artifact)
    outcome = run_decontaminate(
        Work(stage, {"judge": given}, artifact, store, Settings(workers=1), lambda progress: None)
    )
    dropped = {row["document_id"]: (row["reason"], row["detail"]) for row in tables.read(artifact.dropped)}
    assert outcome.asked == outcome.kept + sum(outcome.dropped.values()) == len(candidates)
    assert not (artifact.folder / "engine").exists()
    return Finished(outcome, [row["document_id"] for row in tables.read(artifact.data)], dropped)


def test_a_shared_run_of_words_drops_with_the_evaluation_as_reason_and_the_run_as_detail(run: Run) -> None:
    done = run(
        {"melons": [PROMPT]},
        copy=("Please say: how can you tell whether a MELON, is ripe... and sweet?", "Tikiti."),
        other=("How can you tell whether a fruit is ripe without cutting it?", "Tikiti."),
    )
    assert done.dropped == {"copy": ("decontaminate.melons", "instruction: how can you tell whether a melon is")}
    assert done.kept == ["other"]
    assert done.outcome.dropped == {"decontaminate.melons": 1}


def test_the_response_is_searched_too_and_only_the_columns_that_are_named(run: Run) -> None:
    candidate = ("Write about fruit.", f"Swali la leo:\n{PROMPT}\nJibu ni rahisi.")
    assert run({"melons": [PROMPT]}, a=candidate).dropped == {
        "a": ("decontaminate.melons", "response: how can you tell whether a melon is")
    }
    assert run({"melons": [PROMPT]}, config={"columns": ["instruction"]}, a=candidate).kept == ["a"]


def test_the_length_of_the_run_is_the_recipes(run: Run) -> None:
    near = ("How can you tell whether a melon is sweet?", "Tikiti.")
    assert run({"melons": [PROMPT]}, config={"ngram_words": 8}, a=near).kept == []
    assert run({"melons": [PROMPT]}, config={"ngram_words": 9}, a=near).kept == ["a"]


def test_a_prompt_shorter_than_a_run_is_found_whole(run: Run) -> None:
    done = run({"rain": [SHORT]}, a=("Now describe the first rain of May.", "."), b=("Describe the first snow.", "."))
    assert done.dropped == {"a": ("decontaminate.rain", "instruction: describe the first rain")}
    assert done.kept == ["b"]


def test_a_prompt_of_two_words_must_be_all_that_is_said(run: Run) -> None:
    done = run({"hello": [TINY]}, a=("Say hello to a new neighbour in a letter.", "."), b=("Say hello!", "."))
    assert (done.kept, list(done.dropped)) == (["a"], ["b"])


def test_the_first_evaluation_of_the_recipe_counts_what_several_share(run: Run) -> None:
    copy = (f"{SHORT} {PROMPT}", ".")
    assert run({"z": [SHORT], "a": [PROMPT, SHORT]}, c=copy).outcome.dropped == {"decontaminate.z": 1}
    assert run({"a": [PROMPT, SHORT], "z": [SHORT]}, c=copy).outcome.dropped == {"decontaminate.a": 1}
    assert run({"a": [PROMPT], "z": [PROMPT]}, c=copy).outcome.dropped == {"decontaminate.a": 1}
    assert run({"z": [PROMPT], "a": [PROMPT]}, c=copy).outcome.dropped == {"decontaminate.z": 1}


def test_the_facts_have_prompts_and_rows_of_every_evaluation(run: Run) -> None:
    done = run({"melons": [PROMPT, SHORT], "quiet": [TINY]}, a=(PROMPT, "."), b=(PROMPT, "."), c=("Write.", "."))
    assert done.outcome.facts == {
        "evaluations": {"melons": {"prompts": 2, "rows": 2}, "quiet": {"prompts": 1, "rows": 0}},
        "ngram_words": 8,
        "columns": ["instruction", "response"],
    }


def test_every_turn_of_a_conversation_is_a_prompt(run: Run) -> None:
    done = run({"talk": [["What is rain made of in the end?", PROMPT]]}, a=(PROMPT, "."))
    assert done.outcome.facts["evaluations"]["talk"] == {"prompts": 2, "rows": 1}


THAI = "อธิบายวิธีปลูกข้าวในฤดูฝนให้เด็กฟังแบบง่ายๆ"
HINDI = "बारिश के मौसम में धान कैसे बोया जाता है, बच्चों को समझाइए"
URDU = "بارش کے موسم میں چاول کیسے بویا جاتا ہے، بچوں کو سمجھائیں"


@pytest.mark.parametrize(("words", "prompt"), [("thai", THAI), ("unicode", HINDI), ("unicode", URDU)])
def test_prompts_in_other_scripts_are_split_by_the_languages_words(run: Run, words: str, prompt: str) -> None:
    done = run(
        {"e": [prompt]}, words=words, a=("Explain.", f"คำถาม: {prompt} x"), b=("Explain.", prompt[: len(prompt) // 3])
    )
    assert (list(done.dropped), done.kept) == (["a"], ["b"])


def test_vowel_signs_tell_words_apart(run: Run) -> None:
    prompt = "ข้าวใหม่ในนาริมน้ำสีทองสวยงามมากในยามเช้า"
    without_marks = "".join(char for char in prompt if unicodedata.category(char) != "Mn")
    assert run({"e": [prompt]}, words="thai", a=("Explain.", without_marks)).kept == ["a"]


def test_no_candidates_are_fine(run: Run) -> None:
    assert run({"melons": [PROMPT]}).outcome.facts["evaluations"] == {"melons": {"prompts": 1, "rows": 0}}


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl.gz"])
def test_evaluations_come_in_every_format_of_a_corpus(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"prompts.{kind}"
    rows = [{"prompt": PROMPT, "n": "1"}, {"prompt": SHORT, "n": "2"}]
    match kind:
        case "csv":
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, ["prompt", "n"])
                writer.writeheader()
                writer.writerows(rows)
        case "parquet":
            pq.write_table(pa.table({"prompt": [[row["prompt"]] for row in rows]}), path)
        case _:
            path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    source = {"format": kind.partition(".")[0], "path": path.name, "license": "mit", "text_column": "prompt"}
    done = decontaminated(tmp_path, {"e": source}, a=(PROMPT, "."), b=("Write.", "."))
    assert (list(done.dropped), done.kept) == (["a"], ["b"])
    assert done.outcome.facts["evaluations"] == {"e": {"prompts": 2, "rows": 1}}


def test_a_row_without_a_prompt_stops_the_stage_with_its_place(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": [PROMPT, None, " "]}), tmp_path / "p.parquet")
    source = {"format": "parquet", "path": "p.parquet", "license": "mit", "text_column": "prompt"}
    with pytest.raises(UserError) as error:
        decontaminated(tmp_path, {"e": source}, a=(PROMPT, "."))
    assert [(d.code, d.message) for d in error.value.diagnostics] == [
        ("broken-evaluation", "evaluation `e`: p.parquet:2: no prompt in `prompt`"),
        ("broken-evaluation", "evaluation `e`: p.parquet:3: no prompt in `prompt`"),
    ]


def test_in_a_plan_it_stands_between_the_last_round_and_embed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_server: FakeServer
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    folder = recipe_folder(tmp_path)
    folder.json_lines("bench.jsonl", ({"prompt": PROMPT},))
    fake_server.models = ("tiny",)
    fake_server.answer = lambda body: PROMPT if "Mvua" in prompt_of(body) else written(body)
    bench = {"format": "jsonl", "path": "bench.jsonl", "license": "mit", "text_column": "prompt"}
    plan = compile_recipe(
        folder.recipe(
            {
                "corpus.filters": {"language": None}, "dedup": {"minhash": None},
                "generate.guards": {"min_english_score": None},
                "generate.exemplars.ids": ["b", "c"],
                "refine": {"rounds": 1, "score": "rubric", "min_score": 2.0},
                "decontaminate": {"evaluations": {"bench": bench}},
            }
        )
    )  # fmt: skip
    store = Store(tmp_path / "store")
    stages = {
        done.stage.label: done.manifest
        for done in run_plan(plan, store, Settings(workers=1, environment={"XIRECIPE_MODEL_URL": fake_server.url}))
    }
    assert list(stages)[-7:] == ["refine 1", "decontaminate", "embed", "cluster", "select", "messages", "split"]
    found = stages["decontaminate"]
    assert (found.rows_in, found.kept, found.dropped) == (3, 2, {"decontaminate.bench": 1})
    assert list(found.payload["inputs"]) == ["refine", "evaluation:bench"]
    assert stages["split"].kept == 2
    ran = xirecipe("rejects", "tiny.yaml", "--stage", "decontaminate", "--json")
    assert [row["detail"] for row in json.loads(ran.out)["rows"]] == [
        "instruction: how can you tell whether a melon is"
    ]
