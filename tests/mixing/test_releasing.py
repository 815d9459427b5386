"""A mix from the command line to a release that trainers load, and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.builders import REPOSITORY, Folder, xirecipe
from tests.mixing.mixes import mix, mix_folder, run
from xirecipe.hub.content import facts_of, render_card, write_rows
from xirecipe.hub.folder import write_release

pytestmark = pytest.mark.engine

PAIRS_AND_ROWS: dict[str, Any] = {
    "mix.parts.cross.dataset": "parallel",
    "mix.parts.pairs": {"dataset": "parallel", "shape": "contrastive", "config": "contrastive"},
    "split": {"test_ratio": 0.2},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    return mix_folder(tmp_path, rows=40)


def loaded(folder: Path, config: str, cache: Path) -> Any:
    from datasets import load_dataset

    return load_dataset(str(folder), config, cache_dir=str(cache))


def test_pairs_load_as_two_columns_of_text_and_nothing_that_a_loss_would_take_for_a_third(
    folder: Folder, tmp_path: Path
) -> None:
    ran = run(mix(folder, PAIRS_AND_ROWS), tmp_path / "store")
    release = write_release(ran.plan, ran.store, tmp_path / "release")
    pairs = loaded(release, "contrastive", tmp_path / "cache")
    assert pairs["train"].column_names == ["anchor", "positive"]
    assert sum(len(split) for split in pairs.values()) == 40
    for row in pairs["train"]:
        assert row["anchor"].rpartition(" ")[2] == row["positive"].rpartition(" ")[2]
        assert row["anchor"] != row["positive"]


def test_instructions_load_as_conversations_and_in_alpacas_columns(folder: Folder, tmp_path: Path) -> None:
    ran = run(mix(folder, PAIRS_AND_ROWS), tmp_path / "store")
    release = write_release(ran.plan, ran.store, tmp_path / "release")
    rows = loaded(release, "instruct", tmp_path / "cache")
    assert rows["train"].column_names == ["messages", "instruction", "input", "output"]
    for row in rows["train"]:
        user, assistant = row["messages"]
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        assert (user["content"], assistant["content"]) == (row["instruction"], row["output"])


def test_the_default_config_has_every_row_with_its_origin(folder: Folder, tmp_path: Path) -> None:
    ran = run(mix(folder, PAIRS_AND_ROWS), tmp_path / "store")
    release = write_release(ran.plan, ran.store, tmp_path / "release")
    rows = [row for split in loaded(release, "default", tmp_path / "cache").values() for row in split]
    assert len(rows) == 40 + 80
    assert {row["document_id"] for row in rows} == {f"parallel/{i}" for i in range(40)}
    assert all((row["messages"] is None) == (row["config"] == "contrastive") for row in rows)


def test_the_same_rows_give_the_same_bytes(folder: Folder, tmp_path: Path) -> None:
    trees = []
    for name in ("one", "two"):
        ran = run(mix(folder, PAIRS_AND_ROWS), tmp_path / name)
        write_rows(ran.plan, ran.store, tmp_path / f"{name}-rows")
        files = sorted((tmp_path / f"{name}-rows").rglob("*.parquet"))
        trees.append({file.relative_to(tmp_path / f"{name}-rows"): file.read_bytes() for file in files})
    assert trees[0] == trees[1]
    assert len(trees[0]) == 6


def test_the_card_has_a_table_of_parts_and_languages_and_the_licence_of_each_part(
    folder: Folder, tmp_path: Path
) -> None:
    other = {"license": "cc-by-4.0", "versions": {"eng_Latn": {"format": "jsonl", "path": "eng_Latn.jsonl"}}}
    changes = {
        **PAIRS_AND_ROWS, "datasets.other": other, "mix.parts.plain": {"dataset": "other", "shape": "monolingual"},
        "release.license": "cc-by-4.0",
    }  # fmt: skip
    ran = run(mix(folder, changes), tmp_path / "store")
    card = render_card(ran.plan, ran.store)
    facts = facts_of(ran.plan, ran.store)
    counts = {(line.part, line.instruction, line.response): line.rows for line in facts.table}
    assert counts[("plain", "eng_Latn", "eng_Latn")] == 40
    assert sum(counts.values()) == facts.rows == 160
    swahili = counts[("cross", "eng_Latn", "swh_Latn")]
    assert f"| `cross` | English `eng_Latn` | Swahili `swh_Latn` | {swahili} |" in card
    assert "| `plain` | 40 | cc-by-4.0 |" in card
    assert "| `pairs` | 40 | cc0-1.0 |" in card
    assert "MultipleNegativesRankingLoss" in card
    assert "translated by" not in card


def test_the_card_names_rows_that_a_language_lacks(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path, without={"fin_Latn": ["3", "7"]})
    ran = run(folder.root / "tiny.yaml", tmp_path / "store")
    card = render_card(ran.plan, ran.store)
    assert "| `parallel` | Finnish `fin_Latn` | 2 | `parallel/3`, `parallel/7` |" in card


def test_every_command_knows_a_mix(folder: Folder, tmp_path: Path) -> None:
    mix(folder, PAIRS_AND_ROWS)
    assert xirecipe("plan", "tiny.yaml", "--exit-code").code == 2
    assert xirecipe("run", "tiny.yaml").code == 0
    assert "everything is done" in xirecipe("plan", "tiny.yaml", "--exit-code").out
    assert "nothing to do" in xirecipe("run", "tiny.yaml").out
    assert xirecipe("verify", "tiny.yaml").out.startswith("verified: 3 stages add up, 120 rows")
    assert "120 rows kept" in xirecipe("preview", "tiny.yaml", "-n", "2").out
    assert json.loads(xirecipe("rejects", "tiny.yaml", "--json").out)["reasons"] == {"mix.not_drawn": 17}

    steps = json.loads(xirecipe("trace", "tiny.yaml", "parallel/7", "--json").out)
    kept = [step["stage"] for step in steps if step["outcome"] == "kept"]
    assert kept == ["read parallel"] * 3 + ["mix"] * 3 + ["split"] * 3
    assert {step["part"] for step in steps if step["stage"] == "split"} == {"cross", "pairs"}

    assert xirecipe("report", "tiny.yaml", "--to", "report.html").code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<th scope="row">English</th><td>Swahili</td>' in page
    assert "http://" not in page


@pytest.mark.parametrize("config", ["data", "contrastive", "instruct"])
def test_a_file_that_a_config_lost_is_found_by_verify(folder: Folder, tmp_path: Path, config: str) -> None:
    mix(folder, PAIRS_AND_ROWS)
    assert xirecipe("run", "tiny.yaml").code == 0
    assert xirecipe("verify", "tiny.yaml").code == 0
    (release,) = (tmp_path / "store" / "releases").iterdir()
    (lost,) = (release / config).glob("test-*.parquet")
    lost.unlink()
    ran = xirecipe("verify", "tiny.yaml")
    assert ran.code == 1
    assert f"load_dataset cannot read {'default' if config == 'data' else config}: " in ran.err


def test_a_stage_that_a_mix_has_not_is_named_with_those_that_it_has(folder: Folder) -> None:
    mix(folder, {})
    ran = xirecipe("run", "tiny.yaml", "--to", "judge")
    assert ran.code == 1
    assert "tiny-mix asks for no stage `judge`" in ran.err
    assert "known: `mix`, `read`, `split`" in ran.err


def test_a_version_goes_to_a_folder_of_versions_and_comes_back(folder: Folder, tmp_path: Path) -> None:
    mix(folder, {**PAIRS_AND_ROWS, "version": "1.0.0", "release.gates": {"min_rows": 100}})
    assert xirecipe("run", "tiny.yaml").code == 0
    released = xirecipe("release", "tiny.yaml", "--to", "versions")
    assert released.code == 0, released.err
    assert "released: v1.0.0" in released.out
    assert "gate min_rows: 120 (at least 100)" in released.out
    pulled = xirecipe("pull", "versions", "--to", "back", "--json")
    assert pulled.code == 0, pulled.err
    assert sum(json.loads(pulled.out)["rows"].values()) == 120

    mix(folder, {**PAIRS_AND_ROWS, "version": "1.0.1", "mix.parts.cross.rows": 39})
    assert xirecipe("run", "tiny.yaml").code == 0
    again = xirecipe("release", "tiny.yaml", "--to", "versions")
    assert again.code == 1
    assert "small-bump" in again.err


@pytest.mark.parametrize("name", ["crossin", "pinch", "afp", "zero_shot"])
def test_a_recipe_that_comes_back_with_its_version_can_be_planned(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    shutil.copytree(REPOSITORY / "recipes", "recipes")
    for file in (Path("recipes/bases/mixing.yaml"), Path(f"recipes/{name}.yaml")):
        text = file.read_text().replace("\n  sample:", "\n  small:")
        file.write_text(text.replace("version: 1.0.0-dev", "version: 1.0.0"))
    recipe, profile = f"recipes/{name}.yaml", ("--profile", "small")
    assert xirecipe("run", recipe, *profile).code == 0
    released = xirecipe("release", recipe, *profile, "--to", "versions")
    assert released.code == 0, released.err
    pulled = xirecipe("pull", "versions", "--to", "back")
    assert "cannot plan" not in pulled.out
    assert f"back/recipe/{name}.yaml" in pulled.out


def test_a_gate_of_rows_is_shut_where_there_are_fewer(folder: Folder) -> None:
    mix(folder, {"version": "1.0.0", "release.gates": {"min_rows": 1000}})
    xirecipe("run", "tiny.yaml")
    ran = xirecipe("release", "tiny.yaml", "--to", "versions")
    assert ran.code == 1
    assert "`release.gates.min_rows` is 1,000, and this version has 80" in ran.err


@pytest.mark.parametrize("name", ["crossin", "pinch", "afp", "zero_shot"])
def test_each_recipe_runs_with_one_command_and_verifies(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    recipe = REPOSITORY / "recipes" / f"{name}.yaml"
    ran = xirecipe("run", recipe)
    assert ran.code == 0, ran.err
    assert xirecipe("verify", recipe).out.startswith("verified:")
