"""Whole runs on an S3: killed, gone on with, and taken over by another machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.test_promises import Project, project  # noqa: F401  (the fixture)
from xirecipe.remote import Remote

pytestmark = pytest.mark.end_to_end


def on(there: Project, url: str, machine: Path) -> Project:
    """The project as a machine with a disk of its own runs it."""
    extra = {"XIRECIPE_STORE": url, "XIRECIPE_CACHE": str(machine)}
    return Project(there.root, there.server, there.url, there.environment_extra | extra)


def test_a_run_on_s3_that_was_killed_goes_on_and_another_machine_finds_it_done(
    project: Project,  # noqa: F811
    s3: str,
    tmp_path: Path,
) -> None:
    project.run()
    expected = project.rows()
    shutil.rmtree(tmp_path / "store")
    project.server.calls.clear()
    project.server.delay = 0.2
    here = on(project, f"{s3}/{tmp_path.name}", tmp_path / "one")
    running = subprocess.Popen(
        here.command("run"), cwd=tmp_path, env=here.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 90
    while len(project.server.calls) < 12 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    time.sleep(2)
    asked_before = len(project.server.calls)
    project.server.delay = 0

    stages = here.run()

    reused = stages["generate"]["reused"]
    assert 0 < asked_before < 40
    assert asked_before - 4 <= reused <= asked_before  # all but those in flight
    assert len(project.server.calls) - asked_before == 40 - reused
    assert not stages["corpus"]["made"]

    calls = len(project.server.calls)
    there = on(project, here.environment["XIRECIPE_STORE"], tmp_path / "two")
    again = there.xirecipe("run").stdout
    assert "nothing to do: every stage is done" in again
    assert f"kept at:          {s3}/{tmp_path.name}/releases/" in again
    assert len(project.server.calls) == calls

    released = next((tmp_path / "two").glob("store-*/releases"))
    shutil.copytree(released, tmp_path / "store" / "releases")
    assert project.rows() == expected
    files = Remote(here.environment["XIRECIPE_STORE"]).files("releases")
    assert any(file.endswith("README.md") for file in files)


def test_a_lost_machine_costs_only_the_answers_that_it_had_not_sent(
    project: Project,  # noqa: F811
    s3: str,
    tmp_path: Path,
) -> None:
    url = f"{s3}/{tmp_path.name}"
    on(project, url, tmp_path / "one").run("--to", "generate")
    shutil.rmtree(tmp_path / "one")
    Remote(url).remove(next(name for name in Remote(url).names() if name.startswith("generate-")))
    calls = len(project.server.calls)

    stages = on(project, url, tmp_path / "two").run("--to", "generate")

    assert stages["generate"]["made"]
    assert (stages["generate"]["calls"], stages["generate"]["reused"]) == (0, 20)
    assert len(project.server.calls) == calls
