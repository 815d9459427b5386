"""An adapter in llama.cpp's file: its tensors' names, shapes and order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xirecipe.engines.lora_gguf import GgufFacts, write_adapter

gguf = pytest.importorskip("gguf")

RANK, HIDDEN, HEADS, WIDTH = 2, 8, 2, 4


def tensors(module: str, rows: int = HEADS * WIDTH) -> dict[str, NDArray[Any]]:
    key = f"base_model.model.model.layers.1.{module}"
    return {
        f"{key}.lora_A.weight": np.arange(RANK * HIDDEN, dtype=np.float32).reshape(RANK, HIDDEN),
        f"{key}.lora_B.weight": np.arange(rows * RANK, dtype=np.float32).reshape(rows, RANK),
    }


def written(path: Path, of: dict[str, NDArray[Any]], architecture: str) -> Any:
    write_adapter(of, 32.0, GgufFacts(architecture, 2, HEADS, 1), path)
    return gguf.GGUFReader(path)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"), ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("architecture", ["gemma3", "qwen2", "qwen3", "llama"])
def test_every_linear_layer_has_the_name_that_llama_cpp_knows(
    tmp_path: Path, module: str, name: str, architecture: str
) -> None:
    reader = written(tmp_path / "a.gguf", tensors(module), architecture)
    found = {tensor.name: tuple(tensor.shape) for tensor in reader.tensors}
    # GGUF names the fastest axis first.
    assert found == {
        f"blk.1.{name}.weight.lora_a": (HIDDEN, RANK), f"blk.1.{name}.weight.lora_b": (RANK, HEADS * WIDTH),
    }  # fmt: skip


def test_the_file_says_what_it_is_and_how_much_it_counts(tmp_path: Path) -> None:
    fields = written(tmp_path / "a.gguf", tensors("mlp.up_proj"), "gemma3").fields
    said = {key: fields[key].contents() for key in ("general.type", "general.architecture", "adapter.type")}
    assert said == {"general.type": "adapter", "general.architecture": "gemma3", "adapter.type": "lora"}
    assert fields["adapter.lora.alpha"].contents() == 32.0


def test_llamas_queries_are_reordered_head_by_head_and_nobody_elses(tmp_path: Path) -> None:
    own = tensors("self_attn.q_proj")
    rows = next(value for key, value in own.items() if "lora_B" in key)
    straight = written(tmp_path / "q.gguf", own, "qwen3").tensors[1].data
    assert np.array_equal(straight, rows)
    turned = written(tmp_path / "l.gguf", own, "llama").tensors[1].data
    # Of each head of four rows, the halves are interleaved: 0 2 1 3.
    assert np.array_equal(turned, rows[[0, 2, 1, 3, 4, 6, 5, 7]])


def test_the_same_adapter_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one.gguf", tmp_path / "other.gguf"
    own = tensors("mlp.up_proj")
    written(one, own, "gemma3")
    written(other, dict(reversed(own.items())), "gemma3")
    assert one.read_bytes() == other.read_bytes()


def test_a_module_or_architecture_that_llama_cpp_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no tensor for .*mlp\.sideways"):
        written(tmp_path / "a.gguf", tensors("mlp.sideways"), "gemma3")
    with pytest.raises(ValueError, match="`gemma33` is no architecture"):
        written(tmp_path / "b.gguf", tensors("mlp.up_proj"), "gemma33")
