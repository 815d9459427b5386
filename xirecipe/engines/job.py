"""What passes between the run and the process that asks: a folder with the requests, and what became of them.

    job.json         model, settings, budget; no URL and no key, which go through the environment
    requests.jsonl   {"key", "request"}, one a line
    failures.jsonl   {"key", "reason", "detail"}, appended as they happen
    waiting.json     what the asking waits for before the first answer (a server that starts)
    end.json         why the asking stopped early: a FatalModelError, or the budget
    engine.log       everything the engines print

Answers go into the store's completion log.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Self

from pydantic import TypeAdapter

from xirecipe.diagnostics import UserError
from xirecipe.disk import explained, write_whole
from xirecipe.engines.child import Handover
from xirecipe.models.completions import LogWriter
from xirecipe.models.requests import Answer, Failure, FatalModelError, Request
from xirecipe.recipe.models import Model
from xirecipe.settings import Settings
from xirecipe.spending import Spending

#: Where the key stands in a line of `requests.jsonl`: first, behind `{"key": "`.
_KEY = slice(9, 73)
_MODEL: TypeAdapter[Model] = TypeAdapter(Model)
_SETTINGS = [f.name for f in fields(Settings) if f.name not in ("environment", "store", "remote_store", "slurm")]


@dataclass(frozen=True)
class Job(Handover):
    """Requests to one model, and where their outcomes go."""

    model: Model
    name: str
    """The model's name in the recipe."""
    completions: Path
    """Folder of the completion logs."""
    settings: Settings
    spending: Spending | None

    @property
    def requests(self) -> Path:
        return self.folder / "requests.jsonl"

    @property
    def failures(self) -> Path:
        return self.folder / "failures.jsonl"

    @property
    def waiting(self) -> Path:
        return self.folder / "waiting.json"

    def write(self, requests: Iterable[tuple[str, Request]]) -> int:
        """Write the keyed requests, then `job.json`: where it stands, all is written. Returns how many requests."""
        self.folder.mkdir(parents=True, exist_ok=True)
        count = 0
        with self.requests.open("w", encoding="utf-8") as file:
            for key, request in requests:
                file.write(json.dumps({"key": key, "request": request.payload()}, ensure_ascii=False) + "\n")
                count += 1
        self.failures.touch()
        data = {
            "model": self.model.model_dump(mode="json"),
            "name": self.name,
            "completions": str(self.completions),
            "settings": {name: getattr(self.settings, name) for name in _SETTINGS},
            "spending": self.spending.to_payload() if self.spending else None,
        }
        write_whole(self.job, json.dumps(data, ensure_ascii=False, indent=2) + "\n")
        return count

    @staticmethod
    def written(folder: Path) -> bool:
        return Handover(folder).job.exists()

    @classmethod
    def read(cls, folder: Path, environment: dict[str, str]) -> Self:
        data = json.loads(Handover(folder).job.read_text(encoding="utf-8"))
        return cls(
            folder=folder,
            model=_MODEL.validate_python(data["model"]),
            name=data["name"],
            completions=Path(data["completions"]),
            settings=Settings(**data["settings"], environment=environment),
            spending=Spending.from_payload(data["spending"]) if data["spending"] else None,
        )

    def read_failures(self) -> dict[str, Failure]:
        """By request key. A request has one outcome, so a key stands here once."""
        with self.failures.open(encoding="utf-8") as file:
            records = [json.loads(line) for line in file if line.endswith("\n")]
        return {record["key"]: Failure(record["reason"], record["detail"]) for record in records}

    def read_end(self) -> dict[str, Any] | None:
        return json.loads(self.end.read_text(encoding="utf-8")) if self.end.exists() else None

    def places(self) -> Iterator[tuple[str, int]]:
        """Each request's key and its place (byte offset) in the file: small enough to travel through a pipeline."""
        with self.requests.open("rb") as file:
            offset = 0
            for line in file:
                yield line[_KEY].decode("ascii"), offset
                offset += len(line)


class Recorder:
    """The asking side of a job: reads requests, records outcomes at once, and knows when to stop asking."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._log = LogWriter(job.completions, job.model.identity)
        self._requests: BinaryIO = job.requests.open("rb")
        self._failures: BinaryIO = job.failures.open("ab", buffering=0)
        self._in_flight = 0

    def request(self, offset: int) -> Request:
        self._requests.seek(offset)
        return Request.from_payload(json.loads(self._requests.readline())["request"])

    @property
    def stopped(self) -> bool:
        return self._job.end.exists()

    def start(self, count: int = 1) -> int:
        """How many of `count` requests may be asked now. The budget may stop the job here.

        0 without `stopped`: the requests in flight use up the budget unless one of them fails, so look again later.
        """
        if self.stopped:
            return 0
        spending = self._job.spending
        if spending and spending.reached():
            self._stop({"why": "budget"})
            return 0
        allowed = 0
        while allowed < count and not (spending and spending.reached(self._in_flight)):
            self._in_flight += 1
            allowed += 1
        return allowed

    def record(self, key: str, outcome: Answer | Failure) -> str:
        """Keep the outcome of a request that was started, before anything else can happen. Returns it in a word."""
        self._in_flight -= 1
        if isinstance(outcome, Answer):
            self._log.append(key, outcome)
            if self._job.spending:
                self._job.spending.add(self._job.name, 1, outcome.prompt_tokens, outcome.completion_tokens)
            return "answered"
        line = json.dumps({"key": key, **asdict(outcome)}, ensure_ascii=False) + "\n"
        self._failures.write(line.encode())
        return outcome.reason

    def fatal(self, error: FatalModelError) -> None:
        """Stop asking: no further request can succeed."""
        self._stop({"why": "fatal", "code": error.code, "message": error.message, "hint": error.hint})

    def broken(self, error: Exception) -> None:
        """Stop asking after an exception: the user's where it is known (a full disk), our bug otherwise."""
        try:
            with explained(self._job.folder):
                raise error
        except FatalModelError as known:
            self.fatal(known)
        except UserError as known:
            diagnostic = known.diagnostics[0]
            self.fatal(FatalModelError(diagnostic.code, diagnostic.message, diagnostic.hint))
        except Exception:
            self._stop({"why": "bug", "traceback": "".join(traceback.format_exception(error))})

    def _stop(self, end: dict[str, Any]) -> None:
        if self.stopped:
            return
        try:
            write_whole(self._job.end, json.dumps(end, ensure_ascii=False) + "\n")
        except OSError as error:
            # Not even the reason can be written: ending is the only message left, and the run finds the full disk.
            print(f"{end}\n{error}", file=sys.stderr, flush=True)
            os._exit(74)

    def close(self) -> None:
        self._log.close()
        self._requests.close()
        self._failures.close()
