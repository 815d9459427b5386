"""The weights that a training starts from, and their tokens exactly as the engine that asks the model makes them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from xirecipe.models.embedded import EmbeddedModel as LlamaCpp
from xirecipe.models.llama_cpp import EmbeddedError
from xirecipe.models.requests import FatalModelError
from xirecipe.models.weights import weights
from xirecipe.recipe.learning import Precision
from xirecipe.recipe.models import EmbeddedModel, VllmModel

#: CPU features with which bfloat16 products are faster than float32 ones (5-8 times on a CPU with AMX).
_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")


@dataclass(frozen=True)
class Tokens:
    """How texts become tokens for one model."""

    prompt: Callable[[str], list[int]]
    """What stands before an answer: BOS and the chat template included, where the model has them."""
    raw: Callable[[str], list[int]]
    """The same without the chat template."""
    answer: Callable[[str], list[int]]
    end_of_turn: list[int]
    """What a chat model ends its answer with."""
    end_of_text: list[int]
    """What any model ends with where no more is to come."""


@dataclass(frozen=True)
class Base:
    """A model in memory, ready to be trained."""

    model: Any
    tokenizer: Any
    tokens: Tokens
    context_tokens: int


def precision_of(wanted: Precision) -> str:
    """`bfloat16` or `float32`: what is wanted, or what this machine is fast in."""
    import torch

    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    flags = ""
    with contextlib.suppress(OSError):
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return "bfloat16" if any(flag in flags for flag in _BFLOAT16_FLAGS) else "float32"


def load_base(model: EmbeddedModel | VllmModel, precision: str) -> Base:
    """Weights, tokenizer and tokens of a recipe's model. Raises FatalModelError when they cannot be had."""
    import torch

    # Several GPUs share one model; the trainer would otherwise copy it to each.
    more = {"dtype": getattr(torch, precision), "device_map": "auto" if torch.cuda.is_available() else None}
    match model:
        case EmbeddedModel():
            return _from_gguf(model, more)
        case VllmModel():
            return _from_hub(model, more)
        case _:
            assert_never(model)


def _from_gguf(model: EmbeddedModel, more: dict[str, Any]) -> Base:
    """Dequantized weights; tokens are llama.cpp's own."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    file = weights(model)
    try:
        llama = LlamaCpp(file, context_tokens=model.context_tokens, sequences=1)
        chat = model.prompt_format == "chat"
        end = llama.tokens(llama.frame.end, control=True) if chat else []
    except EmbeddedError as error:
        raise FatalModelError("embedded-model", str(error)) from error
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    with _understood(str(file)):
        loaded = AutoModelForCausalLM.from_pretrained(**where, **more, quantization_config=GgufConfig(dequantize=True))
        tokenizer = AutoTokenizer.from_pretrained(**where)
    # These are plain weights now; marked as quantized, they would not be trained with float32 adapters.
    vars(loaded.config).pop("quantization_config", None)
    loaded.is_quantized, loaded.hf_quantizer, loaded.quantization_method = False, None, None
    tokens = Tokens(
        prompt=lambda text: llama.prompt_tokens(text, chat=chat),
        raw=llama.prompt_tokens,
        answer=llama.tokens,
        end_of_turn=end,
        end_of_text=end or _end_of_text(tokenizer),
    )
    return Base(loaded, tokenizer, tokens, model.context_tokens)


def _from_hub(model: VllmModel, more: dict[str, Any]) -> Base:
    """Weights of a Hub repository; tokens as vLLM makes them of a prompt or of one user message."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": model.model, "revision": model.revision}
    with _understood(f"{model.model} at {model.revision}"):
        loaded = AutoModelForCausalLM.from_pretrained(**where, **more)
        tokenizer = AutoTokenizer.from_pretrained(**where)

    def chat(text: str) -> list[int]:
        message = [{"role": "user", "content": text}]
        found = tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False)
        return [int(token) for token in found]

    def answer(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    end: list[int] = []
    if model.prompt_format == "chat":
        shown = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "\u241f"}]
        behind = tokenizer.apply_chat_template(shown, tokenize=False).partition("\u241f")[2].split()
        end = answer(behind[0]) if behind else [tokenizer.eos_token_id]

    def raw(text: str) -> list[int]:
        return list(tokenizer(text)["input_ids"])

    prompt = chat if model.prompt_format == "chat" else raw
    most = model.max_model_tokens or loaded.config.get_text_config().max_position_embeddings
    return Base(loaded, tokenizer, Tokens(prompt, raw, answer, end, end or _end_of_text(tokenizer)), most)


def _end_of_text(tokenizer: Any) -> list[int]:
    return [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]


@contextlib.contextmanager
def _understood(what: str) -> Any:
    """transformers' ways to say that weights cannot be had, as ours."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        message = f"transformers cannot load {what}: {reason}"
        raise FatalModelError(
            "no-weights", message, "check the network, HF_TOKEN, and that it knows this kind"
        ) from error
