"""The same rows on a Ray cluster as on one machine, also when one of its workers is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests.engines.conftest import SWAHILI
from tests.many_machines.steps import Failing, Slow
from tests.models.fake_server import FakeServer, Fault
from tests.test_promises import Project, project  # noqa: F401  (the fixture)
from xirecipe import tables
from xirecipe.diagnostics import UserError, render_text
from xirecipe.engines.asking import Asked, ask
from xirecipe.engines.spreading import Scratch, spread
from xirecipe.models.requests import Answer, Request
from xirecipe.recipe.corpus import Corpus
from xirecipe.recipe.models import Sampling, ServerModel
from xirecipe.recipe.selection import Budget
from xirecipe.remote import Remote
from xirecipe.settings import Settings
from xirecipe.spending import Spending
from xirecipe.stage import Stage
from xirecipe.store import Store
from xirecipe.work import Progress, Work

pytestmark = pytest.mark.ray

MODEL = ServerModel(engine="server", model="fake", revision="1", license="cc0-1.0")


@pytest.fixture(scope="module")
def cluster(s3: str) -> Iterator[str]:
    """Two machines of one CPU each, as far as Ray can tell; their address. They know how to reach the S3."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    machines.add_node(num_cpus=1)
    yield machines.address
    ray.shutdown()
    machines.shutdown()


@pytest.fixture
def settings(cluster: str, fake_server: FakeServer) -> Settings:
    environment = {"XIRECIPE_MODEL_URL": fake_server.url}
    return Settings(
        executor="ray", ray_address=cluster, requests_in_flight=4, request_attempts=1, environment=environment
    )


def work_in(folder: Path, settings: Settings) -> Work:
    source = {"web": {"license": "cc0-1.0", "format": "jsonl", "path": "web.jsonl"}}
    stage = Stage("corpus", Corpus.model_validate({"sources": source}), SWAHILI, root=folder)
    store = Store(folder / "store")
    return Work(stage, {}, store.artifact("corpus", "f" * 64), store, settings, lambda progress: None)


def workers(title: str) -> list[int]:
    """Processes that Ray has titled so."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            if line.startswith(title.encode()):
                found.append(int(entry.name))
    return found


def test_a_task_whose_worker_is_killed_runs_again_and_the_others_do_not(settings: Settings, tmp_path: Path) -> None:
    def kill() -> None:
        said = tmp_path / "1.pids"
        while not (said.exists() and said.read_text().endswith("\n")):
            time.sleep(0.05)
        os.kill(int(said.read_text()), signal.SIGKILL)

    Thread(target=kill, daemon=True).start()
    work = work_in(tmp_path, settings)
    scratch = Scratch(work)
    spread(work, scratch, [Slow(tmp_path)], tasks=4)

    assert [len((tmp_path / f"{rank}.pids").read_text().split()) for rank in range(4)] == [1, 2, 1, 1]
    assert len(list((scratch.folder / "logs" / "completions").iterdir())) == 4


def test_a_task_that_fails_ends_the_run_with_its_reason(settings: Settings, tmp_path: Path) -> None:
    work = work_in(tmp_path, settings)
    with pytest.raises(LookupError, match="it broke"):
        spread(work, Scratch(work), [Failing()], tasks=3)


def asked_on_ray(
    wanted: list[Request], settings: Settings, folder: Path, budget: Spending | None = None
) -> tuple[Asked, list[Progress]]:
    reports: list[Progress] = []
    asked = ask(
        wanted, model=MODEL, name="writer", work_folder=folder / "store" / "generate-1", store=Store(folder / "store"),
        settings=settings, budget=budget, report=reports.append,
    )  # fmt: skip
    return asked, reports


def requests(count: int) -> list[Request]:
    return [Request("complete", f"Andiko {n}", Sampling()) for n in range(count)]


def test_every_request_is_answered_once_and_a_second_run_asks_nothing(
    settings: Settings, tmp_path: Path, fake_server: FakeServer
) -> None:
    wanted = requests(600)
    asked, reports = asked_on_ray(wanted, settings, tmp_path)
    assert (asked.calls, asked.failures, len(fake_server.calls)) == (600, {}, 600)
    assert all(isinstance(asked.answer(request), Answer) for request in wanted)
    assert fake_server.most_at_once <= 4
    assert reports[-1] == Progress(600, 600, "answers")
    again, _ = asked_on_ray(wanted, settings, tmp_path)
    assert (again.calls, again.reused, len(fake_server.calls)) == (0, 600, 600)


def test_when_a_process_that_asks_is_killed_its_requests_are_asked_by_another(
    settings: Settings, tmp_path: Path, fake_server: FakeServer
) -> None:
    fake_server.delay = 0.1

    def kill() -> None:
        while len(fake_server.calls) < 40:
            time.sleep(0.05)
        os.kill(workers("ray::Asker")[0], signal.SIGKILL)

    Thread(target=kill, daemon=True).start()
    asked, _ = asked_on_ray(requests(200), settings, tmp_path)

    assert (asked.calls, asked.failures) == (200, {})
    # Again those that were on their way to and from the dead process, and none that had been logged.
    assert 200 < len(fake_server.calls) <= 210


def test_the_budget_holds_to_the_call(settings: Settings, tmp_path: Path, fake_server: FakeServer) -> None:
    with pytest.raises(UserError, match="7 of 7 calls"):
        asked_on_ray(requests(20), settings, tmp_path, Spending(Budget(calls=7)))
    assert len(fake_server.calls) == 7


def test_a_request_that_fails_fails_alone(settings: Settings, tmp_path: Path, fake_server: FakeServer) -> None:
    fake_server.fail_when(lambda body: Fault(status=400) if "Andiko 3" in str(body["messages"]) else None)
    asked, _ = asked_on_ray(requests(10), settings, tmp_path)
    assert (asked.calls, [failure.reason for failure in asked.failures.values()]) == (9, ["refused"])


def test_when_the_server_refuses_the_key_in_between_what_it_had_answered_is_kept(
    settings: Settings, tmp_path: Path, fake_server: FakeServer
) -> None:
    fake_server.delay = 0.3
    fake_server.fail_when(lambda body: Fault(status=401) if len(fake_server.calls) > 30 else None)
    with pytest.raises(UserError) as error:
        asked_on_ray(requests(600), settings, tmp_path)
    assert "30 answers are kept" in render_text(error.value.diagnostics)
    fake_server.fail_when(lambda body: None)
    paid = len(fake_server.calls)
    asked, _ = asked_on_ray(requests(600), settings, tmp_path)
    assert asked.reused == 30
    assert paid - 30 <= 2 * settings.requests_in_flight  # refused ones: those in flight when the first refusal came


def test_a_server_that_is_not_there_is_the_users(settings: Settings, tmp_path: Path) -> None:
    nowhere = Settings(
        executor="ray", ray_address=settings.ray_address, environment={"XIRECIPE_MODEL_URL": "http://127.0.0.1:9/v1"}
    )
    with pytest.raises(UserError) as error:
        asked_on_ray(requests(3), nowhere, tmp_path)
    assert "127.0.0.1:9" in render_text(error.value.diagnostics)


def all_rows(store: Path) -> dict[str, list[tables.Row]]:
    return {
        f"{folder.name}/{part}": list(tables.read(folder / part))
        for folder in sorted(store.glob("*-*"))
        for part in ("data", "dropped", "failed")
    }


@pytest.mark.end_to_end
def test_a_run_on_ray_has_the_fingerprints_and_rows_of_a_local_one_though_a_worker_was_killed(
    project: Project,  # noqa: F811
    cluster: str,
    tmp_path: Path,
) -> None:
    project.run()
    expected = all_rows(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "local")
    project.server.calls.clear()
    project.server.delay = 0.3
    project.environment_extra = {"XIRECIPE_EXECUTOR": "ray", "XIRECIPE_RAY_ADDRESS": cluster}
    running = subprocess.Popen(project.command("run"), cwd=tmp_path, env=project.environment, stdout=subprocess.DEVNULL)
    while len(project.server.calls) < 8 and running.poll() is None:
        time.sleep(0.05)
    os.kill(workers("ray::Asker")[0], signal.SIGKILL)

    assert running.wait(180) == 0
    assert all_rows(tmp_path / "store") == expected
    assert 40 <= len(project.server.calls) <= 44


@pytest.mark.end_to_end
def test_on_ray_with_a_store_on_s3_tasks_leave_their_rows_there_and_nothing_else_stays(
    project: Project,  # noqa: F811
    cluster: str,
    s3: str,
    tmp_path: Path,
) -> None:
    project.run("--to", "dedup")
    expected = all_rows(tmp_path / "store")
    url = f"{s3}/{tmp_path.name}"
    project.environment_extra = {
        "XIRECIPE_EXECUTOR": "ray", "XIRECIPE_RAY_ADDRESS": cluster, "XIRECIPE_STORE": url,
        "XIRECIPE_CACHE": str(tmp_path / "cache"),
    }  # fmt: skip
    project.run("--to", "dedup")
    assert all_rows(next((tmp_path / "cache").iterdir())) == expected
    assert not [file for name in Remote(url).names() for file in Remote(url).files(name) if "engine" in file]


def test_without_ray_the_setting_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    work = work_in(tmp_path, Settings(executor="ray"))
    with pytest.raises(UserError) as error:
        spread(work, Scratch(work), [Failing()], tasks=1)
    assert render_text(error.value.diagnostics) == (
        "error[missing-package]: XIRECIPE_EXECUTOR is `ray`, and Ray is not installed\n"
        '  = hint: pip install "xirecipe[ray]"\n\n1 error\n'
    )
