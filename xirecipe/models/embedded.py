"""A small GGUF model in this process, on the CPU: draws completions and scores given text exactly."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from xirecipe.models.chat import Frame, chat_frame
from xirecipe.models.draw import Draw, EmbeddedSampling, Generated
from xirecipe.models.llama_cpp import CHUNK, EmbeddedError, Lane, Logits, ModelFileError, library


class PromptTooLong(EmbeddedError):
    """A prompt and what must follow it do not fit the context. Both sides are in tokens."""

    def __init__(self, needed: int, context_tokens: int) -> None:
        self.needed = needed
        self.context_tokens = context_tokens
        super().__init__(f"the prompt and what follows it need {needed} tokens; the context holds {context_tokens}")


@dataclass(frozen=True)
class TokenScore:
    """The natural log of a continuation's probability, summed over its tokens, and their number."""

    log_prob: float
    tokens: int


class Weights:
    """A model file in memory, shared by several `EmbeddedModel`s; freed when the last of them is closed."""

    def __init__(self, path: Path, adapter: Path | None = None) -> None:
        """Raises `ModelFileError` where llama.cpp cannot read the file, or the adapter is not one of this model."""
        if not path.is_file():
            raise ModelFileError(f"no model file at {path}")
        self.lib = library()
        self.model: int | None = self.lib.llama_model_load_from_file(
            os.fsencode(path), self.lib.llama_model_default_params()
        )
        if not self.model:
            raise ModelFileError(f"llama.cpp cannot read {path} as a GGUF model")
        # Freed with the model.
        self.adapter: int | None = None
        if adapter is not None:
            self.adapter = self.lib.llama_adapter_lora_init(self.model, os.fsencode(adapter))
            if not self.adapter:
                self.lib.llama_model_free(self.model)
                raise ModelFileError(f"llama.cpp cannot put {adapter} on {path.name} as a LoRA adapter")
        self.vocab = self.lib.llama_model_get_vocab(self.model)
        self.vocab_size = int(self.lib.llama_vocab_n_tokens(self.vocab))
        # Gemma writes nonsense without its BOS token; models that want none say so in the file.
        self.start = [int(self.lib.llama_vocab_bos(self.vocab))] if self.lib.llama_vocab_get_add_bos(self.vocab) else []
        self._users = 0
        self._lock = threading.Lock()

    @cached_property
    def frame(self) -> Frame:
        """What the model's chat template puts around a user message. Raises `EmbeddedError` where it has none."""
        template = self.lib.llama_model_chat_template(self.model, None)
        if not template:
            raise EmbeddedError("this model has no chat template; it wants `prompt_format: completion`")
        return chat_frame(template.decode())

    def acquire(self) -> None:
        with self._lock:
            self._users += 1

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self.model:
                self.lib.llama_model_free(self.model)
                self.model = None


class EmbeddedModel:
    """One GGUF model, held in memory until `close`. Calls from several threads take turns.

    The same call gives the same answer whatever was asked before, on one machine with one number of threads.
    """

    def __init__(
        self, weights: Weights | Path, *, context_tokens: int = 2048, threads: int = 1, sequences: int = 8
    ) -> None:
        """Use `weights`, or load them. `sequences` is how many completions of one prompt are drawn at once.

        One thread by default: llama.cpp's threads wait for one another by spinning, which on two cores that something
        else uses too made a completion nine times slower than one thread. Several models over the same weights use
        several cores better.
        """
        if not 1 <= sequences < CHUNK:
            raise ValueError(f"sequences must be from 1 to {CHUNK - 1}, not {sequences}")
        self._weights = weights if isinstance(weights, Weights) else Weights(weights)
        self._weights.acquire()
        self._lib, self._vocab = self._weights.lib, self._weights.vocab
        self._start = self._weights.start
        self._context_tokens = context_tokens
        self._sequences = sequences
        self._closed = False
        self._lock = threading.Lock()
        # Two contexts over the same weights: scoring between two draws must not evict the exemplars' cache.
        self._drawing, self._scoring = (
            Lane(self._lib, self._weights.model or 0, self._weights.vocab_size, context_tokens, count, threads)
            for count in (sequences + 1, 1)
        )
        if self._weights.adapter:
            for lane in (self._drawing, self._scoring):
                lane.adapt(self._weights.adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the caches, and the weights when nobody else uses them. Calling it again does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._drawing.free()
                self._scoring.free()
                self._weights.release()

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` has, without BOS."""
        with self._lock:
            return len(self._tokens(text))

    def prompt_tokens(self, prompt: str, *, chat: bool = False) -> list[int]:
        """A prompt's tokens as `generate` and `log_likelihoods` read it: BOS first, the chat template around it."""
        with self._lock:
            return self._prompt(prompt, chat)

    @property
    def frame(self) -> Frame:
        """What the model's chat template puts around a user message. Raises `EmbeddedError` where it has none."""
        return self._weights.frame

    def tokens(self, text: str, *, control: bool = False) -> list[int]:
        """Tokens of `text`, without BOS. With `control`, a control token's name is that token."""
        with self._lock:
            return self._tokens(text, control=control)

    def generate(self, prompt: str, samplings: Sequence[EmbeddedSampling], *, chat: bool = False) -> list[Generated]:
        """One completion of `prompt` for each sampling, in their order; draws share the prompt's cache.

        `chat` puts the model's chat template around the prompt. A prompt that begins with the tokens of the last one
        only decodes what is new. Raises `PromptTooLong`.
        """
        with self._lock:
            prompt_tokens = self._prompt(prompt, chat)
            longest = max((sampling.max_tokens for sampling in samplings), default=0)
            self._require(len(prompt_tokens) + longest)
            # Parallel draws share the context's cells, so only so many run at once that all can reach their end.
            room = self._context_tokens - len(prompt_tokens)
            wave = min(self._sequences, room // longest) if samplings else 1
            drawn: list[Generated] = []
            for start in range(0, len(samplings), wave):
                drawn += self._draw_together(prompt_tokens, samplings[start : start + wave])
            return drawn

    def log_likelihoods(self, prefix: str, continuations: Sequence[str], *, chat: bool = False) -> list[TokenScore]:
        """log p(continuation | BOS, prefix) of each continuation. Raises `PromptTooLong`.

        Prefix and continuation are split into tokens apart: a continuation then has the same tokens behind every
        prefix, so that differences between prefixes are about the text and not about how the seam was cut, and a
        prefix's cache serves all continuations. End the prefix in a line break (not in a space): no token crosses a
        line break, so the split is then also the one of the joined text. An empty prefix gives log p(text) alone.

        A score repeats to the last bit, yet the quantized arithmetic rounds coarsely: decoding the same 100 tokens in
        other chunks moves their sum by about 1.5 nats. Smaller differences between prefixes mean nothing.
        """
        with self._lock:
            held = self._prompt(prefix, chat)
            if not held:
                raise EmbeddedError("this model has no BOS token: an empty prefix gives nothing to condition on")
            return [self._score(held, self._tokens(text)) for text in continuations]

    def _score(self, prefix: list[int], tokens: list[int]) -> TokenScore:
        lane = self._scoring
        self._require(len(prefix) + len(tokens))
        lane.hold(prefix[:-1])
        feed = [prefix[-1], *tokens[:-1]] if tokens else []
        total = 0.0
        for start in range(0, len(feed), CHUNK):
            part = feed[start : start + CHUNK]
            first = len(prefix) - 1 + start
            lane.decode(part, range(first, first + len(part)), [0] * len(part), logits=True)
            for row, token in enumerate(tokens[start : start + CHUNK]):
                total += _log_probability(lane.logits(row), token)
        lane.cut(0, len(prefix) - 1)
        return TokenScore(total, len(tokens))

    def _draw_together(self, prompt: list[int], samplings: Sequence[EmbeddedSampling]) -> list[Generated]:
        lane = self._drawing
        lane.hold(prompt[:-1])
        draws = [Draw(sampling, sequence, prompt[-1]) for sequence, sampling in enumerate(samplings, start=1)]
        for draw in draws:
            lane.share(draw.sequence)
        try:
            position = len(prompt) - 1
            while active := [draw for draw in draws if draw.finish is None]:
                lane.decode(
                    [draw.last for draw in active],
                    [position] * len(active),
                    [draw.sequence for draw in active],
                    logits=True,
                )
                position += 1
                for row, draw in enumerate(active):
                    token = draw.choose(lane.logits(row))
                    draw.accept(token, None if self._lib.llama_vocab_is_eog(self._vocab, token) else self._piece(token))
        finally:
            for draw in draws:
                lane.cut(draw.sequence, 0)
        return [
            Generated(draw.text(), len(prompt), len(draw.tokens), "stop" if draw.finish == "stop" else "length")
            for draw in draws
        ]

    def _prompt(self, text: str, chat: bool) -> list[int]:
        if not chat:
            return self._start + self._tokens(text)
        frame = self._weights.frame
        before = self._tokens(frame.before, control=True)
        if before[:1] == self._start:
            before = before[1:]
        return self._start + before + self._tokens(text) + self._tokens(frame.after, control=True)

    def _require(self, needed: int) -> None:
        if self._closed:
            raise EmbeddedError("the model is closed")
        if needed > self._context_tokens:
            raise PromptTooLong(needed, self._context_tokens)

    def _tokens(self, text: str, *, control: bool = False) -> list[int]:
        """Tokens of `text`. Without `control`, a control token's name is text: a document cannot end its own prompt."""
        self._require(0)
        data = text.encode()
        room = len(data) + 8
        out = (ctypes.c_int32 * room)()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), out, room, False, control)
        if count < 0:
            raise EmbeddedError(f"llama.cpp could not tokenize {len(data)} bytes")
        return list(out[:count])

    def _piece(self, token: int) -> bytes:
        """A token's bytes; a character may be spread over several tokens."""
        room = 256
        buffer = ctypes.create_string_buffer(room)
        length = self._lib.llama_token_to_piece(self._vocab, token, buffer, room, 0, False)
        if length < 0:
            raise EmbeddedError(f"token {token} is longer than {room} bytes")
        return buffer.raw[:length]


def _log_probability(logits: Logits, token: int) -> float:
    top = logits.max()
    shifted = logits - top
    gap = float(shifted[token])
    return gap - float(np.log(np.exp(shifted, out=shifted).sum(dtype=np.float64)))
