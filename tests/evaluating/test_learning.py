"""What students learn and what they come to: as many rows of each set, nothing held out, paired differences."""

from __future__ import annotations

from collections import Counter

import pytest

from xirecipe.diagnostics import UserError
from xirecipe.evaluating.answers import Answered
from xirecipe.evaluating.learning import (
    UNTRAINED,
    Examined,
    HeldOut,
    Measured,
    Teacher,
    answer_files,
    columns,
    draw,
    examined_rows,
    summarize,
)
from xirecipe.pairs import Pair
from xirecipe.recipe.evaluation import Bootstrap, Students
from xirecipe.recipe.language import Language

SWAHILI = Language(
    code="swh_Latn", name="Swahili", native_name="Kiswahili", hub_code="sw", lid_labels=("sw",), sources=("",)
)
TEMPLATE = "{{ instruction }}\nIn {{ language.name }}:"
HELD_OUT = {"swh_Latn": [Pair("s", "Describe rain.", "Mvua hunyesha.")], "fin_Latn": [Pair("f", "Say hi.", "Moi.")]}


def rows(language: str | None, count: int, what: str = "row") -> list[Answered]:
    return [Answered(None, f"Write {what} {n}.", f"{what} {n} {language}", language) for n in range(count)]


def teacher(template: str = TEMPLATE, *, chat: bool = False, **changes: object) -> Teacher:
    config = Students.model_validate(
        {
            "model": "m",
            "prompt": "prompts/p.j2",
            "held_out": {"swh_Latn": "seed.jsonl"},
            "max_answer_chars": 40,
            **changes,
        }
    )
    return Teacher(config, template, {"swh_Latn": SWAHILI}, chat=chat)


def test_the_set_that_has_fewest_rows_of_a_language_says_how_many_all_learn() -> None:
    a, b = rows("swh_Latn", 9) + rows("fin_Latn", 2), rows("fin_Latn", 7, "b") + rows("swh_Latn", 5, "b")
    drawn = draw({"a": a, "b": b}, HELD_OUT, 4, 0)
    assert drawn.counts == {"swh_Latn": 4, "fin_Latn": 2}
    for own in drawn.rows.values():
        assert Counter(row.language for row in own) == drawn.counts
    assert drawn.left_out == {"a": {"not_drawn": 5}, "b": {"not_drawn": 6}}


def test_a_row_that_a_student_is_measured_on_is_not_learnt_whatever_its_case_and_punctuation() -> None:
    given = rows("swh_Latn", 3)
    shown = [
        Answered(None, "describe RAIN", "Mvua.", "swh_Latn"),
        Answered(None, "Write of rain.", "mvua hunyesha", "swh_Latn"),
        # An answer of another language is as much of a secret.
        Answered(None, "Say hi.", "Habari.", "swh_Latn"),
    ]
    drawn = draw({"a": [*shown, *given]}, HELD_OUT, 10, 0)
    assert sorted(row.prompt for row in drawn.rows["a"]) == sorted(row.prompt for row in given)
    assert drawn.left_out["a"] == {"held_out": 3}


def test_rows_that_teach_nothing_are_left_out_by_reason() -> None:
    given = rows("swh_Latn", 2)
    odd = [given[0], Answered(None, "Write.", " ", "swh_Latn"), *rows(None, 1), *rows("tha_Thai", 1)]
    drawn = draw({"a": [*given, *odd]}, HELD_OUT, 10, 0)
    assert drawn.left_out["a"] == {"duplicate": 1, "empty": 1, "no_language": 1, "other_language": 1}
    assert drawn.counts == {"swh_Latn": 2}


def test_one_more_row_moves_one_row_at_most_and_another_seed_draws_others() -> None:
    given = rows("swh_Latn", 40)

    def drawn(count: int, seed: int = 0) -> set[str]:
        return {row.prompt for row in draw({"a": given[:count]}, HELD_OUT, 10, seed).rows["a"]}

    assert len(drawn(40) ^ drawn(39)) <= 2
    assert drawn(40) == drawn(40)
    assert drawn(40) != drawn(40, seed=1)


def test_sets_without_a_language_in_common_are_refused_with_what_they_have() -> None:
    with pytest.raises(UserError, match=r"A has swh_Latn; B has fin_Latn, none") as caught:
        draw({"a": rows("swh_Latn", 2), "b": rows("fin_Latn", 2) + rows(None, 1)}, HELD_OUT, 10, 0)
    assert caught.value.diagnostics[0].code == "nothing-to-learn"


def test_an_answer_is_learnt_with_its_end_where_it_is_whole_and_cut_at_a_sentence_where_it_is_not() -> None:
    whole = teacher().lesson("Describe rain.", "Mvua hunyesha. ", "swh_Latn")
    assert (whole.prompt, whole.answer, whole.ends) == ("Describe rain.\nIn Swahili:", " Mvua hunyesha.", True)
    cut = teacher().lesson("Describe rain.", "Mvua hunyesha sana leo. Kesho haitanyesha kabisa.", "swh_Latn")
    assert (cut.answer, cut.ends) == (" Mvua hunyesha sana leo.", False)


def test_a_prompt_that_ends_in_white_space_and_a_chat_model_take_the_answer_as_it_is() -> None:
    assert teacher(TEMPLATE + "\n\n").lesson("Describe rain.", "Mvua.", "swh_Latn").answer == "Mvua."
    assert teacher(chat=True).lesson("Describe rain.", "Mvua.", "swh_Latn").answer == "Mvua."


def test_a_student_is_asked_as_it_learnt_and_always_says_the_most_probable() -> None:
    made = teacher(max_tokens=7)
    request = made.question(HeldOut("swh_Latn/s", "swh_Latn", "Describe rain.", "Mvua hunyesha."))
    assert request.prompt == made.lesson("Describe rain.", "Mvua hunyesha.", "swh_Latn").prompt
    assert request.sampling is not None
    assert (request.sampling.temperature, request.sampling.max_tokens) == (0, 7)


def test_a_template_that_fails_on_a_row_is_the_users_error() -> None:
    with pytest.raises(UserError, match=r"prompts/p\.j2"):
        teacher("{{ instruction + 1 }}").prompt("Describe rain.", "swh_Latn")


def examined(
    language: str, number: int, *log_probs: float, near: tuple[float | None, ...] = (0.5, 0.5, 0.5)
) -> Examined:
    """An answer of ten tokens with log-probabilities by the untrained model, A and B."""
    by = {
        name: Measured(value, None if cosine is None else f"{name} {number}", cosine)
        for name, value, cosine in zip((UNTRAINED, "a", "b"), log_probs, near, strict=False)
    }
    return Examined(HeldOut(f"{language}/{number}", language, f"Write {number}.", "jibu"), 10, by)


BOOTSTRAP = Bootstrap(samples=500)


def test_differences_are_paired_so_that_hard_answers_do_not_widen_them() -> None:
    hard = [examined("swh_Latn", n, -40.0 - n, -38.0 - n, -39.0 - n) for n in range(8)]
    found = summarize(hard, BOOTSTRAP)["overall"]["nats"]
    assert found["untrained"]["mean"] == pytest.approx(4.35)
    assert found["untrained"]["low"] < 4.35 < found["untrained"]["high"]
    for name, value in (("a_minus_untrained", -0.2), ("b_minus_untrained", -0.1), ("a_minus_b", -0.1)):
        assert list(found[name].values()) == pytest.approx([value] * 3)


def test_languages_stand_for_themselves_and_one_set_has_nothing_to_be_compared_with() -> None:
    found = summarize([examined("swh_Latn", 0, -40, -30), examined("fin_Latn", 0, -20, -22)], BOOTSTRAP)
    assert {code: group["nats"]["a_minus_untrained"]["mean"] for code, group in found["by_language"].items()} == {
        "swh_Latn": pytest.approx(-1), "fin_Latn": pytest.approx(0.2),
    }  # fmt: skip
    assert set(found["overall"]["nats"]) == {"untrained", "a", "a_minus_untrained"}
    assert (found["overall"]["answers"], found["overall"]["tokens"]) == (2, 20)


def test_cosines_are_of_the_prompts_that_every_model_answered() -> None:
    both = [
        examined("swh_Latn", 0, -4, -3, -2, near=(0.5, 0.7, 0.6)),
        examined("swh_Latn", 1, -4, -3, -2, near=(0.1, None, 0.9)),
    ]
    found = summarize(both, BOOTSTRAP)["overall"]
    assert found["answered"] == 1
    assert found["similarity"]["a_minus_b"]["mean"] == pytest.approx(0.1)
    none = summarize([both[1]], BOOTSTRAP)["overall"]
    assert (none["answered"], none["similarity"]) == (0, {})
    assert none["nats"]["a"]["mean"] == pytest.approx(0.3)


def test_every_column_of_a_row_has_a_type() -> None:
    (row,) = examined_rows([examined("swh_Latn", 0, -4, -3, -2)])
    assert set(row) == set(columns([UNTRAINED, "a", "b"]))
    assert (row["id"], row["nats_a"], row["answer_b"]) == ("swh_Latn/0", 0.3, "b 0")


def test_own_answers_are_sets_that_the_other_metrics_read() -> None:
    files = answer_files([examined("swh_Latn", n, -4, -3, -2, near=(0.5, 0.5 if n else None, 0.5)) for n in range(2)])
    assert {name: len(own) for name, own in files.items()} == {
        "answers-untrained.jsonl": 2, "answers-A.jsonl": 1, "answers-B.jsonl": 2,
    }  # fmt: skip
    assert files["answers-A.jsonl"] == [
        {"id": "swh_Latn/1", "language": "swh_Latn", "prompt": "Write 1.", "answer": "a 1"}
    ]
