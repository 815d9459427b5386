from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from tests.builders import in_python
from xirecipe.compile import compile_recipe
from xirecipe.diagnostics import Diagnostic, UserError
from xirecipe.hub import pull as pull_module
from xirecipe.hub.pull import Pulled, pull
from xirecipe.hub.registry import release_to_folder

from .conftest import Run
from .hub_fixtures import REPOSITORY, RecipeRun, release, rewritten
from .loopback import LoopbackHub

pytestmark = pytest.mark.engine  # the real Hub client against a loopback server

TRAIN = "data/train-00000-of-00001.parquet"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder one is in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def problem(asked: str, to: Path | None = None, config: str | None = None) -> Diagnostic:
    with pytest.raises(UserError) as error:
        pull(asked, to, config)
    (found,) = error.value.diagnostics
    return found


def instructions(folder: Path) -> list[str]:
    found: list[str] = pq.read_table(folder / TRAIN)["instruction"].to_pylist()
    return found


def two_versions(run: Run) -> None:
    release(run)
    rewritten(run, "d1")
    run.recipe["version"] = "2.0.0"
    release(run)


def test_a_version_is_pulled_at_its_commit_into_a_folder_named_after_it(
    hub: LoopbackHub, version: Run, here: Path
) -> None:
    two_versions(version)
    done = pull("me/tiny@1.0.0")
    assert done.folder == Path("tiny-v1.0.0")
    assert done.pinned == hub.repos[REPOSITORY].tags["v1.0.0"][0]
    assert done.rows == {"train": 2, "test": 1}
    assert instructions(done.folder)[0] == "Explain water, part 1."
    assert [path.name for path in here.iterdir()] == ["tiny-v1.0.0"]


def test_a_file_whose_name_looks_like_a_pattern_is_pulled(hub: LoopbackHub, version: Run, here: Path) -> None:
    version.files["prompts/write [1]*.j2"] = "{{ text }}"
    release(version)
    folder = pull("me/tiny").folder
    assert (folder / "recipe/prompts/write [1]*.j2").read_text(encoding="utf-8") == "{{ text }}"


def test_without_a_version_the_latest_is_pulled(hub: LoopbackHub, version: Run, here: Path) -> None:
    two_versions(version)
    assert pull("me/tiny").folder.name == "tiny-v2.0.0"
    assert instructions(Path("tiny-v2.0.0"))[0] == "Tell about d1."


def test_what_is_pulled_is_what_was_released_and_nothing_that_others_added(
    hub: LoopbackHub, version: Run, here: Path
) -> None:
    hub.repository(REPOSITORY).push({"tiny.py": b"import os", "data/more.txt": b""})
    release(version)
    folder = pull("me/tiny").folder
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    manifest = json.loads((folder / "provenance/manifest.json").read_text(encoding="utf-8"))
    assert files == {*manifest["files"], "provenance/manifest.json"}


def test_pulling_again_finds_it_there(hub: LoopbackHub, version: Run, here: Path) -> None:
    release(version)
    assert not pull("me/tiny").was_there
    assert pull("me/tiny").was_there


def test_a_version_that_does_not_exist_lists_those_that_do(hub: LoopbackHub, version: Run, here: Path) -> None:
    two_versions(version)
    for asked in ("me/tiny@9.9.9", "me/tiny@main", "me/tiny@1.0"):
        found = problem(asked)
        assert (found.code, found.hint) == ("unknown-version", "there are: 2.0.0, 1.0.0")


def test_a_repository_without_versions_and_one_that_is_not_there_are_told_apart(hub: LoopbackHub, here: Path) -> None:
    hub.repository("me/empty")
    assert problem("me/empty").code == "no-versions"
    assert problem("me/nothing").code == "unknown-repository"
    assert problem("nothing").code == "unknown-place"


def test_a_repository_that_xirecipe_did_not_release_is_refused(hub: LoopbackHub, here: Path) -> None:
    hub.repository("me/other").push({"README.md": b"# other", TRAIN: b"PAR1"})
    hub.repos["me/other"].tag("v1.0.0", "main", None)
    assert problem("me/other").code == "not-a-release"


def test_a_file_changed_under_its_tag_is_refused_by_hash_and_named(hub: LoopbackHub, version: Run, here: Path) -> None:
    release(version)
    repository = hub.repos[REPOSITORY]
    repository.push({TRAIN: b"PAR1 something else"})
    repository.tags["v1.0.0"] = (repository.resolve("main").oid, "moved")
    found = problem("me/tiny@1.0.0")
    assert (found.code, found.message) == ("tampered", f"v1.0.0 of me/tiny: not what was released: {TRAIN}")
    assert list(here.iterdir()) == []


def test_a_file_gone_under_its_tag_is_refused_and_named(hub: LoopbackHub, version: Run, here: Path) -> None:
    release(version)
    repository = hub.repos[REPOSITORY]
    repository.push({TRAIN: None})
    repository.tags["v1.0.0"] = (repository.resolve("main").oid, "moved")
    assert TRAIN in problem("me/tiny@1.0.0").message


def test_a_tag_moved_to_another_version_is_found_out(hub: LoopbackHub, version: Run, here: Path) -> None:
    two_versions(version)
    tags = hub.repos[REPOSITORY].tags
    tags["v1.0.0"] = tags["v2.0.0"]
    found = problem("me/tiny@1.0.0")
    assert (found.code, found.message) == ("wrong-version", "v1.0.0 of me/tiny holds version 2.0.0")


def test_a_manifest_that_counts_other_rows_than_the_files_have_is_found_out(
    hub: LoopbackHub, version: Run, here: Path
) -> None:
    release(version)
    repository = hub.repos[REPOSITORY]
    for key, value, code in (("rows", {"train": 3, "test": 1}, "row-count"), ("rows_sha256", "0" * 64, "row-hash")):
        manifest = json.loads(repository.files("v1.0.0")["provenance/manifest.json"])
        changed = json.dumps(manifest | {key: value}).encode()
        repository.push({"provenance/manifest.json": changed})
        repository.tags["v1.1.0"] = (repository.push({"provenance/manifest.json": changed.replace(
            b'"version": "1.0.0"', b'"version": "1.1.0"')}), None)  # fmt: skip
        assert problem("me/tiny@1.1.0").code == code
        assert list(here.iterdir()) == []


@pytest.mark.parametrize("there", [b"{}", b"[]", b'{"files": {}, "version": "1.0.0"}', b"no JSON"])
def test_a_tree_with_a_manifest_of_another_kind_is_no_release(
    hub: LoopbackHub, version: Run, here: Path, there: bytes
) -> None:
    release(version)
    repository = hub.repos[REPOSITORY]
    repository.tags["v1.0.0"] = (repository.push({"provenance/manifest.json": there}), None)
    assert problem("me/tiny").code == "not-a-release"


@pytest.mark.parametrize("to", [".", "..", "/"])
def test_a_version_is_not_pulled_over_a_folder_that_is_no_place_of_its_own(
    hub: LoopbackHub, version: Run, here: Path, to: str
) -> None:
    release(version)
    assert problem("me/tiny", Path(to)).code == "not-a-folder"
    assert list(here.iterdir()) == []


def test_a_manifest_cannot_lead_out_of_the_folder(hub: LoopbackHub, version: Run, here: Path) -> None:
    release(version)
    repository = hub.repos[REPOSITORY]
    manifest = json.loads(repository.files("v1.0.0")["provenance/manifest.json"])
    manifest["files"]["../../escaped"] = "0" * 64
    repository.tags["v1.0.0"] = (repository.push({"provenance/manifest.json": json.dumps(manifest).encode()}), None)
    assert problem("me/tiny").code == "tampered"


def cached(name: str) -> list[Path]:
    return list(Path(constants.HF_HUB_CACHE).rglob(f"snapshots/*/{name}"))


def test_a_damaged_file_in_the_cache_is_fetched_again(hub: LoopbackHub, version: Run, here: Path) -> None:
    release(version)
    shutil.rmtree(pull("me/tiny").folder)
    (blob,) = cached(TRAIN)
    blob.resolve().write_bytes(b"PAR1 damaged")
    done = pull("me/tiny")
    assert instructions(done.folder)[0] == "Explain water, part 1."


def test_a_cache_that_holds_another_versions_file_is_found_out_and_mended(
    hub: LoopbackHub, version: Run, here: Path
) -> None:
    two_versions(version)
    pull("me/tiny@1.0.0")
    pull("me/tiny@2.0.0")
    tags = hub.repos[REPOSITORY].tags
    old, new = (next(p for p in cached(TRAIN) if tags[f"v{v}"][0] in p.parts) for v in ("1.0.0", "2.0.0"))
    new.unlink()
    shutil.copyfile(old, new)
    shutil.rmtree("tiny-v2.0.0")
    assert instructions(pull("me/tiny@2.0.0").folder)[0] == "Tell about d1."


def test_one_failed_request_anywhere_costs_nothing_but_time(hub: LoopbackHub, version: Run, here: Path) -> None:
    release(version)
    for number, (at, when, status) in enumerate(
        [("refs", "before", None), ("info", "before", 503), ("tree", "before", None), ("resolve", "before", 500),
         ("resolve", "before", None), ("resolve", "middle", None)]
    ):  # fmt: skip
        shutil.rmtree(constants.HF_HUB_CACHE, ignore_errors=True)
        fault = hub.fail(at, when, status=status)  # type: ignore[arg-type]
        assert pull("me/tiny", Path(f"to-{number}")).rows == {"train": 2, "test": 1}
        assert fault.times == 0


def test_a_hub_that_is_down_is_an_error_also_where_a_version_is_in_the_cache(
    hub: LoopbackHub, version: Run, here: Path
) -> None:
    release(version)
    pull("me/tiny")
    hub.stop()
    assert problem("me/tiny", Path("again")).code == "hub-unreachable"
    assert not Path("again").exists()


def test_a_folder_with_anything_else_in_it_is_left_alone(hub: LoopbackHub, version: Run, here: Path) -> None:
    release(version)
    Path("thesis").mkdir()
    Path("thesis/chapter.md").write_text("years of work", encoding="utf-8")
    assert problem("me/tiny", Path("thesis")).code == "folder-not-empty"
    assert [path.name for path in Path("thesis").iterdir()] == ["chapter.md"]


def test_a_pulled_folder_that_was_edited_is_said_and_left_alone(hub: LoopbackHub, version: Run, here: Path) -> None:
    release(version)
    (pull("me/tiny").folder / TRAIN).write_bytes(b"mine")
    found = problem("me/tiny")
    assert (found.code, TRAIN in found.message) == ("tampered", True)


def test_too_little_space_is_said_before_anything_is_fetched(
    hub: LoopbackHub, version: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(version)
    monkeypatch.setattr(pull_module.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5))
    found = problem("me/tiny")
    assert (found.code, "0.0 MB are free" in found.message) == ("disk-full", True)
    assert not cached(TRAIN)


@pytest.mark.parametrize("failing", ["copyfile", "snapshot_download"])
def test_a_disk_that_fills_up_on_the_way_leaves_nothing_half_written(
    hub: LoopbackHub, version: Run, here: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    release(version)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    if failing == "copyfile":
        monkeypatch.setattr(pull_module.shutil, "copyfile", full)
    else:
        monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    assert problem("me/tiny").code == "disk-full"
    assert list(here.iterdir()) == []


# Configs


def test_one_config_brings_its_own_data_and_everything_about_the_release(
    hub: LoopbackHub, version: Run, here: Path
) -> None:
    release(version)
    repository = hub.repos[REPOSITORY]
    files = repository.files("v1.0.0")
    card = files["README.md"].replace(
        b"configs:\n", b"configs:\n- config_name: extra\n  data_files:\n  - split: train\n    path: extra/*.parquet\n"
    )
    manifest = json.loads(files["provenance/manifest.json"])
    manifest["version"] = "1.1.0"
    changed = {"README.md": card, "extra/a.parquet": files[TRAIN]}
    for path, data in changed.items():
        manifest["files"][path] = repository.entry(data, lfs=True).sha256
    repository.tags["v1.1.0"] = (
        repository.push(changed | {"provenance/manifest.json": json.dumps(manifest).encode()}),
        None,
    )
    done = pull("me/tiny", config="extra")
    assert done.rows is None
    assert [path.name for path in done.folder.rglob("*.parquet")] == ["a.parquet"]
    assert (done.folder / "recipe/tiny.yaml").is_file()
    assert pull("me/tiny", Path("default"), "default").rows == {"train": 2, "test": 1}
    assert problem("me/tiny", Path("x"), "extro").hint == "did you mean `extra`?"


# The recipe


def test_the_recovered_recipe_reproduces_every_fingerprint_of_the_release(
    hub: LoopbackHub, recipe_run: RecipeRun, here: Path
) -> None:
    plan, _ = recipe_run.build()
    release(recipe_run)
    done = pull("me/tiny")
    assert done.plan is not None
    assert (done.plan.stages, done.plan.differing) == (len(plan.stages), ())
    recovered = done.folder / "recipe"
    assert (recovered / "seed.jsonl").read_bytes() == (recipe_run.root / "seed.jsonl").read_bytes()
    # Sources are not part of a release: it says which to put where.
    assert done.plan.missing == (("texts.jsonl", plan.stage("corpus").files["source:web"]),)
    shutil.copyfile(recipe_run.root / "texts.jsonl", recovered / "texts.jsonl")
    again = compile_recipe(done.plan.recipe)
    assert [stage.fingerprint for stage in again.stages] == [stage.fingerprint for stage in plan.stages]


def test_a_recipe_whose_prompt_was_exchanged_plans_otherwise_and_the_stages_are_named(
    recipe_run: RecipeRun, here: Path
) -> None:
    release_to_folder(*recipe_run.build(), Path("registry"))
    folder = Path("registry/v1.0.0")
    prompt, manifest_path = folder / "recipe/prompts/rate.j2", folder / "provenance/manifest.json"
    prompt.write_text("Rate it: {{ text }}", encoding="utf-8")
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    from xirecipe.fingerprint import file_digest

    manifest["files"]["recipe/prompts/rate.j2"] = file_digest(prompt)
    manifest_path.write_text(json.dumps(manifest), encoding="utf-8")
    Path("registry/index.json").unlink()
    done = pull("registry")
    assert done.plan is not None
    assert {"judge", "select", "split"} <= set(done.plan.differing)
    assert not {"corpus", "dedup", "generate"} & set(done.plan.differing)


# From a folder registry


def from_registry(run: Run, asked: str = "registry") -> Pulled:
    release_to_folder(*run.build(), Path("registry"))
    return pull(asked)


def test_a_folder_registry_is_pulled_from_like_the_hub(version: Run, here: Path) -> None:
    done = from_registry(version, "registry@1.0.0")
    assert (done.folder, done.pinned) == (Path("registry-v1.0.0"), "registry/v1.0.0")
    assert done.rows == {"train": 2, "test": 1}
    assert problem("registry@3.0.0").hint == "there are: 1.0.0"


@pytest.mark.parametrize("name", [TRAIN, "provenance/manifest.json", "README.md"])
def test_a_tampered_file_in_a_folder_registry_is_refused_by_hash_and_named(version: Run, here: Path, name: str) -> None:
    release_to_folder(*version.build(), Path("registry"))
    path = Path("registry/v1.0.0") / name
    path.write_bytes(path.read_bytes() + b"\n")
    found = problem("registry")
    assert (found.code, name in found.message) == ("tampered", True)


def test_a_folder_that_is_no_registry_is_refused(here: Path) -> None:
    Path("empty").mkdir()
    assert problem("empty").code == "unknown-place"


# What others do with it


@pytest.mark.engine
def test_a_pulled_dataset_is_a_source_of_another_recipe(recipe_run: RecipeRun, here: Path) -> None:
    from xirecipe.run import run_plan
    from xirecipe.settings import from_environment
    from xirecipe.store import Store
    from xirecipe.tables import read

    data = from_registry(recipe_run).folder / "data"
    recipe_run.change(
        corpus__sources={
            "earlier": {
                "format": "parquet", "path": str(data.resolve()), "text_column": "response",
                "id_column": "document_id", "license": "cc0-1.0",
            }
        },
        corpus__filters={"language": None},
    )  # fmt: skip
    plan, store = recipe_run.plan(), Store(here / "store")
    (corpus,) = run_plan(plan, store, from_environment(), to="corpus")
    assert corpus.manifest.kept == 3
    rows = list(read(store.artifact("corpus", plan.stage("corpus").fingerprint).data))
    assert {row["document_id"] for row in rows} == {"d1", "d2", "d8"}
    assert all(row["text"].startswith("Maji ni uhai") for row in rows)


ONLY_LOOPBACK = """
import socket
connect, look_up = socket.socket.connect, socket.getaddrinfo
def connect_here(self, address):
    assert address[0] == "127.0.0.1", address
    return connect(self, address)
def look_up_here(host, *rest, **more):
    assert host == "127.0.0.1", host
    return look_up(host, *rest, **more)
socket.socket.connect, socket.getaddrinfo = connect_here, look_up_here
"""
BY_TAG = """
import json, sys
from datasets import load_dataset
def first(**how): return load_dataset("me/tiny", cache_dir="cache", split="train", **how)[0]["instruction"]
sys.stdout.write(json.dumps([first(revision="v1.0.0"), first(revision="v2.0.0")]))
"""


@pytest.mark.engine
def test_datasets_loads_each_version_from_the_hub_by_its_tag(hub: LoopbackHub, version: Run, here: Path) -> None:
    two_versions(version)
    environment = {
        "HF_ENDPOINT": hub.url, "HF_HOME": str(here / "home"), "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1",
    }  # fmt: skip
    ran = in_python("-c", ONLY_LOOPBACK + BY_TAG, cwd=here, **environment)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == ["Explain water, part 1.", "Tell about d1."]
