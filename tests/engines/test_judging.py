"""Ratings out of a judge's answer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.engines.conftest import SWAHILI
from xirecipe.engines.asking import Asked
from xirecipe.engines.judging import Judging, rubric_score
from xirecipe.engines.tally import Tally
from xirecipe.models.completions import CompletionLog
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.questions import judge_requests
from xirecipe.recipe.generation import Judge
from xirecipe.recipe.models import EmbeddedModel
from xirecipe.settings import Settings
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.tables import Row
from xirecipe.work import Work

LEVELS = {"3": 3.0, "2": 2.0, "1": 1.0}


def test_label_probabilities_give_the_mean_level() -> None:
    answer = Answer("3", label_log_probs={"3": math.log(0.6), "2": math.log(0.2)})
    score, how = rubric_score(answer, LEVELS)
    assert how == "log_probabilities"
    assert score == pytest.approx((3 * 0.6 + 2 * 0.2) / 0.8)


@pytest.mark.parametrize(("text", "level"), [("3", 3.0), (" 2.\n", 2.0), ("Level: 1", 1.0), ("**3**", 3.0)])
def test_without_probabilities_the_one_label_in_the_text_counts(text: str, level: float) -> None:
    assert rubric_score(Answer(text), LEVELS) == (level, "text")


@pytest.mark.parametrize(
    "text",
    ["", "good", "From 1 to 3, this is a 3.", "10/10", "Rating: 2.5", "I cannot rate; 2023 text", "1/3"],
)
def test_a_text_that_names_no_level_or_several_is_unparsable(text: str) -> None:
    assert rubric_score(Answer(text), LEVELS) == (None, "unparsable")


WRITER = {"engine": "embedded", "package": "a", "revision": "1", "sha256": "0" * 64, "license": "gemma"}


def likelihood_requests(of: str, prompt_format: str = "completion") -> dict[str, Request]:
    config = Judge.model_validate({"model": "rater", "likelihood": {"prompt": "p.j2", "of": of, "max_chars": 12}})
    # A writer's prompt loops over exemplars, which a row names and a scored instruction does not see.
    exemplars = "{% for pair in exemplars %}{{ pair.response }}{% endfor %}" if of == "instruction" else ""
    prompt = exemplars + "{{ text }}|{{ instruction }}:"
    model = EmbeddedModel.model_validate(WRITER | {"prompt_format": prompt_format})
    stage = Stage("judge", config, SWAHILI, prompts={"p.j2": prompt}, model=model)
    row = {"instruction": "Describe rain.", "text": "Mvua nyingi. Jua.", "exemplars": ["a"]}
    return judge_requests(stage, row)


def test_the_likelihood_of_a_text_is_asked_behind_its_instruction_and_behind_none() -> None:
    asked = likelihood_requests("text")
    assert {role: (request.prompt, request.continuation) for role, request in asked.items()} == {
        "given": ("|Describe rain.:", "Mvua nyingi."), "alone": ("|:", "Mvua nyingi."),
    }  # fmt: skip


def test_the_likelihood_of_an_instruction_is_asked_behind_its_text_and_behind_none_as_a_writer_ends_it() -> None:
    asked = likelihood_requests("instruction")
    assert {role: (request.prompt, request.continuation) for role, request in asked.items()} == {
        "given": ("Mvua nyingi.|:", " Describe rain.\n"), "alone": ("|:", " Describe rain.\n"),
    }  # fmt: skip
    # What is scored stands in no turn of a chat.
    assert likelihood_requests("instruction", "chat") == asked


def test_a_rating_that_never_came_fails_a_new_candidate_and_leaves_an_old_one_the_rating_it_has(tmp_path: Path) -> None:
    config = Judge.model_validate({"model": "rater", "rubric": {"prompt": "rate.j2", "levels": LEVELS}})
    stage = Stage("judge", config, SWAHILI, prompts={"rate.j2": "{{ instruction }}"})
    store = Store(tmp_path / "store")
    artifact = store.artifact("judge", stage.fingerprint)
    store.start(artifact)
    work = Work(stage, {}, artifact, store, Settings(), lambda progress: None)
    tally = Tally(work)
    rows: list[Row] = [
        {"document_id": name, "draw": 0, "instruction": f"Explain {name}.", "text": "Mvua.", "rubric_score": score}
        for name, score in (("rain", 2.0), ("bread", 3.0), ("lions", None))
    ]

    def asked_about(row: Row) -> Request:
        return judge_requests(stage, row)["rubric"]

    with CompletionLog(tmp_path / "log", {}) as log:
        log.append(asked_about(rows[0]).key({}), Answer("1"))
        failures = {asked_about(row).key({}): Failure("timeout", "no reply") for row in rows[1:]}
        judging = Judging(work, stage, tally)
        asked = Asked(log, {}, failures)
        kept = list(judging.rated(rows, asked, total=3))
    tally.close()

    assert [(row["document_id"], row["rubric_score"]) for row in kept] == [("rain", 1.0), ("bread", 3.0)]
    assert judging.rated_before == {("bread", 0)}
    assert judging.facts(asked)["unrated"] == {"judge.timeout": 1}
    assert tally.outcome(3, 3, {}).failed == {"judge.timeout": 1}
