"""`xirecipe pin`: a branch's name becomes its commit, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import Folder, xirecipe
from tests.mixing.mixes import mix_folder

from .loopback import LoopbackHub

pytestmark = pytest.mark.engine

RECIPE = """\
name: tiny-mix       # what people call it
version: 1.0.0-dev
datasets:
  parallel:
    license: cc0-1.0
    versions:
      eng_Latn: {format: hub, repository: a/rows, revision: main, files: en.jsonl}     # English
      swh_Latn: {format: hub, repository: a/rows, revision: "refs/convert/parquet", files: sw.parquet}
profiles:
  big:
    models: {judge: {engine: vllm, model: a/judge, revision:   main   , license: cc0-1.0}}
    datasets: {parallel: {versions: {eng_Latn: {revision: v1}}}}
  small: {}
mix: {parts: {all: {dataset: parallel, shape: monolingual}}}
card: {title: T, summary: s, uses: u, not_for: n, biases: b}
release: {license: cc0-1.0}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    folder = mix_folder(tmp_path)
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return folder


@pytest.fixture
def commits(hub: LoopbackHub) -> dict[str, str]:
    rows, judge = hub.repository("a/rows"), hub.repository("a/judge")
    first = rows.push({"en.jsonl": b"{}"})
    rows.tag("v1", first, None)
    rows.branches["refs/convert/parquet"] = first
    return {"v1": first, "main": rows.push({"en.jsonl": b"{ }"}), "judge": judge.push({"config.json": b"{}"})}


def test_every_name_in_every_profile_becomes_its_commit_and_no_other_character_changes(
    folder: Folder, commits: dict[str, str]
) -> None:
    ran = xirecipe("pin", "tiny.yaml")
    assert ran.code == 0
    expected = (
        RECIPE.replace("revision: main, files", f"revision: {commits['main']}, files")
        .replace('"refs/convert/parquet"', f'"{commits["v1"]}"')
        .replace("revision:   main   ,", f"revision:   {commits['judge']}   ,")
        .replace("revision: v1", f"revision: {commits['v1']}")
    )
    assert (folder.root / "tiny.yaml").read_text() == expected
    assert ran.out.splitlines() == [
        f"tiny.yaml:7: a/rows main → {commits['main']}",
        f"tiny.yaml:8: a/rows refs/convert/parquet → {commits['v1']}",
        f"tiny.yaml:11: a/judge main → {commits['judge']}",
        f"tiny.yaml:12: a/rows v1 → {commits['v1']}",
        "4 revisions pinned in 1 file",
    ]
    assert "unpinned" not in xirecipe("check", "tiny.yaml").err


def test_check_names_the_command_and_pinning_again_changes_nothing(folder: Folder, commits: dict[str, str]) -> None:
    assert "`xirecipe pin tiny.yaml` writes the commit that it is today" in xirecipe("check", "tiny.yaml").err
    xirecipe("pin", ".")
    before = (folder.root / "tiny.yaml").read_bytes()
    assert xirecipe("pin", ".").out == "nothing to pin: every revision is a commit\n"
    assert (folder.root / "tiny.yaml").read_bytes() == before


def test_a_name_that_the_hub_does_not_have_is_shown_where_it_stands_and_nothing_is_written(
    folder: Folder, commits: dict[str, str]
) -> None:
    text = RECIPE.replace("revision: v1", "revision: PIN-ME").replace("a/judge", "nobody/judge")
    (folder.root / "tiny.yaml").write_text(text)
    ran = xirecipe("pin", "tiny.yaml")
    assert ran.code == 1
    assert "tiny.yaml:12:59: error[no-revision]: a/rows has no `PIN-ME`" in ran.err
    assert "name a branch or a tag of it, such as `main`" in ran.err
    assert "tiny.yaml:11:69: error[no-repository]: the Hub has no model nobody/judge" in ran.err
    assert (folder.root / "tiny.yaml").read_text() == text


def test_a_revision_behind_an_alias_is_written_once_where_it_stands(folder: Folder, commits: dict[str, str]) -> None:
    text = RECIPE.replace("revision: main, files", "revision: &now main, files").replace(
        "revision: v1", "revision: *now"
    )
    (folder.root / "tiny.yaml").write_text(text)
    assert xirecipe("pin", "tiny.yaml").code == 0
    written = (folder.root / "tiny.yaml").read_text()
    assert f"revision: &now {commits['main']}, files" in written
    assert "revision: *now" in written


def test_a_base_is_pinned_where_it_is_written(folder: Folder, commits: dict[str, str]) -> None:
    folder.write("bases/base.yaml", {})
    (folder.root / "bases/base.yaml").write_text(RECIPE)
    (folder.root / "tiny.yaml").write_text("extends: bases/base.yaml\nname: other\n")
    ran = xirecipe("pin", "tiny.yaml")
    assert ran.out.startswith("bases/base.yaml:7: a/rows main → ")
    assert commits["main"] in (folder.root / "bases/base.yaml").read_text()
    assert (folder.root / "tiny.yaml").read_text() == "extends: bases/base.yaml\nname: other\n"


def test_a_recipe_with_mistakes_is_not_touched_and_the_hub_not_asked(folder: Folder, hub: LoopbackHub) -> None:
    (folder.root / "tiny.yaml").write_text(RECIPE.replace("shape: monolingual", "shape: round"))
    ran = xirecipe("pin", "tiny.yaml")
    assert ran.code == 1
    assert "`round` is not a value of `mix.parts.all.shape`" in ran.err
    assert hub.calls == []
