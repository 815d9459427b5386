"""The processes around the asking: the watch over the one with the model, and a job's own vLLM server."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xirecipe.disk import write_whole
from xirecipe.engines.child import MODEL_DIED
from xirecipe.engines.job import Job
from xirecipe.models.endpoint import url_variable
from xirecipe.models.vllm import command, free_port, require_vllm, served
from xirecipe.recipe.models import VllmModel


def worker_file(job: Job) -> Path:
    return job.folder / "worker.pid"


def watch_worker(job: Job) -> None:
    """End when the process with the model has died: distilabel would wait for its batch forever."""
    while True:
        time.sleep(1)
        try:
            os.kill(int(worker_file(job).read_text(encoding="utf-8")), 0)
        except (FileNotFoundError, ValueError):
            continue  # not there yet, just being written, or already gone
        except ProcessLookupError:
            if worker_file(job).exists():
                print("the process with the model died", file=sys.stderr, flush=True)
                os._exit(MODEL_DIED)


def in_process(job: Job) -> bool:
    """A server whose URL is set wins: it is there."""
    return job.settings.vllm == "in_process" and not job.settings.model_url(job.name)


def has_own_server(job: Job) -> bool:
    """Whether a job's vLLM server is started for it alone. Where its URL is set, it runs already."""
    return isinstance(job.model, VllmModel) and not job.settings.model_url(job.name) and not in_process(job)


@contextmanager
def server_of(job: Job) -> Iterator[None]:
    """The vLLM server of a job that has one of its own."""
    if not has_own_server(job):
        yield
        return
    assert isinstance(job.model, VllmModel)
    require_vllm()
    port = free_port()

    def waiting(seconds: int, limit: int) -> None:
        write_whole(job.waiting, json.dumps({"done": seconds, "total": limit, "unit": "seconds for vLLM to start"}))

    with served(command(job.model, job.settings, port), port, job.folder / "vllm.log", waiting) as url:
        # The pipeline's processes inherit it.
        os.environ[url_variable(job.name)] = url
        yield
