"""One OpenAI-compatible server over HTTP: its connection and pace, what is tried again, what its refusals mean.

On aiohttp itself, because it costs a thirtieth of httpx's CPU time a request.
"""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import Any

import aiohttp

from xirecipe.models.pacing import QUICK_RATIO, Pace
from xirecipe.models.replies import Reply, answer_of, error_message
from xirecipe.models.requests import Failure, FatalModelError, no_chat_template
from xirecipe.models.retries import TryAgain, crowded_seconds, retried, retry_after_seconds
from xirecipe.settings import PREFIX, Settings

#: How OpenAI, vLLM, llama.cpp, SGLang and others say that prompt and answer do not fit.
_TOO_LONG = ("context length", "context_length", "context size", "context window", "too long", "maximum input")


class Endpoint:
    """A model at a URL. Use it inside one event loop; `close` frees its connections.

    `post` raises FatalModelError when no request can succeed: nothing listens, the key is refused, the model or the
    path is unknown, or the server asks to come back much later.
    """

    def __init__(
        self,
        model: str,
        name: str,
        settings: Settings,
        *,
        if_unknown: str | None = None,
        most_in_flight: int | None = None,
    ) -> None:
        """`model` is the server's name of the model, `name` the recipe's, which finds URL and key in the settings.

        `if_unknown` is the hint where the server does not know the model. `most_in_flight` requests are sent at once
        where the server is quick enough, see Pace; without it, as many as the settings say.
        """
        url = settings.model_url(name)
        example = f"export {url_variable(name)}=http://localhost:8000/v1"
        if not url:
            raise FatalModelError("no-model-url", f"no URL is set for the model `{name}`", example)
        if not url.startswith(("http://", "https://")):
            raise FatalModelError("bad-model-url", f"the URL of the model `{name}` is not one: {url}", example)
        self.url = url.rstrip("/")
        self.model, self._name, self._settings = model, name, settings
        self._pace = Pace(
            settings.requests_in_flight,
            most_in_flight or settings.requests_in_flight,
            settings.request_timeout_seconds * QUICK_RATIO,
        )
        self._if_unknown = (
            if_unknown or f"`models.{name}.model` must be the server's name for it; {self.url}/models lists them"
        )
        self._key = settings.model_key(name)
        if self._key and not self._key.isprintable():
            message = f"the key for the model `{name}` has a line break or another control character"
            raise FatalModelError("bad-model-key", message, f"set {PREFIX}MODEL_KEY to the key alone")
        self._session: aiohttp.ClientSession | None = None
        self._replied = False
        self._last_answer = 0.0

    async def post(self, path: str, body: dict[str, Any], *, optional: bool = False) -> Reply | Failure:
        """One request with its retries. `optional`: a server may lack this path (404 is then `unsupported`).

        Raises FatalModelError, see the class.
        """
        whole = {"model": self.model, **body}
        try:
            return await retried(self._settings.request_attempts, lambda: self._patient_attempt(path, whole, optional))
        except TryAgain as error:
            if error.refused_connection:
                raise self._unreachable(error.failure.detail) from None
            return error.failure

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _patient_attempt(self, path: str, body: dict[str, Any], optional: bool) -> Reply | Failure:
        """One attempt. Being one too many (429) is none, as long as the server answers others: it is sent again."""
        loop = asyncio.get_running_loop()
        self._last_answer = self._last_answer or loop.time()
        for refusals in count():
            round = await self._pace.enter()
            begun = loop.time()
            try:
                reply = await self._attempt(path, body, optional)
            except TryAgain as error:
                if error.failure.reason == "timeout":
                    self._pace.timed_out(round)
                if not error.too_many:
                    raise
                self._pace.refused(round, error.wait_seconds)
                if loop.time() - self._last_answer > self._settings.request_timeout_seconds:
                    raise
            else:
                self._pace.answered(loop.time() - begun)
                self._last_answer = loop.time()
                return reply
            finally:
                await self._pace.leave()
            await asyncio.sleep(crowded_seconds(refusals))
        raise AssertionError

    async def _attempt(self, path: str, body: dict[str, Any], optional: bool) -> Reply | Failure:
        try:
            async with self._connection().post(self.url + path, json=body, allow_redirects=False) as response:
                status, text = response.status, await response.text(errors="replace")
                wait = response.headers.get("Retry-After", "")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            detail = self._safe(error)
            if not self._replied:
                raise self._unreachable(detail) from None
            raise TryAgain(Failure("server_error", detail), refused_connection=True) from None
        except aiohttp.InvalidURL:
            raise FatalModelError("bad-model-url", f"not a URL: {self.url}") from None
        except TimeoutError:
            seconds = self._settings.request_timeout_seconds
            raise TryAgain(Failure("timeout", f"no reply within {seconds:g} seconds")) from None
        except aiohttp.ClientError as error:
            raise TryAgain(Failure("server_error", self._safe(error))) from None
        self._replied = True
        if status == 200:
            return self._parse(text)
        return self._refusal(status, text, path, wait, optional)

    def _parse(self, text: str) -> Reply:
        try:
            reply = json.loads(text)
            answer_of(reply)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise TryAgain(Failure("server_error", f"not a completion: {self._safe(text)}")) from None
        assert isinstance(reply, dict)
        return reply

    def _refusal(self, status: int, text: str, path: str, wait: str, optional: bool) -> Failure:
        detail = f"HTTP {status}: {self._safe(error_message(text))}"
        if status in (401, 403):
            # The server's own words stay out: some repeat the key.
            raise FatalModelError(
                "server-refused-key",
                f"{self.url} refused the key for the model `{self._name}` (HTTP {status})",
                f"set {PREFIX}MODEL_KEY" if not self._key else f"check {PREFIX}MODEL_KEY",
            )
        if optional and status in (404, 405, 501):
            return Failure("unsupported", detail)
        if status in (408, 429) or status >= 500:
            seconds = retry_after_seconds(wait)
            if seconds > max(60.0, self._settings.request_timeout_seconds):
                what = f"{self.url} asks to wait {seconds:,.0f} seconds (HTTP {status})"
                raise FatalModelError("rate-limited", what, "run again then; answers are kept")
            raise TryAgain(Failure("server_error", detail), seconds, too_many=status == 429)
        if status == 404 and "model" in text.lower():
            raise FatalModelError(
                "unknown-model",
                f"{self.url} does not know the model `{self.model}`",
                self._if_unknown,
            )
        if 300 <= status < 400 or status in (404, 405):
            raise FatalModelError(
                "wrong-model-url",
                f"{self.url} has no {path} (HTTP {status})",
                f"{PREFIX}MODEL_URL usually ends in /v1",
            )
        if "provide a chat template" in text:
            raise no_chat_template()
        too_long = any(words in text.lower() for words in _TOO_LONG)
        return Failure("too_long" if too_long else "refused", detail)

    def _unreachable(self, detail: str) -> FatalModelError:
        return FatalModelError(
            "server-unreachable",
            f"no server for the model `{self._name}` at {self.url}: {detail}",
            f"start it, or set {url_variable(self._name)} (or {PREFIX}MODEL_URL) to its URL",
        )

    def _safe(self, words: object) -> str:
        """A server's or a library's words: one line, not endless, and never with the key."""
        text = " ".join(str(words).split())
        if self._key:
            text = text.replace(self._key, "***")
        return text[:300] or "(empty)"

    def _connection(self) -> aiohttp.ClientSession:
        if self._session is None:
            limit = self._settings.request_timeout_seconds
            self._session = aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {self._key}"} if self._key else None,
                # A host that swallows packets is known long before a slow answer would be.
                timeout=aiohttp.ClientTimeout(total=limit, sock_connect=min(10.0, limit / 2)),
                connector=aiohttp.TCPConnector(limit=self._pace.most),
                trust_env=False,
            )
        return self._session


def url_variable(name: str) -> str:
    """The environment variable with the URL of the model called `name` in the recipe."""
    return f"{PREFIX}MODEL_URL_{name.upper().replace('-', '_')}"
