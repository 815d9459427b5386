"""Datasets that a model translates: what passes, what is dropped, and that nothing is paid for twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Folder, xirecipe
from tests.mixing.mixes import mix, mix_folder, pair
from tests.models.fake_server import Body, FakeServer, Fault, prompt_of

pytestmark = pytest.mark.engine

#: A dictionary that the fake translator knows both ways.
WORDS = {
    "How does rain form?": "Mvua hutokeaje?",
    "Water rises, cools and falls.": "Maji hupanda, hupoa na kuanguka.",
    "What is bread made of?": "Mkate hutengenezwa na nini?",
    "Bread is made of flour, water and yeast.": "Mkate hutengenezwa kwa unga, maji na hamira.",
    "Why do birds sing?": "Samaki huogelea baharini.",
    "They sing to find a mate.": "Gari limeharibika barabarani.",
    "Say nothing.": "",
    "Nothing.": "Hakuna.",
    "What is far?": "Mbali ni nini?",
    "The sea is far.": "The sea is far away from here, my friend.",
}
BACK = {sw: en for en, sw in WORDS.items()} | {
    "Samaki huogelea baharini.": "Fish swim in the sea.",
    "Gari limeharibika barabarani.": "The car broke down on the road.",
}


def translator(body: Body) -> str:
    text = prompt_of(body).partition(": ")[2]
    return BACK[text] if prompt_of(body).startswith("sw>") else WORDS[text]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_server: FakeServer) -> Folder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XIRECIPE_MODEL_URL", fake_server.url)
    monkeypatch.setenv("XIRECIPE_REQUEST_ATTEMPTS", "1")
    monkeypatch.setenv("XIRECIPE_MAX_FAILED_RATIO", "0.5")
    fake_server.models, fake_server.answer = ("tiny",), translator
    made = mix_folder(tmp_path)
    texts = list(WORDS)
    rows = [{**pair("eng_Latn", str(n)), "instruction": texts[2 * n], "response": texts[2 * n + 1]} for n in range(5)]
    made.json_lines("eng_Latn.jsonl", rows)
    made.write("prompts/translate.j2", "{{ language.hub_code }}>{{ answer_language.hub_code }}: {{ text }}")
    return made


def translated(folder: Folder, **translate: Any) -> dict[str, Any]:
    mix(folder, {
        "datasets.parallel.versions": {"eng_Latn": {"format": "jsonl", "path": "eng_Latn.jsonl"}},
        "models": {"big": {"engine": "server", "model": "tiny", "revision": "1", "license": "apache-2.0"}},
        "translate": {"parallel": {
            "into": ["swh_Latn"], "model": "big", "prompt": "prompts/translate.j2", **translate,
        }},
        "mix.parts.cross.directions": ["en->x"],
    })  # fmt: skip
    ran = xirecipe("run", "tiny.yaml", "--json")
    assert ran.code == 0, ran.err
    return {stage["stage"]: stage for stage in json.loads(ran.out)["stages"]}


def test_rows_that_come_back_as_they_went_stay_and_the_others_are_dropped_with_the_reason(
    folder: Folder, fake_server: FakeServer
) -> None:
    # lid.176 gives short Swahili little more than nothing, and English less.
    checks = {"round_trip": {"min_similarity": 0.9}, "min_language_score": 0.005}
    stage = translated(folder, **checks)["translate parallel"]

    assert stage["asked"] == 5 + 5
    assert stage["kept"] == 5 + 2
    assert stage["dropped"] == {"translate.empty": 1, "min_language_score": 1, "round_trip.min_similarity": 1}
    rejects = json.loads(xirecipe("rejects", "tiny.yaml", "--stage", "translate", "--json").out)["rows"]
    assert {row["reason"]: row["document_id"] for row in rejects} == {
        "round_trip.min_similarity": "parallel/2", "translate.empty": "parallel/3", "min_language_score": "parallel/4",
    }  # fmt: skip
    lost = next(row for row in rejects if row["reason"] == "round_trip.min_similarity")
    assert lost["detail"] == "its response came back as: The car broke down on the road."
    steps = json.loads(xirecipe("trace", "tiny.yaml", "parallel/0", "--json").out)
    assert [(s["stage"], s["language"], s["made"]) for s in steps[:3]] == [
        ("read parallel", "eng_Latn", "written"), ("translate parallel", "eng_Latn", "written"),
        ("translate parallel", "swh_Latn", "translated"),
    ]  # fmt: skip
    assert "translated by `tiny`" in xirecipe("card", "tiny.yaml").out
    assert xirecipe("verify", "tiny.yaml").code == 0

    calls = len(fake_server.calls)
    again = translated(folder, **checks | {"min_language_score": 0.006})["translate parallel"]
    assert (again["calls"], len(fake_server.calls)) == (0, calls)


def test_an_answer_that_is_lost_does_not_hide_behind_a_long_question_that_came_back_well(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACK, "Mkate hutengenezwa kwa unga, maji na hamira.", "Good morning.")
    dropped = translated(folder, round_trip={"min_similarity": 0.9})["translate parallel"]["dropped"]
    assert dropped["round_trip.min_similarity"] == 2


def test_a_text_that_is_still_in_the_source_language_is_dropped_and_named(folder: Folder) -> None:
    dropped = translated(folder, max_source_language_score=0.5)["translate parallel"]["dropped"]
    assert dropped == {"translate.empty": 1, "max_source_language_score": 1}
    rejects = json.loads(xirecipe("rejects", "tiny.yaml", "--reason", "max_source_language_score", "--json").out)
    (row,) = rejects["rows"]
    assert (row["document_id"], row["detail"]) == ("parallel/4", "its response is in English still")


def test_a_request_without_an_answer_fails_its_row(folder: Folder, fake_server: FakeServer) -> None:
    fake_server.fail_when(lambda body: Fault() if "bread" in prompt_of(body).lower() else None)
    stage = translated(folder)["translate parallel"]
    assert stage["failed"] == {"translate.server_error": 1}
    assert stage["asked"] == stage["kept"] + sum(stage["dropped"].values()) + 1


def test_a_plan_knows_what_a_translation_will_ask_at_most(folder: Folder) -> None:
    translated(folder)
    plan = xirecipe("plan", "tiny.yaml", "--set", "translate.parallel.round_trip.min_similarity=0.5", "--json")
    costs = {line["stage"]: line for line in json.loads(plan.out)}
    # Two fields of five rows, there and back.
    assert costs["translate parallel"]["calls"] == 20
