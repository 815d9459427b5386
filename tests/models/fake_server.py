"""A real HTTP server on loopback that answers like an OpenAI-compatible model server, as fast, slow or broken as told.

In tests it is the fixture `fake_server`; as a process that survives its client (kill tests) it is
`python -m tests.models.fake_server --port-file F --calls-file F [--delay SECONDS]`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

Body = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request, instead of an answer."""

    kind: Literal["status", "hang", "drop", "garbage", "empty_body"] = "status"
    status: int = 500
    message: str = "internal error"
    retry_after: str | None = None


def prompt_of(body: Body) -> str:
    """The user's words in a chat or completion request."""
    return str(body["messages"][-1]["content"] if "messages" in body else body["prompt"])


def written(body: Body) -> str:
    """The default answer: the same words for the same prompt and seed, others for others."""
    mark = hashlib.sha256(f"{prompt_of(body)}|{body.get('seed')}".encode()).hexdigest()[:8]
    return f"Write a short text about the topic {mark}."


@dataclass
class FakeServer:
    """Counts and keeps every request. Attributes may be changed between requests."""

    answer: Callable[[Body], str] = written
    label_log_probs: dict[str, float] | None = field(
        default_factory=lambda: {"3": math.log(0.6), " 3": math.log(0.1), "2": math.log(0.2), "1": math.log(0.05)}
    )
    """First tokens and their log-probabilities, for requests that ask for them. None: a server that gives none."""
    most_top_tokens: int = 20
    """A request for more is refused, as vLLM does."""
    prompt_log_probs: Literal["echo", "vllm"] | None = "echo"
    """How log-probabilities of a prompt are given. Every word is a token with log-probability -0.5."""
    delay: float = 0.0
    models: tuple[str, ...] = ("fake",)
    key: str | None = None
    """When set, other keys are refused with 401."""
    calls: list[Body] = field(default_factory=list)
    """Bodies of all requests, those that were failed too, in the order of arrival; with `path` added."""
    calls_file: Path | None = None
    """One line for each answered request: its body."""
    at_once: int = 0
    """Requests being handled now, the one that is looked at among them."""
    most_at_once: int = 0
    url: str = ""
    _faults: list[Fault] = field(default_factory=list)
    _always: Callable[[Body], Fault | None] = lambda body: None

    def fail_next(self, *faults: Fault) -> None:
        """The next requests fail so, one each; then it answers again."""
        self._faults += faults

    def fail_when(self, fault: Callable[[Body], Fault | None]) -> None:
        """Each request for which `fault` gives one fails so."""
        self._always = fault

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def start(self, port: int = 0) -> int:
        """Listen on a free port, or on `port`. Returns it."""
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/chat/completions", self._handle)
        app.router.add_post("/v1/completions", self._handle)
        app.router.add_get("/health", self._health)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        port = int(self._runner.addresses[0][1])
        self.url = f"http://127.0.0.1:{port}/v1"
        return port

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.calls.append({**body, "path": request.path})
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            fault = self._always(body) or (self._faults.pop(0) if self._faults else None)
            if fault is not None:
                return await self._fail(request, fault)
            if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
                sent = request.headers.get("Authorization", "none")
                return _error(401, f"Incorrect API key provided: {sent}")
            if body.get("model") not in self.models:
                return _error(404, f"The model `{body.get('model')}` does not exist.")
            top = body.get("top_logprobs", body.get("logprobs") if "messages" not in body else 0) or 0
            if top > self.most_top_tokens:
                return _error(
                    400, f"Requested logprobs of {top}, greater than the most allowed: {self.most_top_tokens}"
                )
            await asyncio.sleep(self.delay)
            reply = self._reply(body)
        finally:
            self.at_once -= 1
        if self.calls_file is not None:
            with self.calls_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(body, ensure_ascii=False) + "\n")
        return web.json_response(reply)

    async def _fail(self, request: web.Request, fault: Fault) -> web.Response:
        match fault.kind:
            case "status":
                headers = {"Retry-After": fault.retry_after} if fault.retry_after else None
                return _error(fault.status, fault.message, headers)
            case "hang":
                await asyncio.sleep(30)
            case "drop":
                assert request.transport is not None
                request.transport.close()
            case "garbage":
                return web.Response(text="<html>not what you asked for", content_type="application/json")
        return web.Response(text="", content_type="application/json")

    def _reply(self, body: Body) -> Body:
        prompt = prompt_of(body)
        choice: Body = {"index": 0, "finish_reason": "stop", "logprobs": None}
        wants_labels = body.get("max_tokens") == 1 and not body.get("echo") and bool(body.get("logprobs"))
        if wants_labels and self.label_log_probs:
            text = max(self.label_log_probs, key=self.label_log_probs.__getitem__)
            choice["logprobs"] = self._first_tokens(chat="messages" in body)
        elif body.get("echo") or "prompt_logprobs" in body:
            text = " ok"
            choice |= self._prompt_log_probs(body, prompt, text)
            text = prompt + text if body.get("echo") else text
        else:
            text = self.answer(body)
        choice |= {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
        return {"id": "fake", "object": "completion", "model": body["model"], "choices": [choice], "usage": usage}

    def _first_tokens(self, *, chat: bool) -> Body:
        assert self.label_log_probs is not None
        if chat:
            top = [{"token": token, "logprob": p} for token, p in self.label_log_probs.items()]
            return {"content": [{**top[0], "top_logprobs": top}]}
        return {"tokens": ["3"], "token_logprobs": [0.0], "top_logprobs": [dict(self.label_log_probs)]}

    def _prompt_log_probs(self, body: Body, prompt: str, text: str) -> Body:
        words = [word if at == 0 else f" {word}" for at, word in enumerate(prompt.split(" "))]
        if self.prompt_log_probs == "echo" and body.get("echo"):
            values = [None] + [-0.5] * (len(words) - 1)
            return {"logprobs": {"tokens": [*words, text], "token_logprobs": [*values, -9.0], "top_logprobs": None}}
        if self.prompt_log_probs == "vllm" and "prompt_logprobs" in body:
            entries = [{str(at): {"logprob": -0.5, "rank": 1, "decoded_token": word}} for at, word in enumerate(words)]
            return {"prompt_logprobs": [None, {"2": {"logprob": -1.0, "decoded_token": "<bos>"}}, *entries]}
        return {}


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status, headers=headers)


async def serve(port_file: Path, calls_file: Path, delay: float) -> None:
    server = FakeServer(delay=delay, calls_file=calls_file)
    port = await server.start()
    temporary = port_file.with_suffix(".tmp")
    temporary.write_text(str(port), encoding="utf-8")
    temporary.replace(port_file)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port-file", type=Path, required=True, help="the port is written here once it listens")
    parser.add_argument("--calls-file", type=Path, required=True, help="each answered request's body is appended here")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    given = parser.parse_args()
    asyncio.run(serve(given.port_file, given.calls_file, given.delay))
