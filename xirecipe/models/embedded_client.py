"""The embedded model behind the client protocol: requests become calls into llama.cpp."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from queue import SimpleQueue

from xirecipe.models import embedded
from xirecipe.models.draw import EmbeddedSampling
from xirecipe.models.llama_cpp import EmbeddedError
from xirecipe.models.replies import log_sum_exp
from xirecipe.models.requests import Answer, Failure, FatalModelError, Request
from xirecipe.models.weights import adapter_of, weights
from xirecipe.recipe.models import EmbeddedModel, Sampling
from xirecipe.settings import Settings

#: Requests handed over together at most: answers reach the completion log after every group.
GROUP = 8


class EmbeddedClient:
    """One GGUF model in this process. Draws of one prompt are decoded together and share its cache."""

    def __init__(self, model: EmbeddedModel, settings: Settings) -> None:
        """Loads the weights. Raises FatalModelError when they are absent, not the pinned ones, or cannot be used."""
        self._chat = model.prompt_format == "chat"
        try:
            shared = embedded.Weights(weights(model), adapter_of(model))
            if self._chat:
                _ = shared.frame
            self._models = [
                embedded.EmbeddedModel(shared, context_tokens=model.context_tokens, sequences=GROUP)
                for _ in range(settings.workers)
            ]
        except EmbeddedError as error:
            raise FatalModelError("embedded-model", str(error)) from error
        self._free: SimpleQueue[embedded.EmbeddedModel] = SimpleQueue()
        for each in self._models:
            self._free.put(each)

    @property
    def workers(self) -> int:
        """How many calls of `answer_together` run at once; more wait for their turn."""
        return len(self._models)

    async def answer(self, request: Request) -> Answer | Failure:
        return self.answer_together([request])[0]

    async def close(self) -> None:
        for each in self._models:
            each.close()

    def answer_together(self, requests: Sequence[Request]) -> list[Answer | Failure]:
        """Answers to requests that share kind and prompt (see `groups`), in their order."""
        model = self._free.get()
        try:
            return self._answer_with(model, requests)
        finally:
            self._free.put(model)

    def _answer_with(self, model: embedded.EmbeddedModel, requests: Sequence[Request]) -> list[Answer | Failure]:
        first = requests[0]
        try:
            match first.kind:
                case "complete":
                    return list(self._complete(model, first.prompt, requests))
                case "choose":
                    return [self._choose(model, request) for request in requests]
                case "score":
                    return list(_scores(model, first.prompt, requests))
        except embedded.PromptTooLong as error:
            if len(requests) > 1:
                # One long continuation must not fail the others.
                return [self._answer_with(model, [request])[0] for request in requests]
            return [Failure("too_long", str(error))]

    def _complete(self, model: embedded.EmbeddedModel, prompt: str, requests: Sequence[Request]) -> Iterable[Answer]:
        samplings = [_sampling(request) for request in requests]
        for made in model.generate(prompt, samplings, chat=self._chat):
            yield Answer(made.text, made.finish_reason, made.prompt_tokens, made.completion_tokens)

    def _choose(self, model: embedded.EmbeddedModel, request: Request) -> Answer:
        """Exact probabilities of every label, with and without a space before it, however many tokens it has."""
        variants = [form for label in request.labels for form in (label, f" {label}")]
        scores = model.log_likelihoods(request.prompt, variants, chat=self._chat)
        log_probs = {
            label: log_sum_exp([scores[2 * i].log_prob, scores[2 * i + 1].log_prob])
            for i, label in enumerate(request.labels)
        }
        tokens = model.count_tokens(request.prompt)
        return Answer(max(log_probs, key=log_probs.__getitem__), "stop", tokens, 1, label_log_probs=log_probs)


def _scores(model: embedded.EmbeddedModel, prompt: str, requests: Sequence[Request]) -> Iterable[Answer]:
    tokens = model.count_tokens(prompt)
    for score in model.log_likelihoods(prompt, [request.continuation for request in requests]):
        yield Answer("", "stop", tokens + score.tokens, 0, log_prob=score.log_prob, scored_tokens=score.tokens)


def groups(requests: Iterable[tuple[str, Request]]) -> list[list[tuple[str, Request]]]:
    """Keyed requests in groups of at most `GROUP` that share kind and prompt, in the order of their first members.

    Scores of one kind come together, because scoring and drawing each keep one prompt's cache.
    """
    shared: dict[tuple[str, str], list[tuple[str, Request]]] = {}
    for key, request in requests:
        shared.setdefault((request.kind, request.prompt), []).append((key, request))
    return [members[i : i + GROUP] for members in shared.values() for i in range(0, len(members), GROUP)]


def _sampling(request: Request) -> EmbeddedSampling:
    sampling = request.sampling or Sampling()
    return EmbeddedSampling(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k or 0,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed + request.draw,
    )
