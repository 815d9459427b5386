"""Prompts: a small part of jinja2, in a sandbox."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.prompts import TemplateError, TemplateSyntaxError, names_used, render


@dataclass
class Pair:
    instruction: str
    response: str


def test_values_branches_and_loops_over_exemplars_are_rendered() -> None:
    text = (
        "{% for pair in exemplars %}\n{{ loop.index }}. {{ pair.response | trim }}"
        "{{ '' if loop.last else ',' }}\n{% endfor %}\n"
        "{% if text %}\n{{ text | truncate(5, true, '', 0) }}{% else %}none{% endif %}"
    )
    assert render(text, {"exemplars": [Pair("i", " r "), Pair("i", "s")], "text": "habari"}) == "1. r,\n2. s\nhabar"


def test_text_is_shown_as_it_is_and_never_read_as_a_template() -> None:
    assert render("{{ text }}", {"text": "<b> & {{ text }}"}) == "<b> & {{ text }}"


def test_the_names_a_prompt_reads_are_those_it_does_not_make() -> None:
    assert names_used("{% for p in exemplars %}{{ p.response }}{{ loop.index }}{% endfor %}{{ text }}") == {
        "exemplars",
        "text",
    }


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TemplateError, match=r"^there is no `txt`$"):
        render("{{ txt }}", {})


def test_a_missing_part_of_a_pair_is_met_with_the_nearest() -> None:
    with pytest.raises(TemplateError, match=r"^a pair has no `respnse`; did you mean `response`\?$"):
        render("{{ pair.respnse }}", {"pair": Pair("i", "r")})


@pytest.mark.parametrize(
    "program",
    [
        "{{ 'a' * 99999999999 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%99999999999d' % 1 }}",
        "{{ '{:99999999999}'.format(1) }}",
        "{{ text.ljust(99999999999) }}",
        "{{ text | center(99999999999) }}",
        "{{ text | replace('', text) }}",
        "{% set a = text ~ text %}",
        "{% macro m() %}{% endmacro %}",
        "{% set a %}{{ text }}{% endset %}",
        "{% for i in range(9) %}{% endfor %}",
        "{{ lipsum() }}",
        "{% include '/etc/passwd' %}",
        "{% extends 'x' %}",
        "{% import 'x' as y %}",
        "{{ [text, text] }}",
        "{{ self.x() }}",
        "{% for a in text %}{% for b in text %}{% for c in text %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    ],
)
def test_a_program_is_no_prompt(program: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        names_used(program)
    with pytest.raises((TemplateError, RecursionError)):
        render(program, {"text": "x"})


@pytest.mark.parametrize(
    "template", ["{{ text.__class__ }}", "{{ text.__init__.__globals__ }}", "{{ text['__class__'] }}"]
)
def test_nothing_outside_can_be_reached(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, {"text": "x"})


@pytest.mark.parametrize("template", ["{{ text + 1 }}", "{{ text - 1 }}", "{% for a in 3 %}{% endfor %}"])
def test_what_goes_wrong_inside_a_prompt_is_a_template_error(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, {"text": "x"})


@given(st.text(alphabet=st.sampled_from("{}%# \ntexifor|.'\"()[]-+~"), max_size=40))
def test_any_text_renders_or_is_a_template_error(template: str) -> None:
    with contextlib.suppress(TemplateError):
        names_used(template)
        assert isinstance(render(template, {"text": "x"}), str)
