"""Canonical layout: order, indentation, and every comment where it was said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import REPOSITORY
from xirecipe.diagnostics import UserError
from xirecipe.editing.layout import formatted
from xirecipe.editing.order import LANGUAGE_FILE, RECIPE_FILE, Schema
from xirecipe.yaml import parse


def fmt(text: str, schema: Schema = RECIPE_FILE) -> str:
    return formatted(text, "r.yaml", schema)


def refused(text: str) -> str:
    with pytest.raises(UserError) as caught:
        fmt(text)
    return caught.value.diagnostics[0].code


def test_keys_stand_in_the_schemas_order_and_take_their_comments_along() -> None:
    written = (
        "# About the file.\n\n"
        "version: 1.0.0   # frozen\n"
        "# why this name\nname: a\n"
        "profiles:\n  full: {}\n"
        "extends: bases/b.yaml\n"
    )
    assert fmt(written) == (
        "# About the file.\n\n"
        "extends: bases/b.yaml\n"
        "# why this name\nname: a\n"
        "version: 1.0.0   # frozen\n"
        "profiles:\n  full: {}\n"
    )


def test_the_comment_at_the_top_is_the_files_own() -> None:
    assert fmt("# Swahili.\nname: a\nextends: b.yaml\n") == "# Swahili.\nextends: b.yaml\nname: a\n"


def test_known_sections_are_ordered_inside_and_slots_are_not() -> None:
    written = "models:\n  zebra: {engine: server}\n  ant:\n    license: mit\n    model: m\n    engine: server\n"
    assert fmt(written) == (
        "models:\n  zebra: {engine: server}\n  ant:\n    engine: server\n    model: m\n    license: mit\n"
    )


def test_a_kind_that_only_the_base_says_still_has_an_order() -> None:
    written = "corpus:\n  sources:\n    web:\n      license: mit\n      files: x\n"
    assert fmt(written) == "corpus:\n  sources:\n    web:\n      files: x\n      license: mit\n"


def test_unknown_keys_follow_in_the_order_in_which_they_are_written() -> None:
    assert fmt("zoo: 1\nversion: 1.0.0\nbar: 2\nname: a\n") == "name: a\nversion: 1.0.0\nzoo: 1\nbar: 2\n"


def test_two_spaces_a_level_also_in_lists_and_texts() -> None:
    written = (
        "card:\n"
        "      # a comment on a\n"
        "      title: t\n"
        "      uses: >-\n"
        "            first line\n\n"
        "              indented # no comment\n"
        "      papers:\n"
        "      -   title: x\n"
        "          authors: [a,\n"
        "             b]\n"
        "      # the second\n"
        "      -   title: y\n"
    )
    assert fmt(written) == (
        "card:\n"
        "  # a comment on a\n"
        "  title: t\n"
        "  uses: >-\n"
        "    first line\n\n"
        "      indented # no comment\n"
        "  papers:\n"
        "    - title: x\n"
        "      authors: [a,\n"
        "         b]\n"
        "    # the second\n"
        "    - title: y\n"
    )


def test_a_deeper_comment_at_the_end_of_a_section_stays_in_it() -> None:
    written = (
        "select:\n  rows: 1\n  # min_score: 2\n\n# what they share\ncorpus:\n  filters:\n    length: {}\n    # last\n"
    )
    assert fmt(written) == (
        "# what they share\ncorpus:\n  filters:\n    length: {}\n    # last\nselect:\n  rows: 1\n  # min_score: 2\n"
    )


def test_an_alias_never_comes_to_stand_before_its_anchor() -> None:
    written = "split: &s {seed: 1}\ncluster: *s\n"
    assert fmt(written) == written


def test_windows_line_ends_stay_and_missing_ones_are_added() -> None:
    assert fmt("version: 1.0.0\r\nname: a") == "name: a\r\nversion: 1.0.0\r\n"


def test_a_value_left_out_keeps_its_comment() -> None:
    assert fmt("card:\n    uses:     # what for\n    title: t\n") == "card:\n  title: t\n  uses:     # what for\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [", "not-yaml"),
        ("a: 1\na: 2\n", "duplicate-key"),
        ("{a: 1, b: 2}\n", "unusual-layout"),
        ("? a\n: 1\n", "unusual-layout"),
        ("a:\n  - - 1\n", "unusual-layout"),
        ("a:\n  -\n    b: 1\n", "unusual-layout"),
    ],
)
def test_what_it_cannot_read_or_move_is_refused(text: str, code: str) -> None:
    assert refused(text) == code


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "recipes").rglob("*.yaml")), ids=lambda p: p.relative_to(REPOSITORY).as_posix()
)
def test_the_files_of_this_repository_keep_their_content(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    once = formatted(text, path.name, LANGUAGE_FILE if path.parent.name == "languages" else RECIPE_FILE)
    assert parse(once, "once").data == parse(text, "text").data
    assert sorted(once.split()) == sorted(text.split())


KEYS = (
    "extends", "name", "version", "corpus", "sources", "web", "format", "license", "filters", "length", "card",
    "papers", "profiles", "sample", "select", "rows", "own-key", "clean", "dedup",
)  # fmt: skip
SCALARS = (
    "1",
    "null",
    "text # no",
    "'a: b'",
    '"# no comment"',
    "{a: 1, b: [2, 3]}",
    "[x,\n{pad}  y]",
    "a\n{pad}  long text",
    "",
)


@st.composite
def mappings(draw: st.DrawFn, depth: int = 0, column: int = 0) -> list[str]:
    """Lines of a mapping; each comment names the key that it belongs to."""
    lines: list[str] = []
    step = draw(st.integers(1, 4))
    pad = " " * column
    for key in draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True)):
        lines += draw(st.sampled_from(([], [""])))
        lines += [f"{pad}# above {key}"] if draw(st.booleans()) else []
        behind = f"  # behind {key}" if draw(st.booleans()) else ""
        kind = draw(st.sampled_from(("scalar", "mapping", "list", "block") if depth < 3 else ("scalar", "block")))
        match kind:
            case "scalar":
                lines += f"{pad}{key}: {draw(st.sampled_from(SCALARS)).replace('{pad}', pad)}{behind}".split("\n")
            case "block":
                lines += [f"{pad}{key}: {draw(st.sampled_from(('|', '>-', '|-')))}{behind}"]
                lines += [f"{pad}{' ' * step}# text of {key}", "", f"{pad}{' ' * step}  more"]
            case "mapping":
                lines += [f"{pad}{key}:{behind}", *draw(mappings(depth + 1, column + step))]
            case _:
                lines += [f"{pad}{key}:{behind}"]
                for _ in range(draw(st.integers(1, 2))):
                    inner = draw(mappings(depth + 1, column + step + 2))
                    while not inner[0].strip() or inner[0].strip().startswith("#"):
                        inner.pop(0)
                    lines += [" " * (column + step) + "- " + inner[0].lstrip(), *inner[1:]]
    return lines


@given(mappings())
@settings(max_examples=300)
def test_formatting_twice_is_formatting_once_and_nothing_is_lost(lines: list[str]) -> None:
    text = "# file\n\n" + "\n".join(lines) + "\n"
    once = fmt(text)
    assert fmt(once) == once
    assert parse(once, "once").data == parse(text, "text").data
    written = [line.strip() for line in text.split("\n") if line.strip()]
    assert sorted(once.split()) == sorted(" ".join(written).split())
    rows = once.split("\n")
    for number, row in enumerate(rows):
        if "# above " in row:
            key = row.partition("# above ")[2]
            assert rows[number + 1].strip().removeprefix("- ").startswith(f"{key}:"), once
        if ":  # behind " in row and "{" not in row:
            assert row.strip().removeprefix("- ").startswith(f"{row.partition('# behind ')[2]}:"), once
