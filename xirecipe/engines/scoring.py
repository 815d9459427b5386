"""Log-probabilities of answers behind prompts, by a transformers model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Sequenced:
    """Tokens of a prompt and of the answer behind it."""

    prompt: list[int]
    answer: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def log_probs(
    model: Any, sequences: Sequence[Sequenced], *, batch_size: int, pad_to: int, report: Callable[[int], None]
) -> list[float]:
    """log p(answer | prompt) of each, summed over the answer's tokens, in nats. `report` hears how many are done.

    The model's logits are made for the answers' positions alone: a vocabulary of 262,144 tokens is 1 MB a position.
    """
    found = [0.0] * len(sequences)
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    model.eval()
    with torch.no_grad():
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            for i, value in zip(batch, _batch(model, [sequences[i] for i in batch], pad_to), strict=True):
                found[i] = value
            report(start + len(batch))
    return found


def _batch(model: Any, sequences: Sequence[Sequenced], pad_to: int) -> list[float]:
    # Padded on the left, so that all answers end together.
    width = -(-max(map(len, sequences)) // pad_to) * pad_to
    longest = max(len(s.answer) for s in sequences)
    ids = torch.zeros((len(sequences), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, width - len(sequence) :] = torch.tensor(sequence.prompt + sequence.answer)
        mask[row, width - len(sequence) :] = 1
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)
    device = next(model.parameters()).device
    logits = model(
        input_ids=ids.to(device), attention_mask=mask.to(device), position_ids=places.to(device),
        logits_to_keep=longest + 1, use_cache=False,
    ).logits  # fmt: skip
    answers = []
    for row, sequence in enumerate(sequences):
        count = len(sequence.answer)
        own = logits[row, -count - 1 : -1].float().log_softmax(dim=-1).cpu()
        answers.append(float(own.gather(1, torch.tensor(sequence.answer)[:, None]).sum()))
    return answers
