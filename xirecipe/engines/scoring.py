"""How likely a transformers model finds answers behind prompts: what is trained on and what is measured are one number.

Logits are made for the answers' positions alone. A vocabulary of 262,144 tokens is 1 MB of logits a position, and on a
CPU most of a step's time: TRL 1.16, whose loss makes them for prompts and padding too where there is no Triton, takes
five times as long for a step of 8 prompts of 132 tokens with answers of 18 (Gemma 3 270M, two threads).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

#: Batches are padded to a multiple of so many tokens: few different shapes, whose memory is used again.
PAD_TOKENS = 32
#: Stands where a token is no part of an answer; torch's and TRL's number for it.
NO_LABEL = -100


@dataclass(frozen=True)
class Sequenced:
    """Tokens of a prompt and of the answer behind it."""

    prompt: list[int]
    answer: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)

    @property
    def row(self) -> dict[str, list[int]]:
        """In the columns that `collated` reads."""
        return {"input_ids": self.prompt + self.answer, "labels": [NO_LABEL] * len(self.prompt) + self.answer}


def collated(rows: Sequence[dict[str, list[int]]]) -> dict[str, Any]:
    """Rows as one batch, padded on the left, so that all answers end together."""
    width = -(-max(len(row["input_ids"]) for row in rows) // PAD_TOKENS) * PAD_TOKENS

    def padded(values: Sequence[list[int]], fill: int) -> Any:
        return torch.tensor([[fill] * (width - len(each)) + list(each) for each in values])

    mask = padded([[1] * len(row["input_ids"]) for row in rows], 0)
    return {
        "input_ids": padded([row["input_ids"] for row in rows], 0),
        "attention_mask": mask,
        "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0),
        "labels": padded([row["labels"] for row in rows], NO_LABEL),
    }


def nats(model: Any, batch: dict[str, Any]) -> tuple[Any, Any]:
    """-log p of every answer token of a batch, shape (tokens,), and the row that each is of."""
    logits, labels, rows = _logits(model, batch)
    return F.cross_entropy(logits, labels, reduction="none"), rows


def _logits(model: Any, batch: dict[str, Any]) -> tuple[Any, Any, Any]:
    """What the model expects in the place of every answer token, shape (tokens, words); the tokens; their rows.

    The head sees the answers' positions only: indexing logits afterwards would cost their whole gradient, one number
    for every position and word.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    body = getattr(inner, inner.base_model_prefix)
    given = {key: batch[key] for key in ("input_ids", "attention_mask", "position_ids")}
    hidden = body(**given, use_cache=False).last_hidden_state[:, :-1]
    labels = batch["labels"][:, 1:].to(hidden.device)
    is_answer = labels != NO_LABEL
    found = hidden[is_answer]
    # oneDNN keeps what it compiled for every shape: a new number of positions at each step cost some 70 MB a step.
    filled = F.pad(found, (0, 0, 0, -len(found) % PAD_TOKENS))
    logits = inner.get_output_embeddings()(filled)[: len(found)].float()
    if (cap := getattr(inner.config, "final_logit_softcapping", None)) is not None:
        logits = cap * torch.tanh(logits / cap)  # Gemma 2
    return logits, labels[is_answer], is_answer.nonzero()[:, 0]


def log_probs(
    model: Any, sequences: Sequence[Sequenced], *, batch_size: int, report: Callable[[int], None]
) -> list[float]:
    """log p(answer | prompt) of each, summed over the answer's tokens. `report` hears how many are done.

    Answers to one prompt that differ in their last token alone, as a rubric's labels do, are read from one pass.
    """
    found = [0.0] * len(sequences)
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, sequence in enumerate(sequences):
        alike.setdefault((len(sequence.prompt), *sequence.prompt, *sequence.answer[:-1]), []).append(i)
    groups = sorted(alike.values(), key=lambda group: len(sequences[group[0]]))
    device = next(model.parameters()).device
    model.eval()
    done = 0
    with torch.no_grad():
        for start in range(0, len(groups), batch_size):
            chosen = groups[start : start + batch_size]
            batch = collated([sequences[group[0]].row for group in chosen])
            logits, _, rows = _logits(model, {key: value.to(device) for key, value in batch.items()})
            expected = logits.log_softmax(dim=-1)
            for place, group in enumerate(chosen):
                own = expected[rows == place]
                for i in group:
                    answer = torch.tensor(sequences[i].answer, device=device)
                    found[i] = float(own.gather(1, answer[:, None]).sum())
            done += sum(map(len, chosen))
            report(done)
    return found
