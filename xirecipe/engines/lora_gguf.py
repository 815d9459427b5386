"""A PEFT adapter as a GGUF file that llama.cpp puts on a model, as its own convert_lora_to_gguf.py writes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What PEFT puts before the name of a module.
_PREFIX = "base_model.model."
#: llama.cpp's names of architectures, where transformers has another one.
_ARCHITECTURES = {"gemma3_text": "gemma3", "mistral": "llama"}


@dataclass(frozen=True)
class GgufFacts:
    """What an adapter must know of the GGUF model that it is for."""

    architecture: str
    """`general.architecture`: `gemma3`, `llama`, `qwen3` ..."""
    blocks: int
    heads: int
    key_value_heads: int


def gguf_facts(config: Any) -> GgufFacts:
    """The same out of a transformers config of the model."""
    return GgufFacts(
        _ARCHITECTURES.get(config.model_type, config.model_type), config.num_hidden_layers,
        config.num_attention_heads, config.num_key_value_heads,
    )  # fmt: skip


def write_adapter(tensors: dict[str, NDArray[Any]], alpha: float, base: GgufFacts, path: Path) -> None:
    """Write the adapter's matrices in float16.

    `tensors` are named and shaped as in adapter_model.safetensors: `<module>.lora_A.weight` (rank, in) and
    `<module>.lora_B.weight` (out, rank). Raises ValueError for a module that llama.cpp's model has no tensor for.
    """
    import gguf

    architecture = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}.get(base.architecture)
    if architecture is None:
        raise ValueError(f"`{base.architecture}` is no architecture that the package `gguf` knows")
    names = gguf.TensorNameMap(architecture, base.blocks)
    writer = gguf.GGUFWriter(path, base.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for key in sorted(tensors):
        module, _, which = key.removesuffix(".weight").rpartition(".lora_")
        name = names.get_name(module.removeprefix(_PREFIX))
        if name is None or which not in ("A", "B"):
            raise ValueError(f"llama.cpp has no tensor for {key}")
        tensor = tensors[key]
        if which == "B" and base.architecture == "llama":
            tensor = _reordered(tensor, module, base)
        writer.add_tensor(f"{name}.weight.lora_{which.lower()}", np.ascontiguousarray(tensor, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _reordered(tensor: NDArray[Any], module: str, base: GgufFacts) -> NDArray[Any]:
    """Rows of queries and keys as llama.cpp's Llama has them: the two halves that are turned together, interleaved."""
    heads = {"q_proj": base.heads, "k_proj": base.key_value_heads}.get(module.rpartition(".")[2])
    if heads is None:
        return tensor
    rows, rank = tensor.shape
    return tensor.reshape(heads, 2, rows // heads // 2, rank).swapaxes(1, 2).reshape(rows, rank)
