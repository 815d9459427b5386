"""A release trains a model with TRL as it is: two steps of its SFTTrainer on a tiny model with random weights."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from xirecipe.hub.folder import write_release

from .conftest import Run

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed: `pip install -e '.[trl]'`"),
    pytest.mark.usefixtures("no_network", "no_telemetry"),
]

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
#: Stanford Alpaca's prompt for a row without input (README of github.com/tatsu-lab/stanford_alpaca).
ALPACA_PROMPT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n{output}"
)


@pytest.fixture
def no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer of TRL tells the Hub that it was made, from a thread of its own; nothing else asks for a network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)


def alpaca_text(row: dict[str, str]) -> str:
    assert row["input"] == ""
    return ALPACA_PROMPT.format(**row)


def tiny_tokenizer(texts: list[str]) -> Any:
    """Byte-level pairs learned from the texts themselves, with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=marks, initial_alphabet=alphabet, show_progress=False
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>", chat_template=CHAT_TEMPLATE
    )


def tiny_model(tokenizer: Any) -> Any:
    """A Llama of one layer and some thousand parameters, the same random weights every time."""
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    set_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return LlamaForCausalLM(config)


@pytest.mark.parametrize(("config", "how"), [("messages", {}), ("alpaca", {"formatting_func": alpaca_text})])
def test_two_steps_of_sft_on_a_config_give_finite_losses_and_move_every_weight(
    run: Run, tmp_path: Path, config: str, how: dict[str, Any]
) -> None:
    import torch
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    folder = write_release(*run.build(), tmp_path / "tiny")
    rows = load_dataset(str(folder), config, split="train", cache_dir=str(tmp_path / "cache"))
    texts = [turn["content"] for row in rows for turn in row.get("messages", [])] or [alpaca_text(row) for row in rows]
    tokenizer = tiny_tokenizer(texts)
    model = tiny_model(tokenizer)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    settings = SFTConfig(
        output_dir=str(tmp_path / "trained"), max_steps=2, per_device_train_batch_size=1, learning_rate=0.01,
        warmup_steps=0, logging_steps=1, use_cpu=True, bf16=False, report_to="none", save_strategy="no",
        disable_tqdm=True,
    )  # fmt: skip
    trainer = SFTTrainer(model, args=settings, train_dataset=rows, processing_class=tokenizer, **how)
    trainer.train()
    losses = [step["loss"] for step in trainer.state.log_history if "loss" in step]
    assert len(losses) == trainer.state.global_step == 2
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    after = dict(model.named_parameters())
    assert [name for name, weight in before.items() if torch.equal(weight, after[name])] == []


def test_what_trl_makes_of_a_conversation_is_the_chat_template_over_both_turns(run: Run, tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    folder = write_release(*run.build(), tmp_path / "tiny")
    rows = load_dataset(str(folder), "messages", split="train", cache_dir=str(tmp_path / "cache"))
    tokenizer = tiny_tokenizer([turn["content"] for row in rows for turn in row["messages"]])
    settings = SFTConfig(output_dir=str(tmp_path / "trained"), use_cpu=True, bf16=False, report_to="none")
    trainer = SFTTrainer(tiny_model(tokenizer), args=settings, train_dataset=rows, processing_class=tokenizer)
    text = tokenizer.decode(trainer.train_dataset[0]["input_ids"])
    user, answer = "Explain water, part 1.\nAnswer in Swahili.", "Maji ni uhai, andiko la 1. "
    assert text == f"<|user|>{user}<|end|><|assistant|>{answer}<|end|>"
