"""vLLM as a server of ours: how it is started, waited for and stopped. A stand-in speaks for vLLM, which needs 4 GB."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import xirecipe
from tests.engines.test_asking import processes_about, texts, wait_until
from tests.models.fake_server import FakeServer, written
from xirecipe.diagnostics import UserError
from xirecipe.engines.asking import ask
from xirecipe.models.client import client_for
from xirecipe.models.requests import FatalModelError, Request
from xirecipe.models.server import ServerClient
from xirecipe.models.vllm import command, free_port, require_vllm, served, start_failed
from xirecipe.recipe.models import Sampling, VllmModel
from xirecipe.settings import Settings
from xirecipe.store import Store
from xirecipe.work import Progress

STAND_IN = """
import argparse, asyncio, os, pathlib, sys
from tests.models.fake_server import FakeServer

parser = argparse.ArgumentParser()
parser.add_argument("--model")
parser.add_argument("--port", type=int)
given, _ = parser.parse_known_args()
if "broken" in given.model:
    sys.exit("INFO starting\\nValueError: no such model\\nINFO shutting down")

async def main():
    while (sign := os.environ.get("STAND_IN_WAITS_FOR")) and not pathlib.Path(sign).exists():
        await asyncio.sleep(0.05)
    await FakeServer(models=(given.model,)).start(given.port)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def model(name: str, **facts: object) -> VllmModel:
    return VllmModel.model_validate(
        {"engine": "vllm", "model": name, "revision": "abc", "license": "cc0-1.0", "prompt_format": "chat", **facts}
    )


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package called `vllm` on the path of processes that are started from here."""
    module = tmp_path / "packages" / "vllm" / "entrypoints" / "openai" / "api_server.py"
    module.parent.mkdir(parents=True)
    module.write_text(STAND_IN, encoding="utf-8")
    (tmp_path / "packages" / "vllm" / "__init__.py").touch()
    root = Path(xirecipe.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), str(tmp_path / "packages")]))
    return tmp_path


def alive(
    port: int, log: Path, name: str, waiting: Callable[[int, int], None] = lambda done, total: None, limit: int = 600
) -> str:
    """Start the stand-in, come back with its URL after it was stopped."""
    with served(command(model(name), Settings(), port), port, log, waiting, limit) as url:
        return url


def test_the_command_line_says_everything_the_recipe_and_the_settings_say() -> None:
    facts = {"quantization": "awq", "dtype": "bfloat16", "max_model_tokens": 4096}
    settings = Settings(vllm_arguments="--tensor-parallel-size 2 --gpu-memory-utilization '0.9'")
    assert command(model("org/big", **facts), settings, 8123, "python") == [
        *("python", "-m", "vllm.entrypoints.openai.api_server", "--model", "org/big"),
        *("--revision", "abc", "--tokenizer-revision", "abc", "--quantization", "awq", "--dtype", "bfloat16"),
        *("--max-model-len", "4096", "--generation-config", "vllm", "--host", "127.0.0.1", "--port", "8123"),
        *("--tensor-parallel-size", "2", "--gpu-memory-utilization", "0.9"),
    ]


def test_what_the_recipe_leaves_open_is_left_to_vllm() -> None:
    arguments = command(model("org/big"), Settings(), 8123)
    assert "--quantization" not in arguments
    assert "--max-model-len" not in arguments


def peft_folder(folder: Path, rank: int) -> dict[str, str]:
    """An adapter's section of a recipe. vLLM reads the weights, we only their digest."""
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    config = {"r": rank, "target_modules": ["v_proj", "q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return {"path": str(folder), "sha256": hashlib.sha256(b"weights").hexdigest(), "license": "mit"}


def test_an_adapter_is_served_beside_its_model_with_room_for_its_rank_on_its_layers_alone(tmp_path: Path) -> None:
    arguments = command(model("org/big", adapter=peft_folder(tmp_path, 12)), Settings(), 8123)
    assert arguments[-8:] == [
        "--enable-lora", "--lora-modules", f"xirecipe-adapter={tmp_path}", "--max-lora-rank", "16",
        "--lora-target-modules", "q_proj", "v_proj",
    ]  # fmt: skip


def test_an_adapted_model_is_asked_for_by_its_adapters_name(tmp_path: Path) -> None:
    settings = Settings(environment={"XIRECIPE_MODEL_URL": "http://localhost:1/v1"})
    client = client_for(model("org/big", adapter=peft_folder(tmp_path, 8)), "writer", settings)
    assert isinstance(client, ServerClient)
    assert client.endpoint.model == "xirecipe-adapter"


def test_a_server_without_the_adapter_is_to_be_started_with_it(tmp_path: Path, fake_server: FakeServer) -> None:
    fake_server.models = ("org/big",)
    settings = Settings(environment={"XIRECIPE_MODEL_URL": fake_server.url})
    client = client_for(model("org/big", adapter=peft_folder(tmp_path, 8)), "writer", settings)

    async def answer() -> None:
        try:
            await client.answer(Request("complete", "Andiko", Sampling()))
        finally:
            await client.close()

    with pytest.raises(FatalModelError) as caught:
        asyncio.run(answer())
    assert caught.value.code == "unknown-model"
    assert f"--enable-lora --lora-modules xirecipe-adapter={tmp_path}" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{}", "names no rank, or no layers, that vLLM knows"),
        ("nothing", "names no rank, or no layers, that vLLM knows"),
        ('{"r": 4096, "target_modules": ["q_proj"]}', "names no rank, or no layers, that vLLM knows"),
        ('{"r": 8}', "names no rank, or no layers, that vLLM knows"),
        ('{"r": 8, "target_modules": ".*_proj"}', "lists no layers under `target_modules`"),
        ('{"r": 8, "target_modules": ["q_proj", "lm_head"]}', "changes the output layer"),
    ],
)
def test_an_adapter_that_vllm_cannot_wear_is_refused(tmp_path: Path, config: str, reason: str) -> None:
    adapter = peft_folder(tmp_path, 8)
    (tmp_path / "adapter_config.json").write_text(config, encoding="utf-8")
    with pytest.raises(FatalModelError, match=reason):
        command(model("org/big", adapter=adapter), Settings(), 8123)


def test_an_adapter_of_the_settings_is_refused_because_it_changes_answers() -> None:
    with pytest.raises(FatalModelError, match="may not set `--lora-modules=x=y`") as caught:
        command(model("org/big"), Settings(vllm_arguments="--lora-modules=x=y"), 8123)
    assert caught.value.hint == "set `models.<name>.adapter` in the recipe"


def test_a_server_is_waited_for_and_gone_afterwards(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sign, waited = stand_in / "ready", list[int]()
    monkeypatch.setenv("STAND_IN_WAITS_FOR", str(sign))

    def waiting(seconds: int, limit: int) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            sign.touch()

    port = free_port()
    url = alive(port, stand_in / "vllm.log", str(stand_in / "m"), waiting)
    assert url == f"http://127.0.0.1:{port}/v1"
    # Before it was ready, once a second: on a busy machine a second may be missed, and none comes twice.
    assert len(waited) >= 3
    assert waited == sorted(set(waited))
    wait_until(lambda: not processes_about(stand_in), 5)


def test_a_server_that_ends_while_it_starts_is_the_users_error_with_its_reason(stand_in: Path) -> None:
    with pytest.raises(FatalModelError) as caught:
        alive(free_port(), stand_in / "vllm.log", "broken")
    assert caught.value.code == "vllm-start-failed"
    assert caught.value.message == "vLLM ended with code 1 while it started: ValueError: no such model"
    assert str(stand_in / "vllm.log") in (caught.value.hint or "")


@pytest.mark.parametrize(("printed", "reason"), [
    ("ValidationError: 1 validation error for X\n  Value error, no folder /absent [type=value_error]\n  See x",
     "Value error, no folder /absent [type=value_error]"),
    ("(EngineCore) OSError: no weights\nRuntimeError: Engine core initialization failed. See root cause above.",
     "(EngineCore) OSError: no weights"),
    ("usage: x [-h]\nx: error: unrecognized arguments: --enforce-eeger\nSystemExit: 2",
     "x: error: unrecognized arguments: --enforce-eeger"),
    ("Killed", "Killed"),
    ("", "it printed nothing"),
])  # fmt: skip
def test_the_reason_of_a_failed_start_is_the_last_line_that_gives_one(
    tmp_path: Path, printed: str, reason: str
) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(printed, encoding="utf-8")
    assert start_failed("vLLM did not start", log).message == f"vLLM did not start: {reason}"


def test_a_server_that_never_gets_ready_is_stopped_at_the_limit(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_WAITS_FOR", str(stand_in / "never"))
    with pytest.raises(FatalModelError, match="not ready within 2 seconds"):
        alive(free_port(), stand_in / "vllm.log", str(stand_in / "m"), limit=2)
    wait_until(lambda: not processes_about(stand_in), 5)


def test_without_vllm_the_hint_is_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(FatalModelError) as caught:
        require_vllm()
    assert (caught.value.code, caught.value.hint) == ("no-vllm", 'pip install "xirecipe[vllm]"')


def ask_served(folder: Path, name: str, count: int = 20) -> tuple[list[str], list[Progress]]:
    wanted = [Request("complete", f"Andiko {n}", Sampling()) for n in range(count)]
    progress: list[Progress] = []
    asked = ask(
        wanted, model=model(name), name="writer", work_folder=folder / "work", store=Store(folder / "store"),
        settings=Settings(request_attempts=1), budget=None, report=progress.append,
    )  # fmt: skip
    return texts(asked, wanted), progress


@pytest.mark.engine
def test_a_vllm_model_is_served_for_the_asking_and_gone_afterwards(stand_in: Path) -> None:
    found, progress = ask_served(stand_in, str(stand_in / "model"))
    assert found == [written({"prompt": f"Andiko {n}", "seed": 0}) for n in range(20)]
    assert progress[-1] == Progress(20, 20, "answers")
    assert "seconds for vLLM to start" in {p.unit for p in progress}
    wait_until(lambda: not processes_about(stand_in), 5)


@pytest.mark.engine
def test_a_vllm_that_does_not_start_is_the_users_error_and_its_log_is_kept(stand_in: Path) -> None:
    with pytest.raises(UserError, match="ValueError: no such model") as caught:
        ask_served(stand_in, "broken")
    assert caught.value.diagnostics[0].code == "vllm-start-failed"
    assert "no such model" in (stand_in / "work" / "asking" / "vllm.log").read_text(encoding="utf-8")


@pytest.mark.engine
def test_kill_9_while_vllm_starts_leaves_no_process(stand_in: Path) -> None:
    program = "import sys; from pathlib import Path; from tests.models.test_vllm import ask_served; "
    program += "ask_served(Path(sys.argv[1]), sys.argv[1] + '/model')"
    environment = {**os.environ, "STAND_IN_WAITS_FOR": str(stand_in / "never")}
    run = subprocess.Popen([sys.executable, "-c", program, str(stand_in)], env=environment)
    wait_until((stand_in / "work" / "asking" / "waiting.json").exists)
    assert len(processes_about(stand_in)) >= 4  # the run, the asking, its leash, the server
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_until(lambda: not processes_about(stand_in), 5)


def test_a_server_ends_with_the_process_that_started_it_even_if_that_is_killed_alone(stand_in: Path) -> None:
    program = "import sys, time; from pathlib import Path; from tests.models.test_vllm import start_and_stay; "
    program += "start_and_stay(Path(sys.argv[1]))"
    starter = subprocess.Popen([sys.executable, "-c", program, str(stand_in)])
    wait_until((stand_in / "ready").exists)
    assert len(processes_about(stand_in)) >= 3  # the starter, the server, its leash
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    wait_until(lambda: not processes_about(stand_in))


def start_and_stay(folder: Path) -> None:
    """Hold a server until somebody kills this process."""
    port = free_port()
    arguments = command(model(str(folder / "m")), Settings(), port)
    with served(arguments, port, folder / "vllm.log", lambda done, total: None):
        (folder / "ready").touch()
        signal.pause()


@pytest.mark.parametrize("arguments", [
    "--revision main", "--dtype=float16", "--model other", "-q awq", "-qawq", "--seed 3", "--max_model_len 9",
    "--chat-template x", "--generation-config auto", "--hf-overrides={}",
    "--max-model 9", "--served-model-name=x", "--tokenizer t", "--tokenizer-revision main", "--quantization awq",
])  # fmt: skip
def test_settings_cannot_change_what_the_recipe_pins(arguments: str) -> None:
    model = VllmModel(engine="vllm", model="m/m", revision="a" * 40, license="apache-2.0")
    with pytest.raises(FatalModelError, match=r"XIRECIPE_VLLM_ARGUMENTS .* changes answers") as caught:
        command(model, Settings(vllm_arguments=arguments), 8000)
    assert caught.value.code == "bad-setting"


def test_the_hint_names_the_recipes_key_for_what_a_setting_may_not_say() -> None:
    model = VllmModel(engine="vllm", model="m/m", revision="a" * 40, license="apache-2.0")
    with pytest.raises(FatalModelError) as caught:
        command(model, Settings(vllm_arguments="--max-model-len 9"), 8000)
    assert "models.<name>.max_model_tokens" in (caught.value.hint or "")


@pytest.mark.parametrize("arguments", ["--tensor-parallel-size 2", "--max-num-seqs=8", "--port 1 -O3"])
def test_settings_may_say_what_does_not_change_answers(arguments: str) -> None:
    model = VllmModel(engine="vllm", model="m/m", revision="a" * 40, license="apache-2.0")
    assert command(model, Settings(vllm_arguments=arguments), 8000)[-len(arguments.split()) :] == arguments.split()
