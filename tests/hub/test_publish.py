"""`xirecipe release` and `xirecipe pull`, from the command line to a Hub on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import in_python, xirecipe

from .hub_fixtures import RecipeRun
from .loopback import LoopbackHub

pytestmark = pytest.mark.engine  # the real Hub client against a loopback server


@pytest.fixture
def project(recipe_run: RecipeRun, monkeypatch: pytest.MonkeyPatch) -> RecipeRun:
    """A finished recipe in the folder one is in."""
    recipe_run.build()
    monkeypatch.chdir(recipe_run.root)
    monkeypatch.setenv("XIRECIPE_STORE", "store")
    return recipe_run


def test_a_version_is_shown_released_and_pulled(hub: LoopbackHub, project: RecipeRun) -> None:
    shown = xirecipe("release", "tiny.yaml", "--dry-run")
    assert shown.code == 0, shown.err
    assert "no earlier version to compare with" in shown.out
    assert "  + README.md" in shown.out
    assert shown.out.endswith(f"dry run: nothing was sent; v1.0.0 would go to {hub.url}/datasets/me/tiny\n")
    released = xirecipe("release", "tiny.yaml")
    assert released.out.endswith(f"released: v1.0.0 at {hub.url}/datasets/me/tiny/tree/v1.0.0\n")
    assert "sizes and hashes agree" in released.err
    again = xirecipe("release", "tiny.yaml")
    assert again.out.startswith("already released: v1.0.0")
    pulled = xirecipe("pull", "me/tiny@1.0.0", "--to", "copy")
    assert pulled.code == 0, pulled.err
    assert "train 2, test 1 rows, hashes agree with the manifest" in pulled.out
    assert "recipe: xirecipe plan copy/recipe/tiny.yaml  (all" in pulled.out
    assert "put the source texts.jsonl there (sha256 " in pulled.out


def test_what_changed_is_shown_row_by_row_file_by_file_and_in_the_card(
    hub: LoopbackHub,
    project: RecipeRun,
) -> None:
    xirecipe("release", "tiny.yaml")
    project.change(version="1.0.1", card__uses="Other words.")
    project.build()
    shown = xirecipe("release", "tiny.yaml", "--dry-run")
    assert (shown.code, shown.err.count("Traceback")) == (0, 0)
    assert "since 1.0.0: no row changed (at least a PATCH version)" in shown.out
    assert "  ~ README.md" in shown.out
    assert any(line.startswith("  +") and "Other words." in line for line in shown.out.splitlines())
    assert "left alone, no release wrote them: .gitattributes" in shown.out


def test_a_dry_run_that_would_be_refused_ends_with_1_and_the_reason(
    hub: LoopbackHub,
    project: RecipeRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    shown = xirecipe("release", "tiny.yaml", "--dry-run")
    assert (shown.code, "would be refused: there is no Hub token" in shown.out) == (1, True)


def test_every_reason_against_a_version_is_an_error_line_without_a_traceback(project: RecipeRun) -> None:
    project.change(version="1.0.0-dev", release__repository=None)
    project.build()
    ran = xirecipe("release", "tiny.yaml", "--limit", "5")
    assert ran.code == 1
    assert [line.partition(":")[0] for line in ran.err.splitlines() if line.startswith("error")] == [
        "error[dev-version]", "error[no-repository]", "error[trial]",
    ]  # fmt: skip
    assert "3 errors" in ran.err


def test_a_folder_registry_needs_no_hub(project: RecipeRun) -> None:
    released = xirecipe("release", "tiny.yaml", "--to", "versions")
    assert released.out.endswith("released: v1.0.0 at versions/v1.0.0\n"), released.err
    pulled = xirecipe("pull", "versions", "--to", "copy", "--json")
    record = json.loads(pulled.out)
    assert (record["version"], record["rows"], record["recipe"]["reproduced"]) == (
        "1.0.0",
        {"train": 2, "test": 1},
        True,
    )
    assert Path("copy/README.md").is_file()


def test_both_speak_json(hub: LoopbackHub, project: RecipeRun) -> None:
    record = json.loads(xirecipe("release", "tiny.yaml", "--json").out)
    assert (record["status"], record["version"], record["previous"]) == ("released", "1.0.0", None)
    assert record["commit"] == hub.repos["me/tiny"].resolve("v1.0.0").oid
    project.change(version="2.0.0")
    project.change_row = lambda row: {**row, "instruction": "Describe water."}
    project.build()
    record = json.loads(xirecipe("release", "tiny.yaml", "--dry-run", "--json").out)
    assert record["difference"]["least_bump"] == "MAJOR"
    assert record["difference"]["configs"]["default"]["changed"] == 3


def test_neither_command_imports_the_hub_client_to_show_its_help(tmp_path: Path) -> None:
    for command in ("release", "pull"):
        code = (
            "import sys\nfrom xirecipe.cli import main\n"
            f"assert main(['{command}', '--help']) == 0\nassert 'huggingface_hub' not in sys.modules"
        )
        assert in_python("-c", code, cwd=tmp_path).code == 0
