from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from xirecipe.diagnostics import UserError
from xirecipe.hub import folder as folder_module
from xirecipe.hub.card import render_card
from xirecipe.hub.folder import write_release
from xirecipe.hub.rows import RELEASE_SCHEMA

from .conftest import Run

FILES = [
    "CHANGELOG.md", "README.md", "alpaca/test-00000-of-00001.parquet", "alpaca/train-00000-of-00001.parquet",
    "data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet",
    "messages/test-00000-of-00001.parquet", "messages/train-00000-of-00001.parquet",
    "provenance/environment.txt", "provenance/funnel.json", "provenance/manifest.json", "recipe.yaml",
    "recipe/prompts/write.j2", "recipe/tiny.yaml",
]  # fmt: skip


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "provenance/manifest.json").read_text(encoding="utf-8"))
    return found


def refused(run: Run, to: Path) -> str:
    with pytest.raises(UserError) as error:
        write_release(*run.build(), to)
    (problem,) = error.value.diagnostics
    return problem.code


def test_a_release_has_the_layout_of_a_hub_dataset_repository(run: Run, tmp_path: Path) -> None:
    folder = write_release(*run.build(), tmp_path / "out" / "tiny")
    assert sorted(files_of(folder)) == FILES


def test_rows_are_in_document_order_with_their_conversation_and_without_embedding(run: Run, tmp_path: Path) -> None:
    folder = write_release(*run.build(), tmp_path / "tiny")
    table = pq.read_table(folder / "data/train-00000-of-00001.parquet")
    assert table.schema.equals(RELEASE_SCHEMA)
    first, second = table.to_pylist()
    assert [first["document_id"], second["document_id"]] == ["d1", "d2"]
    assert first["response"] == "Maji ni uhai, andiko la 1. "
    assert first["messages"] == [
        {"role": "user", "content": "Explain water, part 1.\nAnswer in Swahili."},
        {"role": "assistant", "content": "Maji ni uhai, andiko la 1. "},
    ]


def test_the_readme_is_what_the_card_command_prints(run: Run, tmp_path: Path) -> None:
    plan, store = run.build()
    folder = write_release(plan, store, tmp_path / "tiny")
    assert (folder / "README.md").read_text(encoding="utf-8") == render_card(plan, store)


def test_two_releases_of_one_run_are_equal_byte_for_byte(run: Run, tmp_path: Path) -> None:
    plan, store = run.build()
    one, two = write_release(plan, store, tmp_path / "one"), write_release(plan, store, tmp_path / "two")
    assert files_of(one) == files_of(two)


def test_the_manifest_holds_every_file_hash_and_every_stage(run: Run, tmp_path: Path) -> None:
    folder = write_release(*run.build(), tmp_path / "tiny")
    manifest, files = manifest_of(folder), files_of(folder)
    del files["provenance/manifest.json"]
    assert manifest["files"] == {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    assert [stage["stage"] for stage in manifest["stages"]][-1] == "split"
    assert manifest["recipe_sha256"] == manifest["files"]["recipe.yaml"]
    assert manifest["rows"] == {"train": 2, "test": 1}


def test_the_row_hash_hangs_on_rows_and_splits_and_not_on_their_stored_order(run: Run, tmp_path: Path) -> None:
    plan, store = run.build()
    first = manifest_of(write_release(plan, store, tmp_path / "a"))["rows_sha256"]
    part = store.artifact("split", plan.stage("split").fingerprint).data / "part-00000.parquet"
    table = pq.read_table(part)
    pq.write_table(table.take([2, 0, 1]), part)
    assert manifest_of(write_release(plan, store, tmp_path / "b"))["rows_sha256"] == first
    index = table.schema.get_field_index("split")
    moved = table.set_column(index, "split", [["train"] * table.num_rows])
    pq.write_table(moved, part)
    assert manifest_of(write_release(plan, store, tmp_path / "c"))["rows_sha256"] != first


def test_many_rows_are_spread_over_shards_that_say_how_many_there_are(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xirecipe.hub.rows.SHARD_ROWS", 1)
    folder = write_release(*run.build(), tmp_path / "tiny")
    assert [path.name for path in sorted((folder / "data").iterdir())] == [
        "test-00000-of-00001.parquet", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet",
    ]  # fmt: skip


def test_a_split_without_rows_has_no_file(run: Run, tmp_path: Path) -> None:
    run.change_row = lambda row: {**row, "split": "train"}
    folder = write_release(*run.build(), tmp_path / "tiny")
    assert [path.name for path in (folder / "data").iterdir()] == ["train-00000-of-00001.parquet"]


def test_a_run_without_rows_is_not_released(run: Run, tmp_path: Path) -> None:
    run.change_row = lambda row: {**row, "split": "nowhere"}
    assert refused(run, tmp_path / "tiny") == "empty-release"
    assert not (tmp_path / "tiny").exists()


def test_an_unfinished_run_is_not_released(run: Run, tmp_path: Path) -> None:
    run.unfinished = ("split",)
    assert refused(run, tmp_path / "tiny") == "not-finished"


def test_an_earlier_release_of_the_same_version_is_replaced_whole(run: Run, tmp_path: Path) -> None:
    to = tmp_path / "tiny"
    write_release(*run.build(), to)
    run.files = {"tiny.yaml": "name: tiny\n"}
    run.change_row = lambda row: {**row, "instruction": "Describe water."}
    write_release(*run.build(), to)
    assert sorted(files_of(to)) == [name for name in FILES if name != "recipe/prompts/write.j2"]
    assert [path.name for path in tmp_path.iterdir() if path.name != "recipes"] == ["tiny"]


def test_an_empty_folder_is_used(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    assert files_of(write_release(*run.build(), tmp_path / "tiny"))


def test_a_folder_with_anything_else_in_it_is_left_alone(run: Run, tmp_path: Path) -> None:
    to = tmp_path / "thesis"
    to.mkdir()
    (to / "chapter.md").write_text("years of work", encoding="utf-8")
    assert refused(run, to) == "folder-not-empty"
    assert files_of(to) == {"chapter.md": b"years of work"}


def test_a_release_to_which_someone_added_a_file_is_left_alone(run: Run, tmp_path: Path) -> None:
    to = write_release(*run.build(), tmp_path / "tiny")
    (to / "notes.md").write_text("mine", encoding="utf-8")
    before = files_of(to)
    assert refused(run, to) == "folder-not-empty"
    assert files_of(to) == before


@pytest.mark.parametrize("change", [{"version": "1.1.0-dev"}, {"name": "other"}])
def test_another_version_or_recipe_is_left_alone(run: Run, tmp_path: Path, change: dict[str, str]) -> None:
    to = write_release(*run.build(), tmp_path / "tiny")
    run.recipe |= change
    assert refused(run, to) == "folder-not-empty"


def test_a_release_of_another_profile_is_left_alone(run: Run, tmp_path: Path) -> None:
    to = write_release(*run.build(), tmp_path / "tiny")
    run.profile = "sample"
    assert refused(run, to) == "folder-not-empty"


def test_a_file_in_the_way_is_an_error_and_stays(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tiny").write_text("a file", encoding="utf-8")
    assert refused(run, tmp_path / "tiny") == "not-a-folder"
    assert (tmp_path / "tiny").read_text(encoding="utf-8") == "a file"


def test_a_frozen_version_may_get_a_new_card_but_no_other_rows(run: Run, tmp_path: Path) -> None:
    run.recipe["version"] = "1.0.0"
    to = write_release(*run.build(), tmp_path / "tiny")
    run.recipe["card"]["uses"] = "Showing the way, better said."
    write_release(*run.build(), to)
    before = files_of(to)
    assert b"better said" in before["README.md"]
    run.change_row = lambda row: {**row, "instruction": "Describe water."}
    assert refused(run, to) == "frozen-version"
    assert files_of(to) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_write_leaves_the_old_release_and_nothing_else(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    to = tmp_path / "out" / "tiny"
    write_release(*run.build(), to)
    before = files_of(to)
    run.change_row = lambda row: {**row, "instruction": "Describe water."}

    def interrupted(*_: object) -> str:
        raise error

    monkeypatch.setattr(folder_module, "changelog", interrupted)
    with pytest.raises((KeyboardInterrupt, UserError)):
        write_release(*run.build(), to)
    assert files_of(to) == before
    assert [path.name for path in to.parent.iterdir()] == ["tiny"]


def test_what_a_killed_run_left_beside_the_folder_is_cleared(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".tiny.partial" / "data").mkdir(parents=True)
    write_release(*run.build(), tmp_path / "tiny")
    assert not (tmp_path / ".tiny.partial").exists()


def test_a_frozen_release_set_aside_by_a_killed_run_is_still_compared_with(run: Run, tmp_path: Path) -> None:
    run.recipe["version"] = "1.0.0"
    to = write_release(*run.build(), tmp_path / "tiny")
    to.rename(tmp_path / ".tiny.replaced")
    run.change_row = lambda row: {**row, "instruction": "Describe water."}
    assert refused(run, to) == "frozen-version"
    assert (to / "README.md").exists()


LOAD = """
import json, sys
from datasets import load_dataset
loaded = load_dataset(sys.argv[1])
print(json.dumps({split: [row for row in rows] for split, rows in loaded.items()}))
print(json.dumps(load_dataset(sys.argv[1], split="train", streaming=True).take(1).__iter__().__next__()))
"""


@pytest.mark.engine
def test_datasets_loads_the_folder_without_a_network_and_gives_every_row(run: Run, tmp_path: Path) -> None:
    folder = write_release(*run.build(), tmp_path / "tiny")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    environment = {**os.environ, **offline}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded, streamed = map(json.loads, done.stdout.splitlines())
    for split in ("train", "test"):
        assert loaded[split] == pq.read_table(folder / f"data/{split}-00000-of-00001.parquet").to_pylist()
    assert streamed == loaded["train"][0]
