"""A model behind an OpenAI-compatible server: vLLM, llama.cpp, SGLang, a paid API.

On aiohttp itself, because it costs a thirtieth of httpx's CPU time a request.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import aiohttp

from xirecipe.models.pacing import Pace
from xirecipe.models.replies import Reply, answer_of, error_message, first_token_log_probs, label_log_probs, score_of
from xirecipe.models.requests import Answer, Failure, FatalModelError, Request, no_chat_template
from xirecipe.models.retries import TryAgain, crowded_seconds, retried, retry_after_seconds
from xirecipe.recipe.models import Sampling
from xirecipe.settings import PREFIX, Settings

#: How many likely first tokens to ask for when a label is to be chosen: the most that OpenAI and vLLM give, then what
#: older servers allow, then none. A server that refuses a number is asked for the next one from then on.
TOP_TOKENS = (20, 5, 0)
#: Tokens a server without log-probabilities may write before it names the label ("I would rate this a 3").
TEXT_CHOICE_TOKENS = 16
#: Ways to ask for log-probabilities of a prompt: `echo` (the older OpenAI way), then vLLM's own.
SCORE_WAYS: tuple[dict[str, Any], ...] = (
    {"max_tokens": 1, "echo": True, "logprobs": 1},
    {"max_tokens": 1, "prompt_logprobs": 0},
)
#: How OpenAI, vLLM, llama.cpp, SGLang and others say that prompt and answer do not fit.
_TOO_LONG = ("context length", "context_length", "context size", "context window", "too long", "maximum input")


class ServerClient:
    """One model on one server. Use it inside one event loop; `close` frees its connections.

    `answer` raises FatalModelError when no request can succeed: nothing listens, the key is refused, the model or the
    path is unknown, or so many requests in a row failed after all their attempts that the rest would too.
    """

    def __init__(
        self, model: str, name: str, prompt_format: str, settings: Settings, if_unknown: str | None = None
    ) -> None:
        """`model` is the server's name of the model, `name` the recipe's, which finds URL and key in the settings.

        `if_unknown` is the hint where the server does not know the model.
        """
        url = settings.model_url(name)
        example = f"export {url_variable(name)}=http://localhost:8000/v1"
        if not url:
            raise FatalModelError("no-model-url", f"no URL is set for the model `{name}`", example)
        if not url.startswith(("http://", "https://")):
            raise FatalModelError("bad-model-url", f"the URL of the model `{name}` is not one: {url}", example)
        self.url = url.rstrip("/")
        self.model, self._name, self._chat, self._settings = model, name, prompt_format == "chat", settings
        self._if_unknown = (
            if_unknown or f"`models.{name}.model` must be the server's name for it; {self.url}/models lists them"
        )
        self._key = settings.model_key(name)
        self._session: aiohttp.ClientSession | None = None
        self._pace = Pace(settings.requests_in_flight)
        self._replied = False
        self._last_answer = 0.0
        self._failed_in_a_row = 0
        self._top_tokens = list(TOP_TOKENS)
        self._score_ways = list(SCORE_WAYS)
        self._scores_known = False
        self._finding_score_way = asyncio.Lock()

    async def answer(self, request: Request) -> Answer | Failure:
        match request.kind:
            case "complete":
                outcome = await self._complete(request)
            case "choose":
                outcome = await self._choose(request)
            case "score":
                outcome = await self._score(request)
        self._watch(outcome)
        return outcome

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _complete(self, request: Request) -> Answer | Failure:
        sampling = request.sampling or Sampling()
        reply = await self._prompt(request.prompt, _sampled(sampling, request.draw))
        return reply if isinstance(reply, Failure) else answer_of(reply)

    async def _choose(self, request: Request) -> Answer | Failure:
        """The likeliest token, and the log-probability of every label among the likely first tokens."""
        while True:
            top = self._top_tokens[0]
            reply = await self._prompt(request.prompt, {"temperature": 0, **self._first_tokens(top)})
            if isinstance(reply, Failure):
                if reply.reason == "refused" and "logprob" in reply.detail.lower() and top:
                    self._step_down(top)
                    continue
                return reply
            answer = answer_of(reply)
            listed = first_token_log_probs(reply) if top else None
            if listed is not None:
                return Answer(**{**vars(answer), "label_log_probs": label_log_probs(listed, request.labels)})
            if not top or answer.text.strip() in request.labels:
                return answer
            self._top_tokens = [0]

    def _first_tokens(self, top: int) -> dict[str, Any]:
        if not top:
            return {"max_tokens": TEXT_CHOICE_TOKENS}
        return {"max_tokens": 1} | ({"logprobs": True, "top_logprobs": top} if self._chat else {"logprobs": top})

    def _step_down(self, refused: int) -> None:
        # Many requests may be refused at once: only the first of them moves on.
        if self._top_tokens[0] == refused:
            self._top_tokens.pop(0)

    async def _score(self, request: Request) -> Answer | Failure:
        """log p(continuation | prompt), in the first way that this server knows."""
        async with AsyncExitStack() as stack:
            if not self._scores_known:
                await stack.enter_async_context(self._finding_score_way)
            while self._score_ways:
                body = {"prompt": request.prompt + request.continuation, "temperature": 0, **self._score_ways[0]}
                reply = await self._post("/completions", body, optional=True)
                if not isinstance(reply, Failure):
                    scored = score_of(reply, request.prompt, request.continuation)
                    if scored is not None:
                        self._scores_known = True
                        answer = answer_of(reply)
                        return Answer("", "stop", answer.prompt_tokens, 0, log_prob=scored[0], scored_tokens=scored[1])
                elif reply.reason not in ("refused", "unsupported") or self._scores_known:
                    return reply
                if self._scores_known:
                    return Failure("server_error", "the reply holds no log-probabilities of the text that was sent")
                self._score_ways.pop(0)
        return Failure(
            "unsupported",
            f"{self.url} gives no log-probabilities of a prompt; vLLM does, or leave `judge.likelihood` out",
        )

    async def _prompt(self, prompt: str, body: dict[str, Any]) -> Reply | Failure:
        if self._chat:
            return await self._post("/chat/completions", {"messages": [{"role": "user", "content": prompt}], **body})
        return await self._post("/completions", {"prompt": prompt, **body})

    async def _post(self, path: str, body: dict[str, Any], *, optional: bool = False) -> Reply | Failure:
        """One request with its retries. `optional`: a server may lack this path (404 is then `unsupported`)."""
        whole = {"model": self.model, **body}
        try:
            return await retried(self._settings.request_attempts, lambda: self._patient_attempt(path, whole, optional))
        except TryAgain as error:
            if error.refused_connection:
                raise self._unreachable(error.failure.detail) from None
            return error.failure

    async def _patient_attempt(self, path: str, body: dict[str, Any], optional: bool) -> Reply | Failure:
        """One attempt. Being one too many (429) is none, as long as the server answers others: it is sent again."""
        loop = asyncio.get_running_loop()
        self._last_answer = self._last_answer or loop.time()
        for refusals in count():
            round = await self._pace.enter()
            try:
                reply = await self._attempt(path, body, optional)
            except TryAgain as error:
                if not error.too_many:
                    raise
                self._pace.refused(round, error.wait_seconds)
                if loop.time() - self._last_answer > self._settings.request_timeout_seconds:
                    raise
            else:
                self._pace.answered()
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
        if status == 429:
            seconds = retry_after_seconds(wait)
            if seconds > max(60.0, self._settings.request_timeout_seconds):
                what = f"{self.url} asks to wait {seconds:,.0f} seconds"
                raise FatalModelError("rate-limited", what, "run again then; answers are kept")
            raise TryAgain(Failure("server_error", detail), seconds, too_many=True)
        if optional and status in (404, 405, 501):
            return Failure("unsupported", detail)
        if status == 408 or status >= 500:
            raise TryAgain(Failure("server_error", detail), retry_after_seconds(wait))
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

    def _watch(self, outcome: Answer | Failure) -> None:
        """Stops a run whose server is up but answers nothing, before every request has gone through its attempts."""
        if not isinstance(outcome, Failure) or outcome.reason not in ("server_error", "timeout"):
            self._failed_in_a_row = 0
            return
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= max(20, 2 * self._settings.requests_in_flight):
            raise FatalModelError(
                "server-failing",
                f"{self.url} failed {self._failed_in_a_row} requests in a row; the last: {outcome.detail}",
                "look at the server's log, then run again",
            )

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
                connector=aiohttp.TCPConnector(limit=self._settings.requests_in_flight),
                trust_env=False,
            )
        return self._session


def url_variable(name: str) -> str:
    """The environment variable with the URL of the model called `name` in the recipe."""
    return f"{PREFIX}MODEL_URL_{name.upper().replace('-', '_')}"


def _sampled(sampling: Sampling, draw: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed + draw,
    }
    # Neither is sent when it is not set: OpenAI itself knows no top_k.
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.top_k is not None:
        body["top_k"] = sampling.top_k
    return body
