from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path

import pytest

from xirecipe.diagnostics import UserError
from xirecipe.fingerprint import file_digest
from xirecipe.hub import registry as registry_module
from xirecipe.hub.candidate import Released
from xirecipe.hub.registry import Registry, release_to_folder

from .conftest import Run
from .hub_fixtures import rewritten

pytestmark = pytest.mark.engine  # the real Hub client against a loopback server


def release(run: Run, to: Path, *, dry_run: bool = False) -> Released:
    return release_to_folder(*run.build(), to, dry_run=dry_run)


def refused(run: Run, to: Path) -> str:
    with pytest.raises(UserError) as error:
        release(run, to)
    (problem,) = error.value.diagnostics
    return problem.code


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_version_is_a_folder_that_the_index_and_a_link_name(version: Run, tmp_path: Path) -> None:
    to = tmp_path / "registry"
    done = release(version, to)
    assert (done.status, done.place) == ("released", str(to / "v1.0.0"))
    assert names(to) == [".lock", "index.json", "latest", "v1.0.0"]
    assert (to / "latest").readlink() == Path("v1.0.0")
    index = json.loads((to / "index.json").read_text(encoding="utf-8"))
    assert (index["name"], index["latest"], list(index["versions"])) == ("tiny", "1.0.0", ["1.0.0"])
    entry = index["versions"]["1.0.0"]
    assert entry["rows"] == {"train": 2, "test": 1}
    assert entry["manifest_sha256"] == file_digest(to / "v1.0.0/provenance/manifest.json")


def test_a_second_version_leaves_the_first_as_it_was_and_becomes_the_latest(version: Run, tmp_path: Path) -> None:
    to = tmp_path / "registry"
    release(version, to)
    before = {path: path.read_bytes() for path in (to / "v1.0.0").rglob("*") if path.is_file()}
    rewritten(version, "d1")
    version.recipe["version"] = "2.0.0"
    done = release(version, to)
    assert done.difference is not None
    assert done.difference.least == "MAJOR"
    assert {path: path.read_bytes() for path in before} == before
    assert (to / "latest").resolve().name == "v2.0.0"
    assert Registry(to).versions() == sorted(Registry(to).versions())


def test_a_damaged_manifest_of_a_version_is_named_before_the_next_one_is_written(version: Run, tmp_path: Path) -> None:
    to = tmp_path / "registry"
    release(version, to)
    (to / "v1.0.0/provenance/manifest.json").write_text('{"name": "tiny"', encoding="utf-8")
    rewritten(version, "d1")
    version.recipe["version"] = "2.0.0"
    assert refused(version, to) == "damaged"
    assert "v2.0.0" not in names(to)


def test_a_second_run_is_already_released(version: Run, tmp_path: Path) -> None:
    release(version, tmp_path / "registry")
    assert release(version, tmp_path / "registry").status == "already released"


def test_a_released_version_with_other_content_is_refused(version: Run, tmp_path: Path) -> None:
    release(version, tmp_path / "registry")
    rewritten(version, "d1")
    assert refused(version, tmp_path / "registry") == "tag-exists"


def test_too_small_a_step_and_an_older_version_are_refused(version: Run, tmp_path: Path) -> None:
    version.recipe["version"] = "1.1.0"
    release(version, tmp_path / "registry")
    version.recipe["version"] = "1.0.0"
    assert refused(version, tmp_path / "registry") == "older-version"
    rewritten(version, "d1")
    version.recipe["version"] = "1.1.1"
    assert refused(version, tmp_path / "registry") == "small-bump"


def test_a_dry_run_writes_nothing(version: Run, tmp_path: Path) -> None:
    done = release(version, tmp_path / "registry", dry_run=True)
    assert done.status == "dry run"
    assert "README.md" in done.files.added
    assert not (tmp_path / "registry").exists()


def test_a_development_version_and_the_sample_profile_are_refused_together(version: Run, tmp_path: Path) -> None:
    version.recipe["version"], version.profile = "1.0.0-dev", "sample"
    with pytest.raises(UserError) as error:
        release(version, tmp_path / "registry")
    assert [d.code for d in error.value.diagnostics] == ["dev-version", "sample-profile"]


def test_a_folder_with_anything_else_in_it_is_left_alone(version: Run, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.md").write_text("years of work", encoding="utf-8")
    assert refused(version, tmp_path / "thesis") == "folder-not-empty"
    assert names(tmp_path / "thesis") == ["chapter.md"]


def test_the_registry_of_another_dataset_is_left_alone(version: Run, tmp_path: Path) -> None:
    release(version, tmp_path / "registry")
    version.recipe["name"] = "other"
    assert refused(version, tmp_path / "registry") == "other-registry"


@pytest.mark.parametrize("step", ["_flush", "write_whole"])
def test_a_release_killed_at_any_step_leaves_whole_versions_and_the_next_run_finishes(
    version: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    to = tmp_path / "registry"
    release(version, to)
    rewritten(version, "d1")
    version.recipe["version"] = "2.0.0"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry_module, step, killed)
        with pytest.raises(KeyboardInterrupt):
            release(version, to)
    index = json.loads((to / "index.json").read_text(encoding="utf-8"))
    assert (index["latest"], (to / "latest").readlink()) == ("1.0.0", Path("v1.0.0"))
    assert not (to / ".partial").exists()
    release(version, to)
    index = json.loads((to / "index.json").read_text(encoding="utf-8"))
    assert (index["latest"], list(index["versions"])) == ("2.0.0", ["1.0.0", "2.0.0"])


def test_what_a_killed_process_left_half_written_is_no_version_and_is_cleared(version: Run, tmp_path: Path) -> None:
    to = tmp_path / "registry"
    release(version, to)
    shutil.copytree(to / "v1.0.0", to / ".partial")
    assert [str(v) for v in Registry(to).versions()] == ["1.0.0"]
    release(version, to)
    assert not (to / ".partial").exists()


def test_two_releases_at_once_do_not_write_over_one_another(version: Run, tmp_path: Path) -> None:
    to = tmp_path / "registry"
    release(version, to)
    version.recipe["version"] = "1.0.1"
    with (to / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert refused(version, to) == "registry-in-use"
    assert release(version, to).status == "released"


def test_a_full_disk_is_said_and_leaves_no_version(
    version: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry_module.shutil, "copytree", full)
    assert refused(version, tmp_path / "registry") == "disk-full"
    assert names(tmp_path / "registry") == [".lock"]


@pytest.mark.engine
def test_datasets_loads_a_version_and_the_latest_by_their_paths(
    version: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import load_dataset

    release(version, tmp_path / "registry")
    for name in ("v1.0.0", "latest"):
        loaded = load_dataset(str(tmp_path / "registry" / name), cache_dir=str(tmp_path / "cache"))
        assert {split: len(rows) for split, rows in loaded.items()} == {"train": 2, "test": 1}
