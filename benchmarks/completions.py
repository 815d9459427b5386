"""Chat completions: ours, through distilabel, against a bare aiohttp loop, on one server in the same run.

    python -m benchmarks.completions [--rows 10000] [--in-flight 64] [--folder FOLDER]

The bare loop sends the same bodies and throws the answers away; ours reads requests from a file, keeps every answer on
disk before it counts, and can be killed at any time. Rates are from the first answer to the last, and over everything,
the start of distilabel's processes included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.measure import peak_of
from benchmarks.table import Comparison, show

if TYPE_CHECKING:
    from xirecipe.models.requests import Request
    from xirecipe.recipe.models import Model
    from xirecipe.settings import Settings

EXEMPLARS = "Text: Maji hupwa na kujaa mara mbili kwa siku.\nInstruction: Explain how tides work.\n\n" * 12


def prompts(count: int) -> list[str]:
    """As long as prompts with exemplars are, about 1,000 characters, and all different at the end."""
    return [f"{EXEMPLARS}Text: Hadithi ya {number} kuhusu bahari.\nInstruction:" for number in range(count)]


@contextmanager
def server(latency: str, folder: Path) -> Iterator[str]:
    """The URL of a model server in a process of its own."""
    port_file = folder / f"port-{latency}"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.model_server", str(port_file), "--latency", latency]
    process = subprocess.Popen(command)
    try:
        while not port_file.exists():
            if process.poll() is not None:
                raise RuntimeError("the model server did not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text()}/v1"
    finally:
        process.kill()
        process.wait()


async def _bare(url: str, rows: int, in_flight: int) -> list[float]:
    """When each answer came, in seconds after the start."""
    import aiohttp

    waiting, arrived, begun = iter(prompts(rows)), [], time.perf_counter()
    connector = aiohttp.TCPConnector(limit=in_flight)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask_on() -> None:
            for prompt in waiting:
                body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "max_tokens": 64}
                async with session.post(f"{url}/chat/completions", json=body) as response:
                    await response.json()
                arrived.append(time.perf_counter() - begun)

        await asyncio.gather(*(ask_on() for _ in range(in_flight)))
    return arrived


def bare(url: str, rows: int, in_flight: int) -> dict[str, float]:
    """The loop in a process of its own, as ours is."""
    code = (
        "import asyncio, json, sys; from benchmarks.completions import _bare; "
        "print(json.dumps(asyncio.run(_bare(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))"
    )
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, url, str(rows), str(in_flight)], check=True, capture_output=True, text=True
    )
    arrived = json.loads(done.stdout)
    return {
        "rate": (rows - 1) / (arrived[-1] - arrived[0]),
        "seconds": time.perf_counter() - begun,
        "first": arrived[0],
    }


def ours(url: str, rows: int, in_flight: int, folder: Path) -> dict[str, float]:
    from xirecipe.models.requests import Request
    from xirecipe.recipe.models import Sampling, ServerModel
    from xirecipe.settings import Settings

    model = ServerModel(engine="server", model="m", revision="benchmark", license="apache-2.0")
    settings = Settings(requests_in_flight=in_flight, environment={"XIRECIPE_MODEL_URL": url})
    requests = [Request("complete", prompt, Sampling(max_tokens=64)) for prompt in prompts(rows)]
    return answered(requests, model, settings, folder)


def answered(requests: Sequence[Request], model: Model, settings: Settings, folder: Path) -> dict[str, float]:
    """The stages' way of asking, from a list of requests to all answers in the log."""
    from xirecipe.engines.asking import ask
    from xirecipe.store import Store

    folder.mkdir()
    rows, store = len(requests), Store(folder / "store")
    # As a watcher sees it: when answers lie in the log.
    seen: list[tuple[float, int]] = []
    over = threading.Event()
    begun = time.perf_counter()

    def watch() -> None:
        while not over.wait(0.05):
            logs = list(store.completions.glob("*.jsonl"))
            if logs and (size := logs[0].stat().st_size):
                seen.append((time.perf_counter() - begun, size))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    with peak_of(children=True) as memory:
        asked = ask(
            requests, model=model, name="writer", work_folder=folder, store=store, settings=settings, budget=None,
            report=lambda progress: None,
        )  # fmt: skip
    seconds = time.perf_counter() - begun
    over.set()
    watcher.join()
    if asked.calls != rows:
        raise RuntimeError(f"{asked.calls} of {rows} were answered: {next(iter(asked.failures.values()), None)}")
    first, last = seen[0][0], next(moment for moment, size in seen if size == seen[-1][1])
    return {
        "rate": (rows - 1) / max(last - first, 0.01),
        "seconds": seconds,
        "first": first,
        "peak_mib": memory.mib,
        "tokens": asked.completion_tokens,
    }


def compare(rows: int, in_flight: int, folder: Path) -> Iterator[Comparison]:
    for latency in ("fixed", "varying"):
        with server(latency, folder) as url, TemporaryDirectory(dir=folder) as work:
            ours(url, in_flight, in_flight, Path(work) / "before")  # so that the disk's cache holds what is imported
            loop, engine = bare(url, rows, in_flight), ours(url, rows, in_flight, Path(work) / "timed")
        what = f"{rows:,} chat calls, {latency} latency, {in_flight} in flight"
        yield Comparison(what, "bare aiohttp loop", engine["rate"], loop["rate"], "answers/s", 0.95)
        yield Comparison(
            f"{what}, everything counted", "bare aiohttp loop", rows / engine["seconds"], rows / loop["seconds"],
            "answers/s", None,
        )  # fmt: skip
        yield Comparison(f"{what}: time to the first answer", "3 s", engine["first"], 3.0, "s", 1.0, less=True)
        yield Comparison(f"{what}: peak memory", "", engine["peak_mib"], None, "MiB", None, less=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--in-flight", type=int, default=64)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        show(compare(given.rows, given.in_flight, Path(folder)))


if __name__ == "__main__":
    main()
