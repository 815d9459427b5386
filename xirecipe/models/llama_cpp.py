"""llama.cpp's C interface, as far as used, and one context of it.

The shared library is the one inside the `xllamacpp` wheel: the packaged build that runs on an older C library and hands
out the logits of every position. The structures below are that release's (b11549); `library` refuses one whose default
values do not read back as they should.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]

CHUNK = 64
"""Tokens decoded at once. Reuse of a cached prefix stops at a multiple of it (see `Lane.hold`)."""


class EmbeddedError(Exception):
    """The embedded engine cannot be loaded, or llama.cpp refused a call."""


class ModelFileError(EmbeddedError):
    """A model file is absent, is not the pinned one, or is no GGUF model."""


class Lane:
    """A llama.cpp context: `context_tokens` cells shared by `sequences`; sequence 0 holds the cached prefix."""

    def __init__(
        self, lib: Any, model: int, vocab_size: int, context_tokens: int, sequences: int, threads: int
    ) -> None:
        params = lib.llama_context_default_params()
        params.n_ctx = context_tokens
        params.n_batch = params.n_ubatch = CHUNK
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
        self._token = np.zeros(CHUNK, np.int32)
        self._position = np.zeros(CHUNK, np.int32)
        self._sequence = np.zeros(CHUNK, np.int32)
        self._wanted = np.zeros(CHUNK, np.int8)
        self._one = np.ones(CHUNK, np.int32)
        step = self._sequence.itemsize
        self._sequence_at = (ctypes.c_void_p * CHUNK)(*(self._sequence.ctypes.data + step * i for i in range(CHUNK)))

    def adapt(self, adapter: int) -> None:
        """Put a LoRA adapter on everything that this context decodes from now on."""
        held, scale = ctypes.c_void_p(adapter), ctypes.c_float(1.0)
        if self._lib.llama_set_adapters_lora(self._context, ctypes.byref(held), 1, ctypes.byref(scale)) != 0:
            raise EmbeddedError("llama.cpp could not put the adapter on the model")

    def free(self) -> None:
        if self._context:
            self._lib.llama_free(self._context)
        self._context = None

    def hold(self, tokens: list[int]) -> None:
        """Make sequence 0 hold exactly `tokens`, decoding only what is new.

        Rounding depends on how many tokens are decoded together. So whole chunks at fixed places are reused and the
        rest is decoded again: every state is reached in the same steps, and no result depends on earlier calls.
        """
        if tokens == self._held:
            return
        same = next(
            (i for i, (a, b) in enumerate(zip(tokens, self._held, strict=False)) if a != b),
            min(len(tokens), len(self._held)),
        )
        keep = same - same % CHUNK
        self.cut(0, keep)
        for start in range(keep, len(tokens), CHUNK):
            part = tokens[start : start + CHUNK]
            self.decode(part, range(start, start + len(part)), [0] * len(part), logits=False)
        self._held = tokens

    def share(self, sequence: int) -> None:
        """Let `sequence` begin with what sequence 0 holds."""
        self._lib.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)

    def cut(self, sequence: int, length: int) -> None:
        """Forget what `sequence` holds from position `length` on."""
        if not self._lib.llama_memory_seq_rm(self._memory, sequence, length, -1):
            raise EmbeddedError(f"llama.cpp could not cut sequence {sequence} to {length} tokens")
        if sequence == 0:
            self._held = self._held[:length]

    def decode(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[int], *, logits: bool
    ) -> None:
        """Run up to `CHUNK` tokens through the model, each at its position of its sequence."""
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
    "llama_model_chat_template": (ctypes.c_char_p, [_P, ctypes.c_char_p]),
    "llama_adapter_lora_init": (_P, [_P, ctypes.c_char_p]),
    "llama_set_adapters_lora": (_I, [_P, _P, ctypes.c_size_t, _P]),
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
def library() -> Any:
    """llama.cpp inside the installed `xllamacpp`, muted.

    Raises `EmbeddedError` where it is absent or of another layout.
    """
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
