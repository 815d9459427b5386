from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xirecipe.diagnostics import Diagnostic, UserError
from xirecipe.hub.versions import BUMPS, Bump, Version, check_step, previous_of, step, versions_in, wanted_version

VERSIONS = st.builds(Version, *(st.integers(0, 20) for _ in range(3)))
ONE, TWO = Version(1, 0, 0), Version(2, 0, 0)


@given(VERSIONS)
def test_a_version_is_read_back_from_its_tag(version: Version) -> None:
    assert Version.parse(version.tag) == Version.parse(str(version)) == version


@pytest.mark.parametrize("text", ["1.0", "1.0.0-dev", "v1.0.0.0", "01.0.0", "main", "", "1.0.0\n", "v-1.0.0"])
def test_other_words_are_no_versions(text: str) -> None:
    assert Version.parse(text) is None


def test_versions_are_sorted_by_number_and_other_tags_left_out() -> None:
    assert versions_in(["v1.10.0", "v1.9.0", "draft", "1.0.0", "v2.0.0-dev"]) == [Version(1, 9, 0), Version(1, 10, 0)]


@given(VERSIONS, st.sampled_from(BUMPS))
def test_the_next_version_by_a_step_is_that_step_away(version: Version, bump: Bump) -> None:
    assert step(version, version.after(bump)) == bump
    assert version.after(bump) > version


@given(VERSIONS, st.sampled_from(BUMPS), st.sampled_from(BUMPS))
def test_a_step_is_refused_exactly_where_it_is_smaller_than_the_least(
    version: Version, taken: Bump, least: Bump
) -> None:
    if BUMPS.index(taken) >= BUMPS.index(least):
        check_step(version, version.after(taken), least, ["rows"])
    else:
        with pytest.raises(UserError) as error:
            check_step(version, version.after(taken), least, ["rows"])
        assert error.value.diagnostics[0].hint == f"`version: {version.after(least)}`"


def test_the_version_before_is_the_latest_smaller_one() -> None:
    assert previous_of(TWO, []) is None
    assert previous_of(TWO, [ONE, Version(1, 2, 0)]) == Version(1, 2, 0)
    assert previous_of(ONE, [ONE, TWO]) is None


def of(error: pytest.ExceptionInfo[UserError]) -> Diagnostic:
    (problem,) = error.value.diagnostics
    return problem


def test_a_version_before_the_latest_is_refused_with_one_that_would_do() -> None:
    with pytest.raises(UserError) as error:
        previous_of(Version(1, 1, 0), [ONE, TWO])
    assert (of(error).code, of(error).hint) == ("older-version", "`version: 2.0.1` or later")


def test_the_latest_is_meant_where_no_version_is_named() -> None:
    assert wanted_version("", [ONE, TWO], "x") == TWO
    assert wanted_version("v1.0.0", [ONE, TWO], "x") == ONE
    with pytest.raises(UserError) as error:
        wanted_version("3.0.0", [ONE, TWO], "x")
    assert (of(error).message, of(error).hint) == ("x has no version 3.0.0", "there are: 2.0.0, 1.0.0")
    with pytest.raises(UserError) as error:
        wanted_version("", [], "x")
    assert of(error).code == "no-versions"
