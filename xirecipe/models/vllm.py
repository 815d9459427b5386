"""vLLM as a server that is started for a run and stopped with it."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from xirecipe.models import leash
from xirecipe.models.requests import FatalModelError
from xirecipe.models.weights import adapter_of
from xirecipe.recipe.models import VllmModel
from xirecipe.settings import PREFIX, Settings

#: Loading a 70B model from a slow disk takes a quarter of an hour; more is a hang.
START_LIMIT_SECONDS = 1_800
_STOP_LIMIT_SECONDS = 20
#: Arguments that would change what the recipe pins, and the model's key that is for it, where there is one.
_PINNED = {
    "--model": "model",
    "--served-model-name": "model",
    "--revision": "revision",
    "--tokenizer": "model",
    "--tokenizer-revision": "revision",
    "--quantization": "quantization",
    "--dtype": "dtype",
    "--max-model-len": "max_model_tokens",
    "--enable-lora": "adapter",
    "--lora-modules": "adapter",
    "--lora-target-modules": "adapter",
    "--chat-template": None,
    "--generation-config": None,
    "--override-generation-config": None,
    "--hf-overrides": None,
    "--seed": None,  # every request carries its own, from `sampling.seed`
}

#: An exception of Python's, one of pydantic's reasons, or a complaint of argparse's.
_NAMES_ERROR = re.compile(r"Error\b|Value error,|\berror: ")
#: What vLLM's process says of its engine's; the reason stands above.
_POINTS_UP = "Engine core initialization failed"

#: What a server calls the model with its adapter on it.
ADAPTED = "xirecipe-adapter"
#: Ranks that vLLM makes room for.
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_OUTPUT_LAYER = "lm_head"


def command(model: VllmModel, settings: Settings, port: int, python: str = sys.executable) -> list[str]:
    """How the server is started. Through the module: the `vllm` command fails where the package lacks metadata.

    Raises FatalModelError, see `own_arguments` and `adapter_of`.
    """
    options: dict[str, str | int | None] = {
        "--model": model.model,
        "--revision": model.revision,
        "--tokenizer-revision": model.revision,
        "--quantization": model.quantization,
        "--dtype": model.dtype,
        "--max-model-len": model.max_model_tokens,
        # Else what a model's authors would draw with joins in where a request is silent: only `sampling` counts.
        "--generation-config": "vllm",
        "--host": "127.0.0.1",
        "--port": port,
    }
    given = [str(part) for option in options.items() if option[1] is not None for part in option]
    if (adapter := adapter_of(model)) is not None:
        room = lora_room(adapter)
        given += ["--enable-lora", "--lora-modules", f"{ADAPTED}={adapter}", "--max-lora-rank", str(room.rank)]
        given += ["--lora-target-modules", *room.modules]
    return [python, "-m", "vllm.entrypoints.openai.api_server", *given, *own_arguments(settings)]


class LoraRoom(NamedTuple):
    """The room that vLLM is to make for an adapter."""

    rank: int
    """The least that vLLM knows and the adapter fits in."""
    modules: list[str]
    """The names of the layers that it changes."""


def lora_room(adapter: Path) -> LoraRoom:
    """Read out of what PEFT saved. Raises FatalModelError for an adapter that vLLM cannot wear.

    vLLM is told the layers, because it makes room on all that it knows, the output layer too, and then it cannot say
    how probable a given text is: it ends on a CPU, and leaves that layer's part out on a GPU (vLLM issue 51594).
    """
    file = adapter / "adapter_config.json"
    hint = "name the folder that PEFT's `save_pretrained` wrote"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        rank = next(room for room in _LORA_RANKS if room >= int(config["r"]))
        modules = config["target_modules"]
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        message = f"{file} names no rank, or no layers, that vLLM knows: {error!r}"
        raise FatalModelError("bad-adapter", message, hint) from error
    if not isinstance(modules, list) or not modules or not all(isinstance(name, str) for name in modules):
        raise FatalModelError("bad-adapter", f"{file} lists no layers under `target_modules`: {modules!r}", hint)
    if _OUTPUT_LAYER in modules:
        message = f"{adapter} changes the output layer, of which vLLM leaves a part out"
        raise FatalModelError("bad-adapter", message, f"train it without `{_OUTPUT_LAYER}`, as `all-linear` does")
    return LoraRoom(rank, sorted(modules))


def own_arguments(settings: Settings) -> list[str]:
    """The setting's arguments for vLLM. Raises FatalModelError for one that would change what the recipe pins.

    The last of two equal arguments counts, and answers would be logged under an identity that did not give them.
    """
    arguments = shlex.split(settings.vllm_arguments)
    for argument in arguments:
        # As vLLM's parser reads them: with underscores too, cut short where that is clear, `-qawq` in one piece.
        option = "--quantization" if argument.startswith("-q") else argument.partition("=")[0].replace("_", "-")
        meant = next((name for name in _PINNED if option.startswith("--") and name.startswith(option)), None)
        if meant:
            key = _PINNED[meant]
            raise FatalModelError(
                "bad-setting",
                f"{PREFIX}VLLM_ARGUMENTS may not set `{argument}`: it changes answers",
                f"set `models.<name>.{key}` in the recipe" if key else "leave it out: the recipe pins what it changes",
            )
    return arguments


def require_vllm() -> None:
    """Raises FatalModelError where vLLM, an optional part of xirecipe, is not installed."""
    if importlib.util.find_spec("vllm") is None:
        raise FatalModelError("no-vllm", "vLLM is not installed", 'pip install "xirecipe[vllm]"')


@contextmanager
def served(
    arguments: list[str], port: int, log: Path, waiting: Callable[[int, int], None], limit: int = START_LIMIT_SECONDS
) -> Iterator[str]:
    """Start a server with `arguments`, wait until it is healthy, yield its base URL, stop it.

    What it prints goes to `log`; `waiting` hears the seconds waited and the limit once a second. It is on a leash (see
    `xirecipe.models.leash`): a Ray cluster kills the process that asks alone, and a server that stayed behind would
    keep its GPU. Raises FatalModelError when it ends or is not ready within `limit` seconds.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", leash.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        begun = time.monotonic()
        while not _healthy(port):
            seconds = int(time.monotonic() - begun)
            if process.poll() is not None:
                raise start_failed(f"vLLM ended with code {process.returncode} while it started", log)
            if seconds >= limit:
                raise start_failed(f"vLLM was not ready within {limit:,} seconds", log)
            waiting(seconds, limit)
            time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_LIMIT_SECONDS)
        leash.kill_group(process)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _healthy(port: int) -> bool:
    # No proxy from the environment stands between us and our own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def start_failed(what: str, log: Path) -> FatalModelError:
    """Why vLLM did not start: the last line of its log that names an error. What follows is its shutting down."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    named = [line for line in lines if _NAMES_ERROR.search(line) and _POINTS_UP not in line]
    reason = (named or lines or ["it printed nothing"])[-1]
    return FatalModelError(
        "vllm-start-failed", f"{what}: {reason[:300]}", f"see {log}; {PREFIX}VLLM_ARGUMENTS takes more arguments for it"
    )
