"""Settings: what may not change a row. Paths, workers, URLs, tokens and time limits, read from the environment."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeVar, get_args

from xirecipe.diagnostics import user_error

PREFIX = "XIRECIPE_"
Executor = Literal["local", "ray", "slurm"]
FilterOrder = Literal["declared", "measured"]
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Slurm:
    """What a Slurm job asks for: `XIRECIPE_SLURM_<NAME>`."""

    partition: str = ""
    time: str = "24:00:00"
    """Of each job of the array, in Slurm's own form."""
    qos: str = ""
    cpus_per_task: int = 1
    memory_per_cpu_gb: int = 4
    tasks_per_job: int = 1
    """Tasks of 5,000 documents that one job of the array does one after the other."""
    tasks_at_once: int = 0
    """Jobs of the array that may run at the same time; 0: as many as Slurm gives."""
    setup: str = ""
    """A shell command that comes first on every node, such as `module load python/3.12`."""
    more: Mapping[str, str] = field(default_factory=dict)
    """More options of sbatch, such as `--account=me --constraint=cpu`."""


@dataclass(frozen=True)
class Settings:
    """Defaults, each overridden by the environment variable `XIRECIPE_<NAME>`.

    URLs and keys may be given for one model: `XIRECIPE_MODEL_URL_WRITER` wins over `XIRECIPE_MODEL_URL`.
    """

    store: Path = Path("store")
    """The folder of artifacts and answers; of a store elsewhere, its working copy on this machine."""
    remote_store: str | None = None
    """The address of a store elsewhere, such as `s3://bucket/prefix`."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes for corpus stages; threads for the embedded model."""
    requests_in_flight: int = 32
    request_timeout_seconds: float = 120.0
    request_attempts: int = 5
    """Tries of one request before its row is failed."""
    max_failed_ratio: float = 0.05
    """A stage with more failed rows than this stops instead of finishing."""
    vllm: Literal["in_process", "served"] = "served"
    vllm_arguments: str = ""
    """More arguments for `vllm serve`, such as `--tensor-parallel-size 2`."""
    executor: Executor = "local"
    """Where corpus, dedup, embed and model stages run; on Slurm only the first two, the others on this machine."""
    filter_order: FilterOrder = "declared"
    """Of a corpus's filters; `measured`: the cheapest on its first documents. Kept rows are the same, reasons not."""
    slurm: Slurm = field(default_factory=Slurm)
    ray_address: str = "auto"
    """Of an existing cluster; `auto` is the one on this machine, or where RAY_ADDRESS says."""
    ray_gpus: float = 1.0
    """GPUs of each vLLM server that a run starts on a Ray cluster."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def model_url(self, name: str) -> str | None:
        """Base URL of the server for the model called `name` in the recipe, such as `http://localhost:8000/v1`."""
        return self._for_model("MODEL_URL", name)

    def model_key(self, name: str) -> str | None:
        """API key for it. Never written to the store, a manifest or a log."""
        return self._for_model("MODEL_KEY", name)

    def _for_model(self, variable: str, name: str) -> str | None:
        suffix = name.upper().replace("-", "_")
        return self.environment.get(f"{PREFIX}{variable}_{suffix}") or self.environment.get(f"{PREFIX}{variable}")


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from environment variables. Raises UserError for one that is not of its kind."""
    env = dict(os.environ if environment is None else environment)
    base = Settings()
    vllm = env.get(PREFIX + "VLLM", base.vllm)
    if vllm not in ("in_process", "served"):
        raise user_error("bad-setting", f"{PREFIX}VLLM is `{vllm}`", hint="`in_process` or `served`")
    executors = {name: name for name in get_args(Executor)}
    if (executor := env.get(PREFIX + "EXECUTOR", base.executor)) not in executors:
        raise user_error("bad-setting", f"{PREFIX}EXECUTOR is `{executor}`", hint="`local`, `ray` or `slurm`")
    order = env.get(PREFIX + "FILTER_ORDER", base.filter_order)
    if order not in ("declared", "measured"):
        raise user_error("bad-setting", f"{PREFIX}FILTER_ORDER is `{order}`", hint="`declared` or `measured`")
    store, remote = _store(env, str(base.store))
    return Settings(
        store=store,
        remote_store=remote,
        workers=_number(env, "WORKERS", base.workers, int),
        requests_in_flight=_number(env, "REQUESTS_IN_FLIGHT", base.requests_in_flight, int),
        request_timeout_seconds=_number(env, "REQUEST_TIMEOUT_SECONDS", base.request_timeout_seconds, float),
        request_attempts=_number(env, "REQUEST_ATTEMPTS", base.request_attempts, int),
        max_failed_ratio=_number(env, "MAX_FAILED_RATIO", base.max_failed_ratio, float),
        vllm="in_process" if vllm == "in_process" else "served",
        vllm_arguments=env.get(PREFIX + "VLLM_ARGUMENTS", base.vllm_arguments),
        executor=executors[executor],
        filter_order="measured" if order == "measured" else "declared",
        slurm=_slurm(env),
        ray_address=env.get(PREFIX + "RAY_ADDRESS", base.ray_address),
        ray_gpus=_number(env, "RAY_GPUS", base.ray_gpus, float),
        environment=env,
    )


def _slurm(env: Mapping[str, str]) -> Slurm:
    base = Slurm()
    more: dict[str, str] = {}
    for option in shlex.split(env.get(PREFIX + "SLURM_MORE", "")):
        name, separator, value = option.partition("=")
        if not name.startswith("--") or not separator:
            hint = "write `--name=value`, several separated by spaces"
            raise user_error("bad-setting", f"{PREFIX}SLURM_MORE has `{option}`", hint=hint)
        more[name.removeprefix("--")] = value
    return Slurm(
        partition=env.get(PREFIX + "SLURM_PARTITION", base.partition),
        time=env.get(PREFIX + "SLURM_TIME", base.time),
        qos=env.get(PREFIX + "SLURM_QOS", base.qos),
        cpus_per_task=_number(env, "SLURM_CPUS_PER_TASK", base.cpus_per_task, int),
        memory_per_cpu_gb=_number(env, "SLURM_MEMORY_PER_CPU_GB", base.memory_per_cpu_gb, int),
        tasks_per_job=_number(env, "SLURM_TASKS_PER_JOB", base.tasks_per_job, int),
        tasks_at_once=_number(env, "SLURM_TASKS_AT_ONCE", base.tasks_at_once, int),
        setup=env.get(PREFIX + "SLURM_SETUP", base.setup),
        more=more,
    )


def _store(env: Mapping[str, str], default: str) -> tuple[Path, str | None]:
    """(folder, address): a folder alone, or the working copy of what lies at the address."""
    place = env.get(PREFIX + "STORE", default)
    protocol, separator, rest = place.partition("://")
    if not separator:
        return Path(place), None
    if protocol in ("file", "local"):
        return Path(rest), None
    cache = env.get(PREFIX + "CACHE") or Path(env.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "xirecipe"
    return Path(cache) / f"store-{sha256(place.rstrip('/').encode()).hexdigest()[:16]}", place


def _number(env: Mapping[str, str], name: str, default: Number, kind: type[Number]) -> Number:
    text = env.get(PREFIX + name)
    if text is None:
        return default
    try:
        value = kind(text)
    except ValueError:
        raise user_error("bad-setting", f"{PREFIX}{name} is `{text}`, which is not a number") from None
    if not math.isfinite(value):
        raise user_error("bad-setting", f"{PREFIX}{name} is `{text}`, which is not a finite number")
    if value < 0 or (value == 0 and name not in ("MAX_FAILED_RATIO", "RAY_GPUS", "SLURM_TASKS_AT_ONCE")):
        raise user_error("bad-setting", f"{PREFIX}{name} is {text}; it must be positive")
    return value
