"""Root verbs and objects, held to instructions that a person labelled."""

from __future__ import annotations

import pytest

from tests.report.instructions import LABELLED
from xirecipe.report.verbs import OBJECTS_SHOWN, VERBS_SHOWN, count_verbs, root


@pytest.mark.parametrize(("instruction", "verb", "noun"), LABELLED)
def test_verb_and_object_are_those_a_person_sees(instruction: str, verb: str | None, noun: str | None) -> None:
    assert root(instruction) == (verb, noun)


@pytest.mark.parametrize("nothing", ["", "   ", "???", "نیا", "__ 12 --"])
def test_what_is_no_instruction_has_no_root(nothing: str) -> None:
    assert root(nothing) == (None, None)


def test_the_noun_behind_some_of_is_the_object() -> None:
    assert root("Name some of the popular consoles of the 2020s.") == ("name", "console")


def test_counts_add_up_and_ties_go_by_the_alphabet() -> None:
    facts = count_verbs(["Write a poem.", "Write a story.", "Describe the sea.", "Write a poem.", "Why?"])
    assert [(v.verb, v.count) for v in facts.verbs] == [("write", 3), ("describe", 1)]
    assert facts.verbs[0].objects == (("poem", 2), ("story", 1))
    assert (facts.instructions, facts.without_verb, facts.distinct) == (5, 1, 2)


def test_only_the_commonest_verbs_and_objects_are_shown() -> None:
    facts = count_verbs(instruction for instruction, _, _ in LABELLED)
    assert len(facts.verbs) == VERBS_SHOWN < facts.distinct
    assert all(len(v.objects) <= OBJECTS_SHOWN for v in facts.verbs)
