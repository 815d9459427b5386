"""YAML with positions: what is refused, what a plain scalar means, where things stand."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.builders import Ran, recipe_folder, xirecipe
from xirecipe import yaml
from xirecipe.diagnostics import UserError, render_text


def refused(text: str | bytes, tmp_path: Path) -> str:
    """The whole report on a file of this text."""
    path = tmp_path / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as error:
        yaml.read(path, "r.yaml")
    return render_text(error.value.diagnostics)


@pytest.fixture(autouse=True)
def _in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_file_that_does_not_exist_is_named() -> None:
    assert xirecipe("check", "nope.yaml") == Ran(
        1,
        "",
        """\
nope.yaml:1:1: error[missing-file]: nope.yaml does not exist

1 error
""",
    )


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").mkdir()
    with pytest.raises(UserError) as error:
        yaml.read(tmp_path / "r.yaml", "r.yaml")
    assert (
        render_text(error.value.diagnostics)
        == """\
r.yaml:1:1: error[unreadable-file]: r.yaml: Is a directory

1 error
"""
    )


def test_a_file_that_is_not_utf_8_shows_the_line(tmp_path: Path) -> None:
    assert (
        refused(b"name: a\nlanguage: \xff\n", tmp_path)
        == """\
r.yaml:2:1: error[not-utf-8]: byte 18 is not UTF-8
  = hint: save the file as UTF-8

1 error
"""
    )


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    assert (
        refused("# nothing\n", tmp_path)
        == """\
r.yaml:1:1: error[not-a-mapping]: the file is empty
  |
1 | # nothing
  | ^

1 error
"""
    )


def test_a_list_is_no_recipe(tmp_path: Path) -> None:
    assert (
        refused("- a\n", tmp_path)
        == """\
r.yaml:1:1: error[not-a-mapping]: the file must be a mapping of keys to values
  |
1 | - a
  | ^

1 error
"""
    )


def test_text_that_is_not_yaml_shows_where_it_breaks(tmp_path: Path) -> None:
    assert (
        refused("a: [1, 2\nb: 3\n", tmp_path)
        == """\
r.yaml:2:2: error[not-yaml]: expected ',' or ']', but got ':'
  |
2 | b: 3
  |  ^

1 error
"""
    )


def test_an_unclosed_quote_is_not_yaml(tmp_path: Path) -> None:
    assert (
        refused('a: "b', tmp_path)
        == """\
r.yaml:1:6: error[not-yaml]: found unexpected end of stream
  |
1 | a: "b
  |      ^

1 error
"""
    )


def test_a_tab_for_indentation_is_not_yaml(tmp_path: Path) -> None:
    assert (
        refused("a:\n\tb: 1\n", tmp_path)
        == """\
r.yaml:2:1: error[not-yaml]: found character '\\t' that cannot start any token
  |
2 |  b: 1
  | ^

1 error
"""
    )


def test_a_control_character_is_not_yaml(tmp_path: Path) -> None:
    assert (
        refused('a: "\x07"', tmp_path)
        == """\
r.yaml:1:1: error[not-yaml]: unacceptable character #x0007: special characters are not allowed at character 4
  |
1 | a: "�"
  | ^

1 error
"""
    )


def test_a_second_document_is_refused(tmp_path: Path) -> None:
    assert (
        refused("a: 1\n---\nb: 2\n", tmp_path)
        == """\
r.yaml:3:1: error[not-yaml]: a second document starts here
  |
3 | b: 2
  | ^ keep one of them

1 error
"""
    )


def test_a_tag_is_refused_and_nothing_is_made_of_it(tmp_path: Path) -> None:
    assert (
        refused("a: !!python/object/apply:os.system [ls]\n", tmp_path)
        == """\
r.yaml:1:4: error[tag]: `!!python/object/apply:os.system` is a tag; recipes have none
  |
1 | a: !!python/object/apply:os.system [ls]
  |    ^ write the plain value

1 error
"""
    )


def test_a_list_as_a_key_is_refused(tmp_path: Path) -> None:
    assert (
        refused("? [a, b]\n: c\n", tmp_path)
        == """\
r.yaml:1:3: error[not-yaml]: a key must be text
  |
1 | ? [a, b]
  |   ^

1 error
"""
    )


def test_a_character_that_no_file_name_can_hold_is_refused(tmp_path: Path) -> None:
    assert (
        refused('extends: "a\\0b"\n', tmp_path)
        == """\
r.yaml:1:10: error[bad-character]: a NUL or half of a surrogate pair is not text
  |
1 | extends: "a\\0b"
  |          ^^^^^^

1 error
"""
    )


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    assert (
        refused('name: "\\ud800"\n', tmp_path)
        == """\
r.yaml:1:7: error[bad-character]: a NUL or half of a surrogate pair is not text
  |
1 | name: "\\ud800"
  |       ^^^^^^^^

1 error
"""
    )


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1e999"])
def test_a_number_that_is_not_finite_is_refused(number: str, tmp_path: Path) -> None:
    assert f"r.yaml:1:4: error[out-of-range]: `{number}` is not a finite number" in refused(f"a: {number}\n", tmp_path)


@pytest.mark.parametrize("number", ["9" * 6000, "0x" + "F" * 6000])
def test_a_number_of_thousands_of_digits_is_refused(number: str, tmp_path: Path) -> None:
    shown = refused(f"a: {number}\n", tmp_path)
    assert "r.yaml:1:4: error[out-of-range]: a whole number with more than 20 digits" in shown


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    assert (
        refused(bomb, tmp_path)
        == """\
r.yaml:1:1: error[alias-explosion]: more than 20,000 values, aliases followed
  |
1 | a: &a [x,x,x,x,x,x,x,x,x]
  | ^

1 error
"""
    )


def test_merges_that_multiply_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1}"] + [f"a{i + 1}: &a{i + 1} {{<<: [*a{i}, *a{i}]}}" for i in range(60)]
    assert "error[alias-explosion]" in refused("\n".join(lines), tmp_path)


def test_an_alias_to_what_contains_it_is_refused(tmp_path: Path) -> None:
    assert (
        refused("a: &a {b: *a}\n", tmp_path)
        == """\
r.yaml:1:11: error[not-yaml]: `*a` names no value that ended before it
  |
1 | a: &a {b: *a}
  |           ^^

1 error
"""
    )


def test_brackets_without_end_are_refused_and_soon(tmp_path: Path) -> None:
    assert "error[too-deep]: more than 40 levels inside one another" in refused("a: " + "[" * 100_000, tmp_path)


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    assert (
        refused("# a\n" + "x" * 200_000, tmp_path)
        == """\
r.yaml:1:1: error[too-large]: r.yaml has more than 200,000 bytes
  |
1 | # a
  | ^ texts belong into files that the recipe names

1 error
"""
    )


def test_a_key_written_twice_is_shown_and_the_rest_is_checked_too(tmp_path: Path) -> None:
    folder = recipe_folder(tmp_path)
    folder.write("tiny.yaml", folder.read("tiny.yaml") + "name: other\nselect:\n  rows: many\n")
    assert xirecipe("check", "tiny.yaml") == Ran(
        1,
        "",
        """\
tiny.yaml:47:1: error[duplicate-key]: `name` is written twice in one mapping
   |
47 | name: other
   | ^^^^ keep one of the two
  = note: the first is at line 1

tiny.yaml:48:1: error[duplicate-key]: `select` is written twice in one mapping
   |
48 | select:
   | ^^^^^^ keep one of the two
  = note: the first is at line 34

tiny.yaml:49:9: error[wrong-type]: `select.rows` must be a whole number, not text (`many`)
   |
49 |   rows: many
   |         ^^^^

3 errors
""",
    )


def test_a_mapping_with_a_double_key_that_is_shown_again_by_an_alias_is_reported_once() -> None:
    document = yaml.parse("a: &a {x: 1, x: 2}\nb: *a\n", "r.yaml")
    assert document.data == {"a": {"x": 2}, "b": {"x": 2}}
    assert [(d.code, d.span) for d in document.problems] == [("duplicate-key", document.keys["a", "x"])]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("yes", "yes"),
        ("2026-01-02", "2026-01-02"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("3.10", 3.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-7", -7),
        ("0o17", 15),
        ("0x1f", 31),
        ("007", 7),
        ("True", True),
        ("false", False),
        ("~", None),
        ("", None),
        ("'3'", "3"),
        ('"true"', "true"),
        ("|\n  3\n", "3\n"),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(written: str, read: object) -> None:
    value = yaml.parse(f"a: {written}", "r.yaml").data["a"]
    assert value == read
    assert type(value) is type(read)


def test_keys_are_text_as_they_are_written() -> None:
    assert yaml.parse("levels: {3: 3, 1.0: 1, true: 0, null: 2}", "r.yaml").data == {
        "levels": {"3": 3, "1.0": 1, "true": 0, "null": 2}
    }


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\n")
    document = yaml.read(path, "r.yaml")
    assert document.data == {"name": "x"}
    assert document.keys["name",].column == 1


def test_an_alias_stands_where_it_is_written_and_its_keys_where_they_are_written() -> None:
    document = yaml.parse("large: &m\n  engine: vllm\nwriter: *m\n", "r.yaml")
    assert document.data["writer"] == {"engine": "vllm"}
    assert (document.values["writer",].line, document.values["writer",].column) == (3, 9)
    assert document.keys["writer", "engine"].line == 2


def test_a_merge_key_brings_what_is_not_written() -> None:
    document = yaml.parse("a: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}\n", "r.yaml")
    assert document.data["b"] == {"x": 1, "y": 2}


def test_a_merge_of_something_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    assert (
        refused("a: {<<: 3}\n", tmp_path)
        == """\
r.yaml:1:5: error[not-yaml]: `<<` takes a mapping, or a list of mappings
  |
1 | a: {<<: 3}
  |     ^^

1 error
"""
    )


def test_a_value_left_out_stands_at_its_key() -> None:
    document = yaml.parse("a:\nb: 1\n", "r.yaml")
    assert (document.values["a",].line, document.values["a",].column) == (1, 1)


leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("abc é中\n:#'\"{}[]-", max_size=8)
trees = st.recursive(
    leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text("abc", min_size=1), v, max_size=3)
)


@given(st.dictionaries(st.text("abcdef", min_size=1), trees, max_size=5))
def test_what_a_yaml_writer_writes_is_read_as_it_was(data: dict[str, object]) -> None:
    stream = io.StringIO()
    YAML().dump(data, stream)
    if data:
        assert yaml.parse(stream.getvalue(), "r.yaml").data == data


@given(st.text(alphabet=st.sampled_from(" \n\t:-[]{}&*!|>'\"%@`,?#ab1.~<=\\\u2028é"), max_size=60))
def test_any_text_is_a_document_or_a_user_error(text: str) -> None:
    with contextlib.suppress(UserError):
        document = yaml.parse(text, "r.yaml")
        lines = max(1, len(text.splitlines()))
        assert all(span.line <= lines for span in document.keys.values())


def test_a_path_with_brackets_in_a_mapping_on_one_line_is_told_about_quotes(tmp_path: Path) -> None:
    found = refused("columns: {instruction: turns[0], response: turns[1]}\n", tmp_path)
    assert found.startswith("r.yaml:1:29: error[not-yaml]")
    assert "inside `{ }` and `[ ]`, put a value with brackets in quotes" in found
