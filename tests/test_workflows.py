"""What continuous integration does with a stranger's pull request, and what other repositories can use."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.builders import REPOSITORY, recipe_folder, xirecipe
from xirecipe.cli import app
from xirecipe.reviewing.comment import MARKER

WORKFLOWS = REPOSITORY / ".github" / "workflows"


def workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load((WORKFLOWS / name).read_text(encoding="utf-8"))
    return loaded


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def test_the_review_runs_the_base_branchs_tool_with_a_token_that_can_only_read() -> None:
    review = workflow("recipes.yml")
    assert set(review["on"]) == {"pull_request"}
    assert review["permissions"] == {"contents": "read"}
    tool, change = (step["with"] for step in steps("recipes.yml") if "checkout" in step.get("uses", ""))
    assert "base.sha" in tool["ref"]
    assert "ref" not in change
    assert tool["persist-credentials"] is change["persist-credentials"] is False
    installs = [step["run"] for step in steps("recipes.yml") if "pip install" in step.get("run", "")]
    assert installs == ["pip install -q -c tool/constraints.txt ./tool"]


def test_no_shell_line_holds_a_value_from_outside() -> None:
    for name in ("recipes.yml", "recipes-comment.yml"):
        for step in steps(name):
            assert "${{" not in step.get("run", "")
            assert "${{" not in step.get("with", {}).get("script", "")


def test_only_the_workflow_that_sees_no_code_can_write() -> None:
    comment = workflow("recipes-comment.yml")
    assert set(comment["on"]) == {"workflow_run"}
    assert comment["permissions"] == {}
    assert comment["jobs"]["comment"]["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert not [step for step in steps("recipes-comment.yml") if "checkout" in step.get("uses", "") or "run" in step]
    assert comment["on"]["workflow_run"]["workflows"] == [workflow("recipes.yml")["name"]]


@pytest.mark.parametrize("name", ["recipes.yml", "recipes-comment.yml"])
def test_actions_are_pinned_by_commit(name: str) -> None:
    used = [step["uses"] for step in steps(name) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) for action in used)


def test_the_comment_is_found_again_by_its_marker() -> None:
    (script,) = [step["with"]["script"] for step in steps("recipes-comment.yml") if "script" in step.get("with", {})]
    assert f"const marker = '{MARKER}';" in script


def hooks() -> dict[str, dict[str, Any]]:
    loaded = YAML(typ="safe", pure=True).load((REPOSITORY / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    return {hook["id"]: hook for hook in loaded}


@pytest.mark.parametrize("identifier", ["xirecipe-check", "xirecipe-fmt"])
def test_a_hooks_entry_runs_with_file_arguments(
    identifier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe_folder(tmp_path / "recipes")
    program, *arguments = shlex.split(hooks()[identifier]["entry"])
    assert program == "xirecipe"
    assert arguments[0] in {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]
    ran = xirecipe(*arguments, "recipes/tiny.yaml", "recipes/languages/swh_Latn.yaml")
    assert (ran.code, ran.err) == (0, "")


def test_hooks_take_recipes_and_leave_other_files() -> None:
    check, fmt = (re.compile(hooks()[name]["files"]) for name in ("xirecipe-check", "xirecipe-fmt"))
    assert check.search("recipes/swahili.yaml")
    assert check.search("data/recipes/languages/swh_Latn.yml")
    # A base is no whole recipe: it is checked through those that extend it.
    assert not check.search("recipes/bases/x_instruction.yaml")
    assert fmt.search("recipes/bases/x_instruction.yaml")
    for path in ("recipes/prompts/a.j2", "recipes.yaml", "notrecipes/a.yaml"):
        assert not check.search(path)
        assert not fmt.search(path)
