"""One question to a model and its answer, whatever engine carries it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from xirecipe.fingerprint import digest
from xirecipe.recipe.models import Sampling

RequestKind = Literal["complete", "choose", "score"]


@dataclass(frozen=True)
class Request:
    """`complete`: write a text. `choose`: which of `labels` comes next. `score`: log-probability of `continuation`.

    `prompt` is the user message of a chat model, or the raw text before the answer (`prompt_format: completion`, and
    always for `score`).
    """

    kind: RequestKind
    prompt: str
    sampling: Sampling | None = None
    draw: int = 0
    labels: tuple[str, ...] = ()
    continuation: str = ""

    def payload(self) -> dict[str, Any]:
        sampling = self.sampling.model_dump(mode="json", exclude_defaults=True) if self.sampling else None
        return {**asdict(self), "labels": list(self.labels), "sampling": sampling}

    @classmethod
    def from_payload(cls, data: dict[str, Any]) -> Self:
        sampling = None if data["sampling"] is None else Sampling.model_validate(data["sampling"])
        return cls(**{**data, "labels": tuple(data["labels"]), "sampling": sampling})

    def key(self, identity: dict[str, Any]) -> str:
        """sha256 over (model identity, kind, messages, sampling, draw, labels, continuation)."""
        return digest([identity, self.payload()])


@dataclass(frozen=True)
class Answer:
    """What came back. Log-probabilities are natural logarithms."""

    text: str = ""
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    label_log_probs: dict[str, float] | None = None
    """For `choose`: log-probability of each label, where the server gives them."""
    log_prob: float | None = None
    """For `score`: summed over the continuation's tokens."""
    scored_tokens: int = 0


@dataclass(frozen=True)
class Failure:
    """A request that got no answer. Not logged as answered, so the next run asks again."""

    reason: Literal["timeout", "server_error", "refused", "too_long", "unsupported"]
    detail: str


class FatalModelError(Exception):
    """No request can succeed: server down, wrong key, model unknown. `code` and `hint` become a diagnostic."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def no_chat_template() -> FatalModelError:
    """What a base model says to a chat message."""
    message = "the model has no chat template: it continues texts and answers no messages"
    return FatalModelError("no-chat-template", message, "set `models.<name>.prompt_format: completion`")
