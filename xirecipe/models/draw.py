"""How one completion is drawn, token by token, from a model's logits."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from xirecipe.models.llama_cpp import Logits


@dataclass(frozen=True)
class EmbeddedSampling:
    """How one completion is drawn. Temperature comes first, then `top_k`, `top_p` and `min_p`.

    0, 1 and 0 leave these three out.
    """

    temperature: float = 0.7
    """0 takes the likeliest token."""
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    """The completion ends before the first of these."""
    seed: int = 0
    min_p: float = 0.0
    """Drops tokens less likely than this share of the likeliest one."""
    repetition_penalty: float = 1.0
    """Above 1 makes tokens already in this completion (not in the prompt) less likely."""

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0 or self.max_tokens < 1 or self.seed < 0 or "" in self.stop:
            raise ValueError(
                f"temperature, top_k and seed are at least 0, max_tokens 1, stop strings not empty: {self}"
            )
        if not (0 < self.top_p <= 1 and 0 <= self.min_p <= 1 and self.repetition_penalty > 0):
            raise ValueError(f"0 < top_p <= 1, 0 <= min_p <= 1 and repetition_penalty > 0: {self}")


@dataclass(frozen=True)
class Generated:
    """One completion. `prompt_tokens` counts the BOS token, `completion_tokens` every drawn token but an end mark."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: Literal["stop", "length"]


@dataclass
class Draw:
    """One completion on its way."""

    sampling: EmbeddedSampling
    sequence: int
    last: int
    tokens: list[int] = field(default_factory=list)
    data: bytes = b""
    finish: Literal["stop", "length"] | None = None

    def __post_init__(self) -> None:
        self._random = np.random.Generator(np.random.PCG64(self.sampling.seed))

    def choose(self, logits: Logits) -> int:
        """The next token: one uniform number a token, so that a seed means the same whatever the other draws do."""
        how = self.sampling
        if how.repetition_penalty != 1 and self.tokens:
            logits = logits.copy()
            seen = np.unique(self.tokens)
            logits[seen] = np.where(
                logits[seen] > 0, logits[seen] / how.repetition_penalty, logits[seen] * how.repetition_penalty
            )
        if how.temperature == 0:
            return int(logits.argmax())
        best = float(logits.max())
        # A sort of the whole vocabulary costs more than decoding the token: look at the likely tokens first.
        floor = np.log(how.min_p) if how.min_p > 0 else -20.0
        ids = np.flatnonzero(logits >= best + how.temperature * floor)
        if how.min_p == 0 and not 0 < how.top_k <= len(ids):
            ids = np.arange(len(logits))
        ids = ids[np.argsort(-logits[ids], kind="stable")]
        if how.top_k:
            ids = ids[: how.top_k]
        weights = np.exp((logits[ids].astype(np.float64) - best) / how.temperature)
        cumulative = np.cumsum(weights / weights.sum())
        if how.top_p < 1:
            cumulative = cumulative[: int(np.searchsorted(cumulative, how.top_p)) + 1]
        at = int(np.searchsorted(cumulative, self._random.random() * cumulative[-1], side="right"))
        return int(ids[min(at, len(cumulative) - 1)])

    def accept(self, token: int, piece: bytes | None) -> None:
        """Add a token's bytes (None: the model ended the text) and see whether the completion is over."""
        if piece is None:
            self.finish = "stop"
            return
        self.last = token
        self.tokens.append(token)
        before = len(self.data)
        self.data += piece
        # A stop string may begin in earlier tokens.
        ends = [self.data.find(stop, max(0, before - len(stop))) for stop in map(str.encode, self.sampling.stop)]
        if found := [end for end in ends if end >= 0]:
            self.data = self.data[: min(found)]
            self.finish = "stop"
        elif len(self.tokens) >= self.sampling.max_tokens:
            self.finish = "length"

    def text(self) -> str:
        """The text so far, without a character whose last bytes were never drawn."""
        return codecs.getincrementaldecoder("utf-8")("replace").decode(self.data, final=False)
