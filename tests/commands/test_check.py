"""`xirecipe check`: files and folders, and the recipes of this repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import REPOSITORY, Folder, Ran, recipe_folder, xirecipe


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return recipe_folder(tmp_path)


def test_the_recipes_of_this_repository_have_no_error_and_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert xirecipe("check", "recipes", "--format", "json") == Ran(0, "[]\n", "")


def test_a_folder_means_its_recipes_and_its_languages(folder: Folder) -> None:
    folder.recipe(name="other.yaml")
    assert xirecipe("check", ".") == Ran(0, "3 files checked, no errors\n", "")


def test_a_folder_without_recipes_is_an_error(folder: Folder) -> None:
    assert xirecipe("check", "prompts") == Ran(
        1, "", "prompts:1:1: error[no-recipes]: prompts has no *.yaml\n\n1 error\n"
    )


def test_one_broken_recipe_does_not_hide_another(folder: Folder) -> None:
    folder.write("broken.yaml", "a: [")
    folder.recipe({"select.rows": 0})
    ran = xirecipe("check", ".")
    assert ran.code == 1
    assert "broken.yaml:1:5: error[not-yaml]" in ran.err
    assert "tiny.yaml:36:9: error[out-of-range]" in ran.err
    assert ran.err.endswith("\n2 errors\n")


def test_every_profile_is_checked(folder: Folder) -> None:
    folder.recipe({"profiles": {"sample": {}, "a": {"select": {"rows": 0}}, "b": {"split": {"test_ratio": 2}}}})
    ran = xirecipe("check", "tiny.yaml")
    assert ran.err.count("error[") == 2
    assert "  = note: with `--profile a`\n" in ran.err
    assert "  = note: with `--profile b`\n" in ran.err


def test_what_is_wrong_in_every_profile_is_said_once(folder: Folder) -> None:
    folder.recipe({"select.rows": 0, "profiles": {"a": {}, "b": {}}})
    ran = xirecipe("check", "tiny.yaml")
    assert ran.err.count("error[") == 1
    assert "with `--profile" not in ran.err


def test_warnings_alone_are_no_failure(folder: Folder) -> None:
    folder.recipe({"models.writer": {"engine": "vllm", "model": "a/b", "revision": "main", "license": "mit"}})
    ran = xirecipe("check", "tiny.yaml")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.endswith("\n0 errors, 1 warning\n")


def test_an_unknown_format_is_refused(folder: Folder) -> None:
    assert xirecipe("check", "tiny.yaml", "--format", "xml") == Ran(
        1, "", "error[bad-format]: `xml` is not a format\n  = hint: text, json or github\n\n1 error\n"
    )
