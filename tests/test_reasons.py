"""Values and reasons in a plan, in a few characters."""

from __future__ import annotations

import pytest

from xirecipe.fingerprint import DEFAULT
from xirecipe.reasons import short


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (DEFAULT, "default"),
        (2.5, "2.5"),
        (False, "False"),
        ("a\n b", "a b"),
        ("x" * 50, "x" * 37 + "..."),
        (["a"], "['a']"),
    ],
)
def test_a_value_is_one_short_line(value: object, shown: str) -> None:
    assert short(value) == shown
