"""A model behind an OpenAI-compatible server: vLLM, llama.cpp, SGLang, a paid API. What is sent for each request."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from xirecipe.models.endpoint import Endpoint
from xirecipe.models.replies import Reply, answer_of, first_token_log_probs, label_log_probs, score_of
from xirecipe.models.requests import Answer, Failure, FatalModelError, Request
from xirecipe.recipe.models import Sampling
from xirecipe.settings import Settings

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
#: So many requests may be refused before a way is no longer tried: one may have been refused for its own sake.
MOST_REFUSALS = 3


class ServerClient:
    """One model on one server. Use it inside one event loop; `close` frees its connections.

    `answer` raises FatalModelError when no request can succeed: nothing listens, the key is refused, the model or the
    path is unknown, or so many requests in a row failed after all their attempts that the rest would too.
    """

    def __init__(
        self,
        model: str,
        name: str,
        prompt_format: str,
        settings: Settings,
        *,
        if_unknown: str | None = None,
        most_in_flight: int | None = None,
    ) -> None:
        """See Endpoint."""
        self.endpoint = Endpoint(model, name, settings, if_unknown=if_unknown, most_in_flight=most_in_flight)
        self._chat, self._settings = prompt_format == "chat", settings
        self._failed_in_a_row = 0
        self._top_tokens = list(TOP_TOKENS)
        self._labels_known = False
        self._score_ways = dict.fromkeys(range(len(SCORE_WAYS)), 0)
        """How many requests were refused in each way that is left."""
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
        await self.endpoint.close()

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
                self._labels_known = True
                return Answer(**{**vars(answer), "label_log_probs": label_log_probs(listed, request.labels)})
            # A server that gives them and did not now: an answer of no token, say. The others are asked as before.
            if not top or self._labels_known or answer.text.strip() in request.labels:
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
        refused: Failure | None = None
        async with AsyncExitStack() as stack:
            if not self._scores_known:
                await stack.enter_async_context(self._finding_score_way)
            for way in list(self._score_ways):
                body = {"prompt": request.prompt + request.continuation, "temperature": 0, **SCORE_WAYS[way]}
                reply = await self.endpoint.post("/completions", body, optional=True)
                if not isinstance(reply, Failure):
                    scored = score_of(reply, request.prompt, request.continuation)
                    if scored is not None:
                        self._scores_known, self._score_ways = True, {way: 0}
                        answer = answer_of(reply)
                        return Answer("", "stop", answer.prompt_tokens, 0, log_prob=scored[0], scored_tokens=scored[1])
                elif reply.reason not in ("refused", "unsupported") or self._scores_known:
                    return reply
                elif reply.reason == "refused":
                    refused = reply
                    self._score_ways[way] += 1
                    if self._score_ways[way] < MOST_REFUSALS:
                        continue
                if self._scores_known:
                    return Failure("server_error", "the reply holds no log-probabilities of the text that was sent")
                del self._score_ways[way]
        if refused is not None and self._score_ways:
            return refused
        return Failure(
            "unsupported",
            f"{self.endpoint.url} gives no log-probabilities of a prompt; vLLM does, or leave `judge.likelihood` out",
        )

    async def _prompt(self, prompt: str, body: dict[str, Any]) -> Reply | Failure:
        if self._chat:
            message = {"role": "user", "content": prompt}
            return await self.endpoint.post("/chat/completions", {"messages": [message], **body})
        return await self.endpoint.post("/completions", {"prompt": prompt, **body})

    def _watch(self, outcome: Answer | Failure) -> None:
        """Stops a run whose server is up but answers nothing, before every request has gone through its attempts."""
        if not isinstance(outcome, Failure) or outcome.reason not in ("server_error", "timeout"):
            self._failed_in_a_row = 0
            return
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= max(20, 2 * self._settings.requests_in_flight):
            raise FatalModelError(
                "server-failing",
                f"{self.endpoint.url} failed {self._failed_in_a_row} requests in a row; the last: {outcome.detail}",
                "look at the server's log, then run again",
            )


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
