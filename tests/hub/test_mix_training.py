"""Releases of the four mixing recipes train models as they are: pairs a sentence-transformer, rows a language model."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.mixing.mixes import RECIPES
from tests.mixing.mixes import run as run_recipe
from xirecipe.hub.folder import write_release

from .tiny_models import assert_two_steps_move_every_weight, tiny_tokenizer

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(
        find_spec("trl") is None or find_spec("sentence_transformers") is None,
        reason="TRL and sentence-transformers are not installed: `pip install -e '.[train]'`",
    ),
    pytest.mark.usefixtures("no_network", "no_telemetry"),
]


def released(name: str, config: str, folder: Path) -> Any:
    """The train split of a recipe's sample, as `load_dataset` gives it."""
    from datasets import load_dataset

    ran = run_recipe(RECIPES / f"{name}.yaml", folder / "store", "sample")
    release = write_release(ran.plan, ran.store, folder / "release")
    return load_dataset(str(release), config, split="train", cache_dir=str(folder / "cache"))


@pytest.mark.parametrize("recipe", ["afp", "crossin", "pinch", "zero_shot"])
def test_two_steps_of_sft_on_instructions_as_they_are(recipe: str, tmp_path: Path) -> None:
    rows = released(recipe, "instruct", tmp_path)
    texts = [turn["content"] for row in rows for turn in row["messages"]]
    assert_two_steps_move_every_weight(rows, texts, tmp_path)


def test_afps_pairs_go_into_multiple_negatives_ranking_loss_with_no_mapping(tmp_path: Path) -> None:
    import torch
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    rows = released("afp", "contrastive", tmp_path)
    tokenizer = tiny_tokenizer([text for row in rows for text in row.values()])
    torch.manual_seed(0)
    words = StaticEmbedding(tokenizer, embedding_dim=16)
    model = SentenceTransformer(modules=[words], device="cpu")
    before = words.embedding.weight.detach().clone()
    settings = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "trained"), num_train_epochs=8, per_device_train_batch_size=8, learning_rate=0.05,
        logging_steps=1, use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    loss = MultipleNegativesRankingLoss(model)
    trainer = SentenceTransformerTrainer(model, args=settings, train_dataset=rows, loss=loss)
    trainer.train()

    losses = [step["loss"] for step in trainer.state.log_history if "loss" in step]
    assert len(losses) == trainer.state.global_step >= 8
    assert all(math.isfinite(one) for one in losses)
    assert sum(losses[-4:]) < sum(losses[:4])
    assert not torch.equal(before, words.embedding.weight)
