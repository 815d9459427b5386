"""The loopback Hub against the clients it is there for: what they ask is answered, and what it fails they notice."""

from __future__ import annotations

import socket
import threading
import urllib.request
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.builders import in_python

from .hub_fixtures import REPOSITORY
from .loopback import LoopbackHub
from .loopback_repos import Repository

FIRST = {"README.md": b"---\nlicense: mit\n---\n", "data/a.parquet": b"PAR1 a"}


@pytest.fixture
def api(hub: LoopbackHub) -> HfApi:
    return HfApi(endpoint=hub.url)


def commit(api: HfApi, files: dict[str, bytes], parent: str | None = None) -> str:
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    done = api.create_commit(REPOSITORY, operations, commit_message="c", repo_type="dataset", parent_commit=parent)
    return str(done.oid)


@pytest.fixture
def repository(hub: LoopbackHub, api: HfApi) -> Repository:
    api.create_repo(REPOSITORY, repo_type="dataset", exist_ok=True)
    commit(api, FIRST)
    return hub.repos[REPOSITORY]


def test_nothing_but_loopback_can_be_reached(hub: LoopbackHub) -> None:
    with pytest.raises(AssertionError, match=r"a look-up of huggingface\.co"):
        urllib.request.urlopen("https://huggingface.co")
    with pytest.raises(AssertionError, match=r"a connection to \('192\.0\.2\.1', 80\)"):
        socket.socket().connect(("192.0.2.1", 80))


def test_a_commit_holds_large_files_and_others_and_is_read_back(api: HfApi, repository: Repository) -> None:
    tree = {item.path: item for item in api.list_repo_tree(REPOSITORY, repo_type="dataset", recursive=True)}
    assert set(tree) == {".gitattributes", "README.md", "data", "data/a.parquet"}
    assert tree["data/a.parquet"].lfs.size == 6
    for path, data in FIRST.items():
        assert Path(hf_hub_download(REPOSITORY, path, repo_type="dataset")).read_bytes() == data


def test_a_listing_in_pages_is_whole(hub: LoopbackHub, api: HfApi, repository: Repository) -> None:
    repository.push({f"data/{number:03}.txt": b"x" for number in range(25)})
    hub.page_size = 4
    listed = [item.path for item in api.list_repo_tree(REPOSITORY, repo_type="dataset", recursive=True)]
    assert set(repository.files()) == {path for path in listed if path != "data"}
    assert len(listed) == len(set(listed))


def test_the_same_content_again_is_no_commit(hub: LoopbackHub, api: HfApi, repository: Repository) -> None:
    head = repository.resolve("main").oid
    assert commit(api, FIRST) == head
    assert hub.count("commit") == 1


def test_a_commit_on_an_old_parent_is_refused_and_changes_nothing(api: HfApi, repository: Repository) -> None:
    parent = repository.resolve("main").oid
    repository.push({"x": b"1"})
    before = repository.files()
    with pytest.raises(HfHubHTTPError) as error:
        commit(api, {"y": b"2"}, parent)
    assert error.value.response.status_code == 412
    assert repository.files() == before


def test_a_commit_of_which_a_part_cannot_be_applied_changes_nothing(api: HfApi, repository: Repository) -> None:
    before = repository.files()
    operations = [CommitOperationAdd("new", b"n"), CommitOperationDelete("missing", is_folder=False)]
    with pytest.raises(HfHubHTTPError):
        api.create_commit(REPOSITORY, operations, commit_message="c", repo_type="dataset")
    assert repository.files() == before


def test_tags_branches_and_hashes_name_a_commit_and_other_words_none(api: HfApi, repository: Repository) -> None:
    head = repository.resolve("main").oid
    api.create_tag(REPOSITORY, tag="v1.0.0", tag_message="m", repo_type="dataset")
    for revision in ("main", "v1.0.0", "refs/tags/v1.0.0", head, head[:7]):
        assert api.dataset_info(REPOSITORY, revision=revision).sha == head
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info(REPOSITORY, revision="v2.0.0")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_tag(REPOSITORY, tag="v1.0.0", repo_type="dataset")
    assert [tag.name for tag in api.list_repo_refs(REPOSITORY, repo_type="dataset").tags] == ["v1.0.0"]


def test_what_is_not_there_is_said_in_the_clients_words(hub: LoopbackHub, api: HfApi, repository: Repository) -> None:
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info("me/nothing")
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download(REPOSITORY, "nothing", repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        api.whoami(token="hf_wrong")


def test_a_merge_brings_what_the_pull_request_changed_and_refuses_a_conflict(
    api: HfApi, repository: Repository
) -> None:
    for content in (b"one", b"two"):
        api.create_commit(
            REPOSITORY, [CommitOperationAdd("x", content)], commit_message="pr", repo_type="dataset", create_pr=True
        )
    repository.push({"elsewhere": b"e"})
    api.merge_pull_request(REPOSITORY, 1, repo_type="dataset")
    assert (repository.files()["x"], repository.files()["elsewhere"]) == (b"one", b"e")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.merge_pull_request(REPOSITORY, 2, repo_type="dataset")


def test_a_stopped_hub_answers_nobody_also_not_on_open_connections(hub: LoopbackHub, api: HfApi) -> None:
    api.whoami()
    hub.stop()
    with pytest.raises(Exception, match=r"refused|disconnected"):
        api.whoami()
    assert not [thread for thread in threading.enumerate() if "serve_forever" in thread.name]


@pytest.mark.engine
def test_the_script_for_a_reader_serves_and_prints_what_to_export(tmp_path: Path) -> None:
    code = (
        "import runpy, sys, threading, time, os, urllib.request, signal\n"
        "sys.argv = ['loopback', '--port', '0']\n"
        "threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "runpy.run_module('tests.hub.loopback', run_name='__main__')"
    )
    ran = in_python("-c", code, cwd=tmp_path)
    assert "export HF_ENDPOINT=http://127.0.0.1:" in ran.out, ran.err
    assert "HF_TOKEN=hf_loopback_write" in ran.out
