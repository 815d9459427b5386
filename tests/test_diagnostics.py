"""Diagnostics in their three renderings."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from xirecipe.diagnostics import (
    Diagnostic,
    Sources,
    Span,
    did_you_mean,
    render,
    render_github,
    render_json,
    render_text,
    shortened,
)

HERE = Diagnostic("unknown-key", "`a` is no key", Span("r.yaml", 2, 3, 4), "did you mean `b`?", ("from base.yaml:4",))
THERE = Diagnostic("unpinned", "`main` moves", Span("r.yaml", 1, 1), severity="warning")
NOWHERE = Diagnostic("bad-setting", "no place", hint="try this")
SOURCES = Sources({"r.yaml": "first: main\n  abcd: 1\n"})


def test_text_quotes_the_line_points_at_the_place_and_counts() -> None:
    assert (
        render_text([HERE, THERE, NOWHERE], SOURCES)
        == """\
error[bad-setting]: no place
  = hint: try this

r.yaml:1:1: warning[unpinned]: `main` moves
  |
1 | first: main
  | ^

r.yaml:2:3: error[unknown-key]: `a` is no key
  |
2 |   abcd: 1
  |   ^^^^ did you mean `b`?
  = note: from base.yaml:4

2 errors, 1 warning
"""
    )


def test_a_file_that_cannot_be_quoted_still_gets_its_hint() -> None:
    assert (
        render_text([Diagnostic("x", "m", Span("gone.yaml", 7, 1), "h")])
        == """\
gone.yaml:7:1: error[x]: m
  = hint: h

1 error
"""
    )


def test_a_pointer_never_runs_past_its_line() -> None:
    shown = render_text([Diagnostic("x", "m", Span("r.yaml", 1, 8, 99))], SOURCES)
    assert "1 | first: main\n  |        ^^^^\n" in shown


def test_a_quoted_line_cannot_steer_a_terminal() -> None:
    sources = Sources({"r.yaml": "a:\tb\x1b[31m\u202e\x07"})
    assert "1 | a: b\ufffd[31m\ufffd\ufffd\n" in render_text([Diagnostic("x", "m", Span("r.yaml"))], sources)


def test_json_has_null_where_there_is_no_place() -> None:
    assert [(d["code"], d["line"], d["notes"]) for d in json.loads(render_json([HERE, NOWHERE]))] == [
        ("bad-setting", None, []),
        ("unknown-key", 2, ["from base.yaml:4"]),
    ]


def test_github_escapes_what_ends_a_property_or_a_line() -> None:
    odd = Diagnostic("x", "50 %\nof it: a, b", Span("a,b:c.yaml", 1, 2))
    assert render_github([odd]) == "::error file=a%2Cb%3Ac.yaml,line=1,col=2,title=x::50 %25%0Aof it: a, b\n"


def test_every_format_is_rendered_from_the_same_list() -> None:
    assert render([HERE], "text", SOURCES) == render_text([HERE], SOURCES)
    assert render([HERE], "json") == render_json([HERE])
    assert render([HERE], "github") == render_github([HERE])


def test_a_hint_is_the_nearest_word_or_a_short_list_or_nothing() -> None:
    assert did_you_mean("min_scor", ["min_score", "rows"]) == "did you mean `min_score`?"
    assert did_you_mean("zzz", ["b", "a"]) == "known: `a`, `b`"
    assert did_you_mean("zzz", [f"k{i}" for i in range(13)]) is None
    assert did_you_mean("zzz", []) is None


@given(st.text(), st.integers(4, 80))
def test_a_shortened_value_is_one_line_within_its_limit(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert len(short) <= limit
    assert len(short.splitlines()) <= 1


@given(st.text(min_size=1), st.text(), st.text())
def test_a_github_annotation_is_one_line_whatever_it_says(file: str, message: str, hint: str) -> None:
    shown = render_github([Diagnostic("x", message, Span(file), hint)])
    assert shown.count("\n") == 1
    assert "\r" not in shown
