"""Canonical JSON, digests, and what differs between two payloads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.fingerprint import DEFAULT, canonical, differences, digest, file_digest

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3),
)


def test_canonical_json_is_sorted_tight_and_in_real_characters() -> None:
    assert canonical({"b": [1, 2.5], "a": "ไทย"}) == '{"a":"ไทย","b":[1,2.5]}'


def test_a_digest_is_the_sha256_of_the_canonical_json() -> None:
    assert digest({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_numbers_that_are_not_finite_have_no_identity() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(float("nan"))


def test_lists_that_only_look_alike_differ() -> None:
    assert digest(["a", "b"]) != digest(["a-b"])
    assert digest(["a", "b"]) != digest([["a"], "b"])
    assert digest("1") != digest(1)


@given(values)
def test_canonical_json_reads_back_as_the_value(value: Any) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=2))
def test_the_order_of_keys_is_no_identity(value: dict[str, int]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


def test_a_file_is_digested_whole(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 3_000_001)
    assert file_digest(path) == hashlib.sha256(b"x" * 3_000_001).hexdigest()


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", 1, 2)]),
        ({"a": 1}, {"b": 2}, [("a", 1, DEFAULT), ("b", DEFAULT, 2)]),
        ({}, {"a": {"b": 1, "c": 2}}, [("a.b", DEFAULT, 1), ("a.c", DEFAULT, 2)]),
        ({"a": {"b": 1}}, {}, [("a.b", 1, DEFAULT)]),
        ({}, {"a": {}}, [("a", DEFAULT, {})]),
        ({}, {"a": None}, [("a", DEFAULT, None)]),
        ([1], [2], [("", [1], [2])]),
        ({"a": 1}, {"a": 1}, []),
    ],
)
def test_differences_name_the_keys_with_their_old_and_new_values(old: Any, new: Any, found: list[Any]) -> None:
    assert differences(old, new) == found


@given(values, values)
def test_there_is_a_difference_exactly_where_digests_differ(old: Any, new: Any) -> None:
    assert bool(differences(old, new)) == (old != new)
