"""`xirecipe run` with one recipe and with several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import Folder, recipe_folder, xirecipe
from tests.models.fake_server import FakeServer
from xirecipe.commands.common import command_line
from xirecipe.compile import compile_recipe

#: Three short texts of which every filter keeps all.
LENIENT = {"corpus.filters": {"language": None}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("XIRECIPE_MODEL_URL", raising=False)
    return recipe_folder(tmp_path)


def test_the_mistakes_of_all_recipes_are_shown_before_any_runs(folder: Folder) -> None:
    folder.recipe({"select.rows": 0}, "one.yaml")
    folder.recipe({"select.min_scor": 1}, "two.yaml")
    ran = xirecipe("run", "tiny.yaml", "one.yaml", "two.yaml")
    assert ran.code == 1
    assert "one.yaml:36:9: error[out-of-range]" in ran.err
    assert "two.yaml:36:3: error[unknown-key]" in ran.err
    assert ran.err.endswith("2 errors\n")
    assert not (folder.root / "store").exists()


def test_a_mistake_in_what_the_recipes_share_is_shown_once(folder: Folder) -> None:
    folder.write("bases/shared.yaml", {"select": {"min_scor": 2}})
    for name in ("one.yaml", "two.yaml"):
        folder.recipe({"extends": "bases/shared.yaml", "select": ...}, name)
    assert xirecipe("run", "one.yaml", "two.yaml").err.count("error[unknown-key]") == 2


@pytest.mark.engine
def test_one_recipe_that_fails_does_not_stop_the_others_and_the_last_table_names_it(
    folder: Folder, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server.models = ("tiny",)
    monkeypatch.setenv("XIRECIPE_MODEL_URL_WRITER", fake_server.url)
    folder.recipe(LENIENT)
    folder.recipe(
        {
            **LENIENT,
            "name": "lost-swh",
            "models": {"nobody": {"engine": "server", "model": "tiny", "revision": "1", "license": "mit"}},
            "generate.model": "nobody",
            "judge.model": "nobody",
        },
        "lost.yaml",
    )
    ran = xirecipe("run", "lost.yaml", "tiny.yaml")
    assert ran.code == 1
    assert "XIRECIPE_MODEL_URL" in ran.err
    lines = [line.split() for line in ran.out.splitlines() if line.startswith((" lost", " tiny"))]
    assert lines[0][0] == "lost-swh"
    assert lines[0][-3:] == ["failed,", "see", "above"]
    assert lines[1][:2] == ["tiny-swh", "3"]
    assert "datasets and cards: store/releases/" in ran.out


@pytest.mark.engine
def test_json_of_several_recipes_is_a_list_and_of_one_an_object(
    folder: Folder, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server.models = ("tiny",)
    monkeypatch.setenv("XIRECIPE_MODEL_URL", fake_server.url)
    folder.recipe(LENIENT)
    folder.recipe({**LENIENT, "name": "other-swh"}, "other.yaml")
    one = json.loads(xirecipe("run", "tiny.yaml", "--json").out)
    assert (one["recipe"], one["ok"]) == ("tiny-swh", True)
    both = json.loads(xirecipe("run", "tiny.yaml", "other.yaml", "--json").out)
    assert [(record["recipe"], record["ok"]) for record in both] == [("tiny-swh", True), ("other-swh", True)]
    assert not any(stage["made"] for stage in both[0]["stages"])


def test_running_to_a_stage_that_the_recipe_does_not_ask_for_is_the_users_mistake(folder: Folder) -> None:
    ran = xirecipe("run", "tiny.yaml", "--to", "polish")
    assert ran.code == 1
    assert "error[unknown-stage]: the recipe tiny-swh asks for no stage `polish`" in ran.err
    assert not list(folder.root.glob("store/corpus-*"))


def test_the_command_to_look_at_a_limited_run_is_one_that_preview_takes(folder: Folder) -> None:
    limited = compile_recipe(folder.root / "tiny.yaml", limit=2)
    assert command_line(limited, "preview") == "xirecipe preview tiny.yaml -n 2"
    assert command_line(limited, "run") == "xirecipe run tiny.yaml --limit 2"
