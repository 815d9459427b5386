"""vLLM in process: ours, through distilabel with every answer logged, against vLLM's own offline `LLM.generate`.

    python -m benchmarks.vllm_offline MODEL [--revision R] [--rows 1000] [--max-tokens 32] [--runs 3]
        [--arguments "--enforce-eager"] [--dtype auto]

MODEL is a folder or a repository on the Hub. Both ways get the same prompts, sampling and engine options in turns, each
time in fresh processes; lines are of the median run. On a CPU set VLLM_CPU_KVCACHE_SPACE, in GiB. A rate is of tokens
written, from the first answer to the last and over everything, the start of all processes included. `LLM.generate`
gives its answers at the end: when each was there is seen through its progress bar.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.completions import answered, prompts
from benchmarks.table import Comparison, machine, show

if TYPE_CHECKING:
    from xirecipe.recipe.models import Sampling, VllmModel
    from xirecipe.settings import Settings


@dataclass(frozen=True)
class Workload:
    """What both are given; it travels to the peer's process as JSON."""

    model: str
    revision: str
    dtype: str
    rows: int
    max_tokens: int
    temperature: float
    arguments: str

    def recipe(self) -> tuple[VllmModel, Settings, Sampling]:
        from xirecipe.recipe.models import Sampling, VllmModel
        from xirecipe.settings import Settings

        model = VllmModel.model_validate(
            {
                "engine": "vllm", "model": self.model, "revision": self.revision, "license": "unknown",
                "dtype": self.dtype, "prompt_format": "completion",
            }
        )  # fmt: skip
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        return model, Settings(vllm="in_process", vllm_arguments=self.arguments), sampling


def ours(workload: Workload) -> dict[str, float]:
    """The stages' way, from a list of requests to all answers in the log."""
    from xirecipe.models.requests import Request

    model, settings, sampling = workload.recipe()
    with TemporaryDirectory() as folder:
        requests = [Request("complete", prompt, sampling) for prompt in prompts(workload.rows)]
        return answered(requests, model, settings, Path(folder) / "asked")


def theirs(workload: Workload) -> dict[str, float]:
    """`LLM.generate` in a process of its own, as ours is."""
    code = "import sys; from benchmarks.vllm_offline import generate; generate(sys.argv[1])"
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(vars(workload))], check=True, stdout=subprocess.PIPE, text=True
    )
    # Behind it vLLM may say how it shuts down.
    told = next(line for line in reversed(done.stdout.splitlines()) if line.startswith('{"rate"'))
    return json.loads(told) | {"seconds": time.perf_counter() - begun}


def generate(workload: str) -> None:
    """Prints the rate from the first answer to the last and the tokens written, as JSON."""
    from tqdm import tqdm
    from vllm import LLM, SamplingParams

    from xirecipe.engines.vllm_engine import engine_options

    given = Workload(**json.loads(workload))
    model, settings, sampling = given.recipe()
    options: dict[str, Any] = engine_options(model, settings)
    llm = LLM(model.model, revision=model.revision, tokenizer_revision=model.revision, dtype=model.dtype, **options)
    arrived: list[float] = []

    class Clock(tqdm):  # type: ignore[type-arg, misc]
        def update(self, n: float | None = 1) -> bool | None:
            if "Processed" in str(self.desc):
                arrived.append(time.perf_counter())
            return super().update(n)

    params = SamplingParams(
        temperature=sampling.temperature, top_p=sampling.top_p, max_tokens=sampling.max_tokens, seed=sampling.seed
    )
    outputs = llm.generate(prompts(given.rows), params, use_tqdm=Clock)
    tokens = sum(len(output.outputs[0].token_ids) for output in outputs)
    print(json.dumps({"rate": (given.rows - 1) / (arrived[-1] - arrived[0]), "tokens": tokens}), flush=True)


def compare(workload: Workload, runs: int) -> Iterator[Comparison]:
    found: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    for number in range(runs):
        for name, way in (("ours", ours), ("theirs", theirs)):
            found[name].append(way(workload))
            print(f"run {number + 1}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)

    def middle(name: str, fact: str) -> float:
        return median_low(each[fact] for each in found[name])

    def speed(name: str) -> float:
        return middle(name, "rate") * middle(name, "tokens") / workload.rows

    what = f"vLLM in process, {workload.rows:,} prompts"
    yield Comparison(what, "`LLM.generate`", speed("ours"), speed("theirs"), "tokens/s", 0.95)
    yield Comparison(
        f"{what}, everything counted", "`LLM.generate`", middle("ours", "tokens") / middle("ours", "seconds"),
        middle("theirs", "tokens") / middle("theirs", "seconds"), "tokens/s", None,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--revision", default="main")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--arguments", default="", help="for vLLM, as in XIRECIPE_VLLM_ARGUMENTS")
    parser.add_argument("--runs", type=int, default=3)
    given = vars(parser.parse_args())
    runs = given.pop("runs")
    print(f"{machine()}\n", flush=True)
    show(compare(Workload(**given), runs))


if __name__ == "__main__":
    main()
