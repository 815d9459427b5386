"""Tiny models of random weights: a Gemma 3 and a Llama as GGUF files that llama.cpp and transformers both read, and a
Llama as a repository on the Hub with an adapter, which vLLM reads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

#: A commit hash, as models on the Hub are pinned by.
REVISION = "0123456789abcdef0123456789abcdef01234567"
#: Control tokens, then every byte, then pieces of more than one byte.
_CONTROL = ("<pad>", "<eos>", "<bos>", "<unk>")
_PIECES = (
    "▁",
    "▁t",
    "▁a",
    "in",
    "er",
    "an",
    "re",
    "▁w",
    "te",
    "ri",
    "▁Wri",
    "▁Wr",
    "▁Des",
    "be",
    "Te",
    "xt",
    "▁Te",
    "▁De",
)
VOCABULARY = len(_CONTROL) + 256 + len(_PIECES)


def config(kind: str) -> Any:
    """A transformers config of two layers, `gemma3_text` or `llama`."""
    from transformers import Gemma3TextConfig, LlamaConfig

    shared: dict[str, Any] = {
        "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
        "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "rms_norm_eps": 1e-6,
    }  # fmt: skip
    if kind == "gemma3_text":
        return Gemma3TextConfig(
            # GGUF files do not say by what queries are scaled; transformers takes 256, llama.cpp the width of a head.
            **shared, head_dim=256, query_pre_attn_scalar=256, sliding_window=512,
            layer_types=["sliding_attention", "full_attention"],
            rope_parameters={
                "full_attention": {"rope_type": "default", "rope_theta": 10000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            },
        )  # fmt: skip
    return LlamaConfig(**shared, head_dim=16, tie_word_embeddings=False)


def random_model(kind: str) -> Any:
    """A model of random weights, the same every time."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config(kind)).float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Wider than fresh weights, so that one text is not as likely as any other.
            weight.normal_(std=0.3 if "norm" in name else 0.12)
    return model.eval()


def write_gguf(model: Any, path: Path) -> None:
    """The model as llama.cpp's convert_hf_to_gguf.py would write it, in float32, with a tokenizer of bytes."""
    import gguf

    kind = model.config.model_type
    name = {"gemma3_text": "gemma3"}.get(kind, kind)
    architecture = {value: key for key, value in gguf.MODEL_ARCH_NAMES.items()}[name]
    facts, names = model.config, gguf.TensorNameMap(architecture, model.config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, name)
    writer.add_context_length(facts.max_position_embeddings)
    writer.add_embedding_length(facts.hidden_size)
    writer.add_block_count(facts.num_hidden_layers)
    writer.add_feed_forward_length(facts.intermediate_size)
    writer.add_head_count(facts.num_attention_heads)
    writer.add_head_count_kv(facts.num_key_value_heads)
    writer.add_key_length(facts.head_dim)
    writer.add_value_length(facts.head_dim)
    writer.add_layer_norm_rms_eps(facts.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    if name == "gemma3":
        writer.add_sliding_window(facts.sliding_window)
    else:
        writer.add_rope_dimension_count(facts.head_dim)
        writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(0)
    _add_tokenizer(writer)
    for key, weight in model.state_dict().items():
        if key == "lm_head.weight" and facts.tie_word_embeddings:
            continue
        array = weight.numpy().astype(np.float32)
        if name == "gemma3" and key.endswith("norm.weight"):
            array = array + 1
        heads = {"q_proj": facts.num_attention_heads, "k_proj": facts.num_key_value_heads}.get(key.split(".")[-2])
        if name == "llama" and heads:
            rows, columns = array.shape
            array = array.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
        writer.add_tensor(names.get_name(key, try_suffixes=(".weight",)), np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: Any) -> None:
    from gguf import TokenType

    tokens = [*_CONTROL, *(f"<0x{byte:02X}>" for byte in range(256)), *_PIECES]
    kinds = [TokenType.CONTROL] * 3 + [TokenType.UNKNOWN] + [TokenType.BYTE] * 256 + [TokenType.NORMAL] * len(_PIECES)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * (len(_CONTROL) + 256) + [-float(i) for i in range(len(_PIECES))])
    writer.add_token_types(kinds)
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)


def in_hub_cache(cache: Path, repository: str) -> Path:
    """The folder in which the Hub's client looks for a repository at REVISION before it asks the network."""
    folder = cache / f"models--{repository.replace('/', '--')}" / "snapshots" / REVISION
    folder.mkdir(parents=True)
    return folder


#: The answers of `digit_writer`.
DIGITS = ("1", "2", "3", "4", "5")


def digit_writer() -> Any:
    """A Llama that answers in DIGITS, others for other prompts; its heads are as wide as vLLM wants them on a CPU."""
    import torch
    from transformers import AutoModelForCausalLM

    facts = config("llama")
    facts.head_dim, facts.max_position_embeddings = 32, 256
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(facts).float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1) if "norm" in name else weight.normal_(std=0.3)
            # One number of 64 is the same for every text: no layer reads or writes it, only the digits answer to it.
            if "o_proj" in name or "down_proj" in name:
                weight[0] = 0
            elif "_proj" in name or "lm_head" in name:
                weight[:, 0] = 0
        model.model.embed_tokens.weight[:, 0] = 4
        model.lm_head.weight[[_byte_tokens().index(digit) for digit in DIGITS], 0] = 60
    return model.eval()


def write_repository(model: Any, folder: Path, *, chat: bool) -> None:
    """Weights, a tokenizer of bytes, a frame for messages where `chat`, and its authors' own way of drawing."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    model.save_pretrained(folder)
    vocabulary = {token: number for number, token in enumerate(_byte_tokens())}
    bytewise = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytewise, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )
    if chat:
        tokenizer.chat_template = (
            "{% for m in messages %}<bos>{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}answer: "
        )
    tokenizer.save_pretrained(folder)
    drawing = {"bos_token_id": 2, "eos_token_id": 1, "do_sample": True, "top_k": 1, "repetition_penalty": 1.9}
    (folder / "generation_config.json").write_text(json.dumps(drawing), encoding="utf-8")


def write_adapter(folder: Path, *, width: int) -> dict[str, str]:
    """LoRA of rank 8 as PEFT saves it, for a model as wide as `width`; its section of a recipe."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    torch.manual_seed(2)
    weights = {}
    for layer in range(2):
        place = f"base_model.model.model.layers.{layer}.self_attn.o_proj"
        weights[f"{place}.lora_A.weight"] = torch.randn(8, 4 * 32)
        weights[f"{place}.lora_B.weight"] = torch.randn(width, 8)
    save_file(weights, folder / "adapter_model.safetensors")
    facts = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 8, "target_modules": ["o_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(facts), encoding="utf-8")
    digest = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
    return {"path": str(folder), "sha256": digest, "license": "cc0-1.0"}


def _byte_tokens() -> list[str]:
    from tokenizers import pre_tokenizers

    return [*_CONTROL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
