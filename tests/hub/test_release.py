from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.builders import REPOSITORY as REPOSITORY_ROOT
from xirecipe.diagnostics import UserError
from xirecipe.hub import release as release_module

from .conftest import Run
from .hub_fixtures import REPOSITORY, RecipeRun, refusals, refused, release, rewritten
from .loopback import READ_TOKEN, WRITE_TOKEN, Account, LoopbackHub
from .loopback_repos import Repository

pytestmark = pytest.mark.engine  # the real Hub client against a loopback server

#: Every request of a release, in order, and the moments at which it can fail: nothing done, half sent, done unsaid.
MOMENTS = [
    ("whoami", "before"), ("auth-check", "before"), ("refs", "before"), ("create", "before"), ("create", "after"),
    ("tree", "before"), ("validate-yaml", "before"), ("preupload", "before"), ("preupload", "middle"),
    ("lfs-batch", "before"), ("lfs-put", "before"), ("lfs-put", "middle"), ("lfs-put", "after"),
    ("commit", "before"), ("commit", "middle"), ("commit", "after"), ("tag", "before"), ("tag", "after"),
    ("info", "before"),
]  # fmt: skip


def repository(hub: LoopbackHub) -> Repository:
    return hub.repos[REPOSITORY]


def own_files(hub: LoopbackHub, revision: str) -> dict[str, bytes]:
    """The files of a revision that a release wrote."""
    return {path: data for path, data in repository(hub).files(revision).items() if path != ".gitattributes"}


def titles(hub: LoopbackHub) -> list[str]:
    return [commit.title for commit in repository(hub).history()]


def test_a_first_release_is_one_commit_with_an_annotated_tag(hub: LoopbackHub, version: Run) -> None:
    done = release(version)
    assert (done.status, done.place) == ("released", f"{hub.url}/datasets/me/tiny/tree/v1.0.0")
    assert titles(hub) == ["Release v1.0.0", "initial commit"]
    assert repository(hub).tags == {"v1.0.0": (done.commit, "Release v1.0.0 of me/tiny")}
    assert done.commit == repository(hub).resolve("main").oid


def test_what_is_read_back_is_the_whole_release_folder(hub: LoopbackHub, version: Run) -> None:
    release(version)
    files = own_files(hub, "v1.0.0")
    assert {"README.md", "CHANGELOG.md", "recipe.yaml", "recipe/tiny.yaml", "provenance/manifest.json"} < set(files)
    assert repository(hub).resolve("v1.0.0").tree["data/train-00000-of-00001.parquet"].lfs
    assert not repository(hub).resolve("v1.0.0").tree["README.md"].lfs


def test_a_second_run_says_already_released_and_sends_nothing(hub: LoopbackHub, version: Run) -> None:
    release(version)
    before = len(hub.calls)
    assert release(version).status == "already released"
    assert {point for point, _ in hub.calls[before:]} <= {"whoami", "auth-check", "refs", "tree", "info", "resolve"}
    assert len(repository(hub).commits) == 2


def test_an_old_version_is_still_already_released_after_a_newer_one(hub: LoopbackHub, version: Run) -> None:
    release(version)
    version.recipe["version"] = "1.0.1"
    release(version)
    version.recipe["version"] = "1.0.0"
    assert release(version).status == "already released"


def test_a_released_tag_never_moves(hub: LoopbackHub, version: Run) -> None:
    release(version)
    tags = dict(repository(hub).tags)
    rewritten(version, "d1")
    (problem,) = refusals(version)
    assert problem.code == "tag-exists"
    assert "v1.0.0 of me/tiny is released with other content" in problem.message
    assert "data/train-00000-of-00001.parquet" in problem.message
    assert repository(hub).tags == tags
    assert len(repository(hub).commits) == 2


def test_a_tag_that_somebody_put_elsewhere_meanwhile_is_an_error_and_stays(hub: LoopbackHub, version: Run) -> None:
    hub.repository(REPOSITORY)
    hub.fail("tag", call=lambda: repository(hub).tag("v1.0.0", repository(hub).history()[-1].oid, "mine"))
    assert refused(version) == "tag-exists"
    assert repository(hub).tags["v1.0.0"][1] == "mine"


@pytest.mark.parametrize("status", [503, None], ids=["503", "dropped"])
@pytest.mark.parametrize(("at", "when"), MOMENTS)
def test_one_failed_request_anywhere_costs_nothing_but_time(
    hub: LoopbackHub, version: Run, at: Any, when: Any, status: int | None
) -> None:
    fault = hub.fail(at, when, status=status)
    done = release(version)
    assert fault.times == 0
    assert done.status == "released"
    assert titles(hub) == ["Release v1.0.0", "initial commit"]
    assert list(repository(hub).tags) == ["v1.0.0"]


@pytest.mark.parametrize(("at", "when"), [moment for moment in MOMENTS if moment[0] != "create"])
def test_a_hub_that_stays_down_leaves_the_old_version_or_the_new_and_the_next_run_finishes(
    hub: LoopbackHub, version: Run, at: Any, when: Any
) -> None:
    release(version)
    old = own_files(hub, "main")
    rewritten(version, "d1")
    version.recipe["version"] = "2.0.0"
    fault = hub.fail(at, when, status=500, times=1000)
    # A reply that is lost every time does not matter where the next look sees what was done.
    outcome = release(version).status if when == "after" else refused(version)
    assert outcome == ("released" if when == "after" else "hub-unreachable")
    hub.faults.clear()
    assert fault.times < 1000
    main, tags = own_files(hub, "main"), set(repository(hub).tags)
    assert own_files(hub, "v1.0.0") == old
    if outcome == "hub-unreachable":
        assert tags == {"v1.0.0"} or at == "info"
        assert main == old or release(version, dry_run=True).files.count == 0
    assert release(version).status in ("released", "already released")
    assert set(repository(hub).tags) == {"v1.0.0", "v2.0.0"}
    assert titles(hub) == ["Release v2.0.0", "Release v1.0.0", "initial commit"]


@pytest.mark.engine
def test_a_process_killed_between_commit_and_tag_is_finished_by_tagging_alone(
    hub: LoopbackHub, recipe_run: RecipeRun
) -> None:
    recipe_run.build()
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "XIRECIPE_STORE": "store", "HF_HUB_DISABLE_XET": "1", "HF_HOME": "home",
        "PYTHONPATH": str(REPOSITORY_ROOT),
    }  # fmt: skip
    command = [sys.executable, "-m", "xirecipe", "release", "tiny.yaml"]
    child = subprocess.Popen(command, cwd=recipe_run.root, env=environment, stderr=subprocess.PIPE)
    hub.fail("tag", call=child.kill, status=None)
    hub.fail("tag", times=1)
    assert child.wait(timeout=120) == -signal.SIGKILL, child.stderr and child.stderr.read()
    assert repository(hub).tags.keys() <= {"v1.0.0"}
    assert titles(hub) == ["Release v1.0.0", "initial commit"]
    done = subprocess.run(command, cwd=recipe_run.root, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("uploading")) == (0, 0), done.stderr
    assert titles(hub) == ["Release v1.0.0", "initial commit"]
    assert list(repository(hub).tags) == ["v1.0.0"]


def test_an_interrupted_upload_goes_on_with_the_files_that_are_missing(hub: LoopbackHub, version: Run) -> None:
    hub.fail("lfs-put", status=403, times=1000, skip=1)
    assert refused(version) == "no-rights"
    before = hub.count("lfs-put")
    hub.faults.clear()
    release(version)
    large = {entry.sha256 for entry in repository(hub).resolve("v1.0.0").tree.values() if entry.lfs}
    assert hub.count("lfs-put") - before == len(large) - 1


def test_a_push_by_somebody_else_in_the_middle_is_kept_and_built_upon(hub: LoopbackHub, version: Run) -> None:
    hub.repository(REPOSITORY)
    hub.fail("commit", call=lambda: repository(hub).push({"logo.png": b"logo", "README.md": b"# edited"}))
    done = release(version)
    assert titles(hub) == ["Release v1.0.0", "edited on the website", "initial commit"]
    files = repository(hub).files("v1.0.0")
    assert files["logo.png"] == b"logo"
    assert files["README.md"] != b"# edited"
    assert done.status == "released"


def test_a_push_between_commit_and_tag_never_gets_the_tag(hub: LoopbackHub, version: Run) -> None:
    hub.repository(REPOSITORY)
    hub.fail("tag", status=500, times=3)
    assert refused(version) == "hub-unreachable"
    repository(hub).push({"README.md": b"# edited"})
    assert release(version).status == "released"
    assert own_files(hub, "v1.0.0")["README.md"] != b"# edited"


def test_a_hub_on_which_somebody_always_pushes_first_ends_in_an_error(hub: LoopbackHub, version: Run) -> None:
    hub.repository(REPOSITORY)
    numbers = iter(range(100))
    hub.fail("commit", call=lambda: repository(hub).push({"n.txt": b"%d" % next(numbers)}), times=100)
    (problem,) = refusals(version)
    assert problem.code == "hub-unreachable"
    assert "somebody pushed at the same time" in problem.message
    assert repository(hub).tags == {}


def test_a_hub_that_says_yes_and_stores_nothing_is_found_out(
    hub: LoopbackHub, version: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Repository.commit

    def forgetful(self: Repository, revision: str, lines: list[dict[str, Any]], *rest: Any) -> dict[str, Any]:
        return real(self, revision, [line for line in lines if line["value"].get("path") != "README.md"], *rest)

    monkeypatch.setattr(Repository, "commit", forgetful)
    (problem,) = refusals(version)
    assert (problem.code, repository(hub).tags) == ("hub-refused", {})
    assert "does not have README.md" in problem.message


def test_stale_shards_go_in_the_same_commit_and_strangers_files_stay(
    hub: LoopbackHub, version: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("xirecipe.hub.rows.SHARD_ROWS", 1)
        release(version)
    repository(hub).push({"LICENSE": b"text"})
    version.recipe["version"] = "1.0.1"
    done = release(version)
    assert {"data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"} <= set(done.files.removed)
    assert all("-of-00002" in path for path in done.files.removed)
    assert done.files.foreign == (".gitattributes", "LICENSE")
    data = [path for path in repository(hub).files("v1.0.1") if path.startswith("data/")]
    assert sorted(data) == ["data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"]
    assert "LICENSE" in repository(hub).files("v1.0.1")
    assert titles(hub)[0] == "Release v1.0.1"


def test_a_dry_run_says_what_would_change_and_sends_nothing(hub: LoopbackHub, version: Run) -> None:
    release(version)
    rewritten(version, "d1")
    version.recipe["version"] = "2.0.0"
    before = len(hub.calls)
    done = release(version, dry_run=True)
    assert {point for point, _ in hub.calls[before:]} <= {"whoami", "auth-check", "refs", "tree", "info", "resolve"}
    assert done.status == "dry run"
    assert done.difference is not None
    rows = done.difference.rows[0]
    assert (rows.before, rows.after, rows.added, rows.removed, rows.changed) == (3, 3, 0, 0, 1)
    assert rows.examples == (("changed", "d1"),)
    assert "data/train-00000-of-00001.parquet" in done.files.changed
    assert any("2.0.0" in line for line in done.card)


def test_a_dry_run_needs_no_token_and_says_everything_that_would_be_refused(
    hub: LoopbackHub, version: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(version)
    monkeypatch.delenv("HF_TOKEN")
    rewritten(version, "d1")
    version.recipe["version"] = "1.0.1"
    notes = release(version, dry_run=True).notes
    assert notes[0] == "there is no Hub token"
    assert "1.0.0 -> 1.0.1 is a PATCH version" in notes[1]


def test_too_small_a_step_is_refused_with_the_reason_and_a_row_to_look_at(hub: LoopbackHub, version: Run) -> None:
    release(version)
    rewritten(version, "d1")
    version.recipe["version"] = "1.1.0"
    (problem,) = refusals(version)
    assert problem.code == "small-bump"
    assert "this is a MAJOR change: 1 row changed in config" in problem.message
    assert "(such as d1 in instruction)" in problem.message
    assert problem.hint == "`version: 2.0.0`"


def test_a_version_before_the_latest_is_refused(hub: LoopbackHub, version: Run) -> None:
    version.recipe["version"] = "1.2.0"
    release(version)
    version.recipe["version"] = "1.1.0"
    assert refused(version) == "older-version"


def test_card_and_changelog_say_what_changed_since_the_version_before(hub: LoopbackHub, version: Run) -> None:
    release(version)
    rewritten(version, "d1")
    version.recipe["version"] = "2.0.0"
    release(version)
    files = {path: data.decode() for path, data in own_files(hub, "v2.0.0").items() if path.endswith(".md")}
    sentence = "1 row changed in config"
    assert f"- Since 1.0.0: {sentence}" in files["CHANGELOG.md"]
    assert files["CHANGELOG.md"].index("## 2.0.0") < files["CHANGELOG.md"].index("## 1.0.0")
    assert sentence in files["README.md"]


def test_every_reason_against_a_version_is_said_at_once_and_before_any_request(hub: LoopbackHub, version: Run) -> None:
    version.recipe["version"] = "1.0.0-dev"
    version.profile = "sample"
    del version.recipe["release"]["repository"]
    version.recipe["corpus"]["sources"]["news"]["revision"] = "main"
    plan, store = version.build()
    trial = dataclasses.replace(plan, overrides=("select.rows=3",), limit=5)
    with pytest.raises(UserError) as error:
        release_module.release_to_hub(trial, store)
    codes = [d.code for d in error.value.diagnostics]
    assert codes == ["dev-version", "sample-profile", "trial", "trial", "unpinned", "no-repository"]
    assert hub.calls == []


@pytest.mark.parametrize(
    ("token", "code"),
    [(None, "no-token"), ("hf_wrong", "bad-token"), (READ_TOKEN, "read-only-token")],
)
def test_a_token_that_cannot_write_is_said_before_any_work(
    hub: LoopbackHub, version: Run, monkeypatch: pytest.MonkeyPatch, token: str | None, code: str
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    version.unfinished = ("split",)
    assert refused(version) == code
    assert hub.count("whoami") == (token is not None)
    assert len(hub.calls) == hub.count("whoami")


@pytest.mark.parametrize("name", ["library/tiny", "strangers/tiny"])
@pytest.mark.parametrize("there", [True, False])
def test_missing_rights_in_a_repository_or_namespace_are_said_before_any_work(
    hub: LoopbackHub, version: Run, name: str, there: bool
) -> None:
    if there:
        hub.repository(name)
    version.recipe["release"]["repository"] = name
    assert refused(version) == "no-rights"
    assert {point for point, _ in hub.calls} == {"whoami", "auth-check"}


@pytest.mark.parametrize(("scoped", "outcome"), [(("me",), "released"), (("guild",), "no-rights"), ((), "no-rights")])
def test_a_fine_grained_token_writes_where_it_was_allowed_to(
    hub: LoopbackHub, version: Run, scoped: tuple[str, ...], outcome: str
) -> None:
    hub.accounts[WRITE_TOKEN] = Account("me", "fineGrained", {"guild": "admin"}, scoped)
    assert (release(version).status if outcome == "released" else refused(version)) == outcome


def test_an_organization_one_may_write_to_gets_the_repository(hub: LoopbackHub, version: Run) -> None:
    version.recipe["release"]["repository"] = "guild/tiny"
    assert release(version).status == "released"
    assert list(hub.repos) == ["guild/tiny"]


@pytest.mark.parametrize("name", ["me/tiny..data", "me/-tiny", f"me/{'x' * 97}"])
def test_a_name_that_the_hub_refuses_is_refused_without_it(hub: LoopbackHub, version: Run, name: str) -> None:
    version.recipe["release"]["repository"] = name
    assert refused(version) == "bad-repository-name"
    assert hub.calls == []


def test_a_hub_that_is_down_is_an_error_with_its_address(hub: LoopbackHub, version: Run) -> None:
    hub.stop()
    (problem,) = refusals(version)
    assert problem.code == "hub-unreachable"
    assert hub.url in problem.message


def test_metadata_that_the_hub_refuses_is_said_in_its_words(hub: LoopbackHub, version: Run) -> None:
    hub.fail("validate-yaml", status=400, message="license is strange")
    (problem,) = refusals(version)
    assert problem.code == "hub-refused"
    assert repository(hub).tags == {}


# Through pull requests


def test_more_than_a_hundred_files_go_through_a_pull_request_and_reach_main_at_once(
    hub: LoopbackHub, version: Run
) -> None:
    version.files |= {f"prompts/{number}.j2": "{{ text }}" for number in range(230)}
    assert release(version).status == "released"
    assert titles(hub) == ["Release v1.0.0 (#1)", "initial commit"]
    assert [pull.status for pull in repository(hub).pulls.values()] == ["merged"]
    commits = [path for point, path in hub.calls if point == "commit"]
    assert len(commits) == 3
    assert len(own_files(hub, "v1.0.0")) > 230
    assert all("create_pr=1" in path or "refs%2Fpr%2F1" in path for path in commits)


@pytest.mark.parametrize("status", [503, None], ids=["503", "dropped"])
@pytest.mark.parametrize(
    ("at", "when", "skip"),
    [
        ("commit", "before", 0), ("commit", "after", 0), ("commit", "before", 2), ("commit", "after", 1),
        ("commit", "middle", 1), ("merge", "before", 0), ("merge", "after", 0), ("discussions", "before", 0),
    ],
)  # fmt: skip
def test_a_failed_request_on_the_way_through_a_pull_request_costs_nothing_but_time(
    hub: LoopbackHub, version: Run, monkeypatch: pytest.MonkeyPatch, at: Any, when: Any, skip: int, status: int | None
) -> None:
    monkeypatch.setattr(release_module, "FILES_PER_COMMIT", 3)
    fault = hub.fail(at, when, status=status, skip=skip)
    assert release(version).status == "released"
    assert fault.times == 0
    assert titles(hub) == ["Release v1.0.0 (#1)", "initial commit"]


def test_main_stays_old_until_the_merge_and_the_next_run_takes_up_the_open_pull_request(
    hub: LoopbackHub, version: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_module, "FILES_PER_COMMIT", 3)
    hub.fail("commit", status=500, times=1000, skip=2)
    assert refused(version) == "hub-unreachable"
    assert titles(hub) == ["initial commit"]
    hub.faults.clear()
    there = repository(hub).files("refs/pr/1")
    assert len(there) == 7
    before = hub.count("commit")
    assert release(version).status == "released"
    assert list(repository(hub).pulls) == [1]
    assert 3 * (hub.count("commit") - before) >= len(repository(hub).files("main")) - len(there)


def test_a_strangers_pull_request_of_the_same_title_is_not_ours(
    hub: LoopbackHub, version: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_module, "FILES_PER_COMMIT", 3)
    lines = [
        {"key": "header", "value": {"summary": "Release v1.0.0", "description": ""}},
        {"key": "file", "value": {"path": "tiny.py", "content": "ZXZpbA==", "encoding": "base64"}},
    ]
    hub.repository(REPOSITORY).commit("main", lines, "stranger", create_pr=True)
    release(version)
    assert repository(hub).pulls[1].status == "open"
    assert "tiny.py" not in repository(hub).files("v1.0.0")


def test_a_pull_request_for_review_is_opened_once_and_tagged_after_the_merge(hub: LoopbackHub, version: Run) -> None:
    done = release(version, as_pull=True)
    assert (done.status, done.place) == ("in review", f"{hub.url}/datasets/me/tiny/discussions/1")
    assert titles(hub) == ["initial commit"]
    assert release(version, as_pull=True).place == done.place
    assert own_files(hub, "refs/pr/1").keys() == set(done.files.added)
    repository(hub).merge(1)
    commits = hub.count("commit")
    assert release(version, as_pull=True).status == "released"
    assert hub.count("commit") == commits
    assert list(repository(hub).tags) == ["v1.0.0"]


def test_a_reviewed_version_that_changed_meanwhile_is_brought_up_to_date_in_its_pull_request(
    hub: LoopbackHub, version: Run
) -> None:
    release(version, as_pull=True)
    rewritten(version, "d1")
    release(version, as_pull=True)
    assert list(repository(hub).pulls) == [1]
    assert release(version, as_pull=True, dry_run=True).status == "dry run"


def test_files_travel_inside_the_commit_where_the_server_asks_for_it_also_with_xet_on(
    hub: LoopbackHub, version: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    hub.lfs_patterns = ()
    assert release(version).status == "released"
    assert hub.count("xet-write-token") == hub.count("lfs-batch") == 0


def test_a_hub_without_xet_storage_is_said_and_changes_nothing(
    hub: LoopbackHub, version: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    (problem,) = refusals(version)
    assert (problem.code, "xet-write-token" in problem.message) == ("hub-unreachable", True)
    assert hub.count("xet-write-token") > 0
    assert titles(hub) == ["initial commit"]
