"""vLLM for real, in the asking process and as a server of ours: a tiny Llama of random weights, on a CPU, offline."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.engines.test_asking import texts, wait_until
from tests.engines.tiny_models import DIGITS, REVISION, digit_writer, in_hub_cache, write_adapter, write_repository
from xirecipe.diagnostics import Diagnostic, UserError
from xirecipe.engines.asking import Asked, ask
from xirecipe.models.requests import Answer, Failure, Request
from xirecipe.recipe.models import Sampling, VllmModel
from xirecipe.settings import Settings
from xirecipe.store import Store
from xirecipe.work import Progress

pytestmark = pytest.mark.vllm
if importlib.util.find_spec("vllm") is None:
    pytest.skip("needs the extra `vllm`", allow_module_level=True)
psutil: Any = pytest.importorskip("psutil")

WAYS = ("served", "in_process")
GREEDY = Sampling(temperature=0, max_tokens=12)
DRAWN = Sampling(temperature=1.5, top_p=0.95, max_tokens=12)
WRITTEN = [Request("complete", f"Andiko la {n}", GREEDY) for n in range(6)]
SAMPLED = [Request("complete", f"Andiko la {n}", DRAWN, draw) for n in range(3) for draw in range(2)]
RATED = [Request("choose", f"Kadiria andiko la {n}", labels=DIGITS) for n in range(3)]
SCORED = [Request("score", "Andiko: ", continuation=text) for text in ("1234", "zzzz")]
EVERYTHING = [*WRITTEN, *SAMPLED, *RATED, *SCORED]


@pytest.fixture(scope="module", autouse=True)
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Hub cache with two tiny models, one of them without a frame for messages, and no network."""
    folder = tmp_path_factory.mktemp("hub")
    write_repository(digit_writer(), in_hub_cache(folder, "tiny/chat"), chat=True)
    write_repository(digit_writer(), in_hub_cache(folder, "tiny/base"), chat=False)
    environment = {
        "HF_HUB_CACHE": folder, "HF_HUB_OFFLINE": 1, "OMP_NUM_THREADS": 1, "VLLM_CPU_KVCACHE_SPACE": 1,
        "VLLM_NO_USAGE_STATS": 1,
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, str(value))
        yield folder


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_adapter(tmp_path_factory.mktemp("adapter") / "peft", width=64)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, adapter: dict[str, str]) -> Callable[..., Asked]:
    """The answers to EVERYTHING, one way, with the adapter or without; asked once."""

    @cache
    def found(way: str, *, adapted: bool = False) -> Asked:
        facts = {"adapter": adapter} if adapted else {}
        return asked(tmp_path_factory.mktemp(way), way, EVERYTHING, **facts)

    return found


def asked(folder: Path, way: str, wanted: list[Request], name: str = "tiny/chat", **facts: Any) -> Asked:
    """Ask vLLM, and see that none of the processes that were started for it is left."""
    model = VllmModel.model_validate(
        {"engine": "vllm", "model": name, "revision": REVISION, "license": "cc0-1.0", "dtype": "float32", **facts}
    )
    settings = Settings(
        vllm="served" if way == "served" else "in_process",
        vllm_arguments="--enforce-eager --max-num-seqs 4",
        request_attempts=1,
    )
    started: set[psutil.Process] = set()

    def look(progress: Progress) -> None:
        started.update(psutil.Process().children(recursive=True))

    try:
        return ask(
            wanted, model=model, name="writer", work_folder=folder / "work", store=Store(folder / "store"),
            settings=settings, budget=None, report=look,
        )  # fmt: skip
    finally:
        wait_until(lambda: not alive(started), 30)


def alive(processes: set[psutil.Process]) -> list[psutil.Process]:
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def refused(folder: Path, way: str, wanted: list[Request], **facts: Any) -> Diagnostic:
    """What the user is told instead of answers."""
    with pytest.raises(UserError) as caught:
        asked(folder, way, wanted, **facts)
    return caught.value.diagnostics[0]


def test_both_ways_give_the_same_answers(answers: Callable[..., Asked]) -> None:
    served, in_process = (texts(answers(way), WRITTEN + SAMPLED) for way in WAYS)
    assert served == in_process
    assert len(set(served[: len(WRITTEN)])) > 1
    assert len(set(served[len(WRITTEN) :])) > len(SAMPLED) / 2
    assert set("".join(served)) <= set(DIGITS)


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_says_why_it_ended_and_how_many_tokens_it_took(answers: Callable[..., Asked], way: str) -> None:
    answer = answers(way).answer(WRITTEN[0])
    assert isinstance(answer, Answer)
    assert (answer.finish_reason, answer.completion_tokens) == ("length", GREEDY.max_tokens)
    assert answer.prompt_tokens == len("Buser: Andiko la 0\nanswer: ")  # a byte is a token, and so is <bos>


def test_a_rating_is_one_token_with_the_log_probability_of_every_label(answers: Callable[..., Asked]) -> None:
    for request in RATED:
        served, in_process = (answers(way).answer(request) for way in WAYS)
        assert isinstance(served, Answer)
        assert isinstance(in_process, Answer)
        assert served.completion_tokens == in_process.completion_tokens == 1
        assert served.label_log_probs is not None
        assert set(served.label_log_probs) == set(DIGITS)
        assert in_process.label_log_probs == pytest.approx(served.label_log_probs, abs=1e-4)
        assert served.text == max(served.label_log_probs, key=served.label_log_probs.__getitem__)


def test_a_likelier_continuation_scores_higher_both_ways(answers: Callable[..., Asked]) -> None:
    served, in_process = ([answers(way).answer(request) for request in SCORED] for way in WAYS)
    for one, other in zip(served, in_process, strict=True):
        assert isinstance(one, Answer)
        assert isinstance(other, Answer)
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-3)
        assert one.scored_tokens == other.scored_tokens == 4
    digits, letters = in_process
    assert isinstance(digits, Answer)
    assert isinstance(letters, Answer)
    assert (digits.log_prob or 0) > (letters.log_prob or 0)


def test_an_adapter_changes_answers_and_the_same_way_both_ways(answers: Callable[..., Asked]) -> None:
    served, in_process = (texts(answers(way, adapted=True), WRITTEN) for way in WAYS)
    assert served == in_process
    assert served != texts(answers("served"), WRITTEN)


@pytest.mark.parametrize("way", WAYS)
def test_a_prompt_that_does_not_fit_fails_alone_even_where_it_is_the_only_one(tmp_path: Path, way: str) -> None:
    long = Request("complete", "ndefu " * 100, GREEDY)
    outcome = asked(tmp_path, way, [long]).answer(long)
    assert isinstance(outcome, Failure)
    assert outcome.reason == "too_long"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["tiny/absent", "folder"])
def test_a_model_that_is_not_there_is_the_users_error(tmp_path: Path, way: str, name: str) -> None:
    told = refused(tmp_path, way, WRITTEN, name=str(tmp_path / "absent") if name == "folder" else name)
    assert told.code == "vllm-start-failed"
    assert "Error" in told.message or "error" in told.message
    assert ".log" in (told.hint or "")


@pytest.mark.parametrize("way", WAYS)
def test_a_base_model_that_is_sent_messages_is_the_users_error(tmp_path: Path, way: str) -> None:
    told = refused(tmp_path, way, WRITTEN, name="tiny/base")
    assert told.code == "no-chat-template"
    assert "prompt_format: completion" in (told.hint or "")


@pytest.mark.parametrize("way", WAYS)
def test_an_adapter_that_is_not_there_is_the_users_error(tmp_path: Path, way: str) -> None:
    absent = {"path": str(tmp_path / "absent"), "sha256": "0" * 64, "license": "cc0-1.0"}
    told = refused(tmp_path, way, WRITTEN, adapter=absent)
    assert told.code == "no-adapter"
    assert str(tmp_path / "absent") in told.message
    assert "beside the recipe" in (told.hint or "")


@pytest.mark.parametrize("way", WAYS)
def test_an_adapter_of_another_model_is_the_users_error(tmp_path: Path, way: str) -> None:
    told = refused(tmp_path, way, WRITTEN, adapter=write_adapter(tmp_path / "other", width=128))
    assert told.code == "vllm-start-failed"


def ask_much(folder: str, way: str) -> None:
    """Some minutes of answers, to be interrupted. Runs in a process of its own."""
    long = Sampling(temperature=0, max_tokens=100)
    asked(Path(folder), way, [Request("complete", f"Andiko la {n}", long) for n in range(2_000)])


def run_that_is_answering(folder: Path, way: str) -> tuple[subprocess.Popen[bytes], set[psutil.Process]]:
    """A run with its first answers in the log, and the processes that it started."""
    program = "import sys; from tests.engines.test_vllm_engine import ask_much; ask_much(*sys.argv[1:])"
    run = subprocess.Popen([sys.executable, "-c", program, str(folder), way])

    def answered() -> bool:
        assert run.poll() is None
        return any(log.stat().st_size for log in (folder / "store").rglob("*.jsonl") if "completions" in str(log))

    wait_until(answered, 1_200)
    return run, set(psutil.Process(run.pid).children(recursive=True))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process(tmp_path: Path, way: str, sent: signal.Signals) -> None:
    run, started = run_that_is_answering(tmp_path, way)
    assert any("EngineCore" in " ".join(each.cmdline()) for each in started)
    run.send_signal(sent)
    assert run.wait(60) != 0
    wait_until(lambda: not alive(started), 30)


def test_an_engine_that_dies_ends_the_run_with_the_users_error(tmp_path: Path) -> None:
    run, started = run_that_is_answering(tmp_path, "in_process")
    next(each for each in started if "EngineCore" in " ".join(each.cmdline())).kill()
    assert run.wait(60) != 0
    assert '"vllm-died"' in (tmp_path / "work" / "asking" / "end.json").read_text(encoding="utf-8")
    wait_until(lambda: not alive(started), 30)
