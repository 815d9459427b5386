"""The embedded model behind the client protocol: requests become calls into llama.cpp."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from xirecipe.fingerprint import file_digest
from xirecipe.models import embedded
from xirecipe.models.replies import log_sum_exp
from xirecipe.models.requests import Answer, Failure, FatalModelError, Request
from xirecipe.recipe.models import EmbeddedModel, Sampling
from xirecipe.settings import Settings

#: Requests handed over together at most: answers reach the completion log after every group.
GROUP = 8


class EmbeddedClient:
    """One GGUF model in this process. Draws of one prompt are decoded together and share its cache."""

    def __init__(self, model: EmbeddedModel, settings: Settings) -> None:
        """Loads the weights. Raises FatalModelError when they are absent, not the pinned ones, or cannot be used."""
        if model.prompt_format == "chat":
            raise FatalModelError(
                "no-chat-template",
                "the embedded engine writes prompts as they stand; it has no chat template",
                "`prompt_format: completion` with a base model, or serve the model with llama.cpp's server",
            )
        try:
            self._model = embedded.EmbeddedModel(
                weights(model), context_tokens=model.context_tokens, threads=settings.workers, sequences=GROUP
            )
        except embedded.EmbeddedError as error:
            raise FatalModelError("embedded-model", str(error), 'pip install "xirecipe"') from error

    async def answer(self, request: Request) -> Answer | Failure:
        return self.answer_together([request])[0]

    async def close(self) -> None:
        self._model.close()

    def answer_together(self, requests: Sequence[Request]) -> list[Answer | Failure]:
        """Answers to requests that share kind and prompt (see `groups`), in their order."""
        first = requests[0]
        try:
            match first.kind:
                case "complete":
                    return list(self._complete(first.prompt, requests))
                case "choose":
                    return [self._choose(request) for request in requests]
                case "score":
                    return list(self._score(first.prompt, requests))
        except embedded.PromptTooLong as error:
            if len(requests) > 1:
                # One long continuation must not fail the others.
                return [self.answer_together([request])[0] for request in requests]
            return [Failure("too_long", str(error))]

    def _complete(self, prompt: str, requests: Sequence[Request]) -> Iterable[Answer]:
        for made in self._model.generate(prompt, [_sampling(request) for request in requests]):
            yield Answer(made.text, made.finish_reason, made.prompt_tokens, made.completion_tokens)

    def _choose(self, request: Request) -> Answer:
        """Exact probabilities of every label, with and without a space before it, however many tokens it has."""
        variants = [form for label in request.labels for form in (label, f" {label}")]
        scores = self._model.log_likelihoods(request.prompt, variants)
        log_probs = {
            label: log_sum_exp([scores[2 * i].log_prob, scores[2 * i + 1].log_prob])
            for i, label in enumerate(request.labels)
        }
        tokens = self._model.count_tokens(request.prompt)
        return Answer(max(log_probs, key=log_probs.__getitem__), "stop", tokens, 1, label_log_probs=log_probs)

    def _score(self, prompt: str, requests: Sequence[Request]) -> Iterable[Answer]:
        tokens = self._model.count_tokens(prompt)
        scores = self._model.log_likelihoods(prompt, [request.continuation for request in requests])
        for score in scores:
            yield Answer("", "stop", tokens + score.tokens, 0, log_prob=score.log_prob, scored_tokens=score.tokens)


def groups(requests: Iterable[tuple[str, Request]]) -> list[list[tuple[str, Request]]]:
    """Keyed requests in groups of at most `GROUP` that share kind and prompt, in the order of their first members.

    Scores of one kind come together, because scoring and drawing each keep one prompt's cache.
    """
    shared: dict[tuple[str, str], list[tuple[str, Request]]] = {}
    for key, request in requests:
        shared.setdefault((request.kind, request.prompt), []).append((key, request))
    return [members[i : i + GROUP] for members in shared.values() for i in range(0, len(members), GROUP)]


def weights(model: EmbeddedModel) -> Path:
    """The model's file: put together from its registry package, or fetched from the Hub at the pinned revision.

    Raises FatalModelError when it cannot be had or its sha256 is not the recipe's.
    """
    if model.package:
        path = embedded.packaged_model(model.package)
    elif model.repository and model.file:
        path = _from_hub(model.repository, model.file, model.revision)
    else:
        raise FatalModelError("no-weights", "the model names no weights", "`package`, or `repository` and `file`")
    found = file_digest(path)
    if found != model.sha256:
        raise FatalModelError(
            "other-weights",
            f"{path} has sha256 {found}, the recipe says {model.sha256}",
            "remove the file and run again, or correct `sha256` and `revision`",
        )
    return path


def _from_hub(repository: str, file: str, revision: str) -> Path:
    # Imported late: it costs half a second and only this way of getting weights needs it.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        what = f"{repository}/{file} at {revision} cannot be fetched: {reason}"
        raise FatalModelError("no-weights", what, "check the network and HF_TOKEN") from error


def _sampling(request: Request) -> embedded.EmbeddedSampling:
    sampling = request.sampling or Sampling()
    return embedded.EmbeddedSampling(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k or 0,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed + request.draw,
    )
