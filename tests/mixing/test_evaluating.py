"""The zero-shot study's evaluation, wired: six aspects over prompts with modifiers; and consistency for CrossIn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import REPOSITORY, xirecipe
from tests.mixing.mixes import RECIPES
from tests.models.fake_server import FakeServer
from xirecipe.recipe.evaluation import SIX_ASPECTS

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))


def test_six_aspects_are_rated_for_each_prompt_with_its_modifiers(
    tmp_path: Path, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XIRECIPE_MODEL_URL", fake_server.url)
    fake_server.models = ("Qwen/Qwen3-30B-A3B-Instruct-2507",)
    fake_server.answer = lambda body: json.dumps(dict.fromkeys(SIX_ASPECTS, 2))
    prompts = [json.loads(line) for line in (RECIPES / "sample" / "modifiers.jsonl").read_text().splitlines()]
    answers = tmp_path / "answers.jsonl"
    answers.write_text(
        "".join(json.dumps({**row, "answer": "Jibu fupi."}, ensure_ascii=False) + "\n" for row in prompts)
    )
    ran = xirecipe(
        "evaluate", RECIPES / "zero_shot.yaml", answers, "--metric", "aspects", "--profile", "server", "--json"
    )
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["overall"]["rated"] == len(prompts) == 23
    assert set(found["overall"]["aspects"]) == set(SIX_ASPECTS)
    assert found["prompt_sets"]["modifiers"]["unanswered"]["count"] == 0


def test_consistency_of_a_mix_needs_no_model(tmp_path: Path) -> None:
    rows = [
        {"item": item, "language": language, "right": "A", "choice": choice}
        for item, choices in (("1", "AAB"), ("2", "AAA"))
        for language, choice in zip(("eng_Latn", "swh_Latn", "fin_Latn"), choices, strict=True)
    ]
    path = tmp_path / "choices.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = xirecipe("evaluate", REPOSITORY / "recipes" / "crossin.yaml", path, "--metric", "consistency", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["accuracy"]["mean"] == pytest.approx(5 / 6)
    # Of item 1 one of three pairs of languages agrees, of item 2 all three.
    assert found["subsets"]["2"]["consistency"]["mean"] == pytest.approx(4 / 6)
