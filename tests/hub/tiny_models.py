"""Models of some thousand random weights, trained for two steps without a network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


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


def assert_two_steps_move_every_weight(rows: Any, texts: list[str], folder: Path, **how: Any) -> None:
    """Two steps of TRL's SFTTrainer on `rows` as they are; `texts` teach the tokenizer, `how` goes to the trainer."""
    import torch
    from trl import SFTConfig, SFTTrainer

    tokenizer = tiny_tokenizer(texts)
    model = tiny_model(tokenizer)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    settings = SFTConfig(
        output_dir=str(folder / "trained"), max_steps=2, per_device_train_batch_size=1, learning_rate=0.01,
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
