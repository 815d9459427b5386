"""A release trains a model with TRL as it is: two steps of its SFTTrainer on a tiny model with random weights."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from xirecipe.hub.folder import write_release

from .conftest import Run
from .tiny_models import assert_two_steps_move_every_weight, tiny_model, tiny_tokenizer

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed: `pip install -e '.[train]'`"),
    pytest.mark.usefixtures("no_network", "no_telemetry"),
]

#: Stanford Alpaca's prompt for a row without input (README of github.com/tatsu-lab/stanford_alpaca).
ALPACA_PROMPT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n{output}"
)


def alpaca_text(row: dict[str, str]) -> str:
    assert row["input"] == ""
    return ALPACA_PROMPT.format(**row)


@pytest.mark.parametrize(("config", "how"), [("messages", {}), ("alpaca", {"formatting_func": alpaca_text})])
def test_two_steps_of_sft_on_a_config_give_finite_losses_and_move_every_weight(
    run: Run, tmp_path: Path, config: str, how: dict[str, Any]
) -> None:
    from datasets import load_dataset

    folder = write_release(*run.build(), tmp_path / "tiny")
    rows = load_dataset(str(folder), config, split="train", cache_dir=str(tmp_path / "cache"))
    texts = [turn["content"] for row in rows for turn in row.get("messages", [])] or [alpaca_text(row) for row in rows]
    assert_two_steps_move_every_weight(rows, texts, tmp_path, **how)


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
