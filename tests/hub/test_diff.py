"""`xirecipe diff` of released versions: folders, registries, and the Hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import xirecipe
from xirecipe.hub.registry import release_to_folder

from .hub_fixtures import RecipeRun, release, rewritten
from .loopback import LoopbackHub


@pytest.fixture
def registry(recipe_run: RecipeRun, tmp_path: Path) -> Path:
    """A registry with 1.0.0, and 2.0.0 with another instruction of d1."""
    place = tmp_path / "registry"
    release_to_folder(*recipe_run.build(), place)
    recipe_run.change(version="2.0.0", select__min_score=2.1)
    rewritten(recipe_run, "d1")
    release_to_folder(*recipe_run.build(), place)
    return place


def check(out: str) -> None:
    assert "  select.min_score: 2 → 2.1 (tiny.yaml:" in out
    assert '  version: "1.0.0" → "2.0.0"' in out
    assert "  select: select.min_score: 2.0 → 2.1\n" in out
    assert "1 changed, 0 came, 0 went" in out
    assert "    + instruction: Tell about d1.\n" in out
    assert "least version step: MAJOR (1 row changed" in out


def test_two_versions_of_a_registry(registry: Path) -> None:
    ran = xirecipe("diff", f"{registry}@1.0.0", f"{registry}@2.0.0")
    assert (ran.code, ran.err) == (0, "")
    check(ran.out)
    # Without a version it is the latest; a version's folder is a side as well.
    assert "no difference" in xirecipe("diff", str(registry), str(registry / "v2.0.0")).out
    assert "there are: 2.0.0, 1.0.0" in xirecipe("diff", f"{registry}@9.9.9", str(registry)).err


def test_two_versions_on_the_hub(recipe_run: RecipeRun, hub: LoopbackHub) -> None:
    release(recipe_run)
    recipe_run.change(version="2.0.0", select__min_score=2.1)
    rewritten(recipe_run, "d1")
    release(recipe_run)
    ran = xirecipe("diff", "me/tiny@1.0.0", "me/tiny@2.0.0")
    assert ran.code == 0, ran.err
    check(ran.out)


def test_a_release_and_the_recipe_that_made_it_are_equal(
    registry: Path, recipe_run: RecipeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XIRECIPE_STORE", str(recipe_run.root / "store"))
    ran = xirecipe("diff", str(registry), str(recipe_run.root / "tiny.yaml"), "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["equal"] is True
    assert found["rows"]["before"] == found["rows"]["after"] > 0
