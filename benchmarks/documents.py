"""Documents for benchmarks: drawn by a seed from chains of the sample texts' words, clean and spoiled in known shares.

A chain (which word follows which, counted in the sample) never ends, keeps a language's words, lengths and
punctuation, and repeats no long phrase of the sample, so that near-duplicates are those put in on purpose.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "recipes" / "sample"
LANGUAGE = "swh_Latn"
OTHERS = ("fin_Latn", "hin_Deva", "ind_Latn", "tur_Latn", "vie_Latn", "urd_Arab")
#: Shares of what a crawl holds; the rest is clean. Near-duplicates and repetition as FineWeb-2 reports for small
#: languages; the other shares are round numbers.
SHARES = {"other": 0.20, "short": 0.08, "repetitive": 0.06, "symbols": 0.06, "duplicate": 0.02, "near": 0.08}
#: Of log-normal lengths, in characters: the median of FineWeb-2's Swahili documents is about 1,600.
MEDIAN_CHARS, SIGMA = 1_600, 0.8
#: Sentences a language; documents draw from them.
_POOL = 20_000
_ENDERS = ".!?।۔"


def documents(count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """`{"id", "text"}`, the same for the same seed; the id says what kind of document it is."""
    drawn = random.Random(seed)
    pools = {code: _sentences(code, drawn) for code in (LANGUAGE, *OTHERS)}
    kinds, shares = [*SHARES, "clean"], [*SHARES.values(), 1 - sum(SHARES.values())]
    earlier: list[str] = []
    for number, kind in enumerate(drawn.choices(kinds, shares, k=count)):
        chars = int(drawn.lognormvariate(0, SIGMA) * MEDIAN_CHARS)
        code = drawn.choice(OTHERS) if kind == "other" else LANGUAGE
        text = _text(pools[code], max(chars, 200), drawn)
        if kind in ("duplicate", "near") and earlier:
            text = drawn.choice(earlier)
            if kind == "near":
                text += " " + drawn.choice(pools[LANGUAGE])
        elif kind == "short":
            text = text[: drawn.randint(20, 150)]
        elif kind == "repetitive":
            text = "\n".join(text[:300].split("\n")[:1] * 12)
        elif kind == "symbols":
            text = "".join(char if drawn.random() < 0.6 else drawn.choice("#*|=- 0123456789") for char in text[:2_000])
        elif kind == "clean" and len(earlier) < 5_000:
            earlier.append(text)
        yield {"id": f"{kind}-{number}", "text": text}


def _sentences(code: str, drawn: random.Random) -> list[str]:
    follows: dict[str, list[str]] = defaultdict(list)
    starts: list[str] = []
    with (SAMPLE / f"{code}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            if '"id": "drop-' in line:  # a text that is there to be dropped is no model of a clean one
                continue
            words = str(json.loads(line)["text"]).split()
            if len(words) > 40:
                starts.append(words[0])
                for word, following in pairwise(words):
                    (starts if word[-1] in _ENDERS else follows[word]).append(following)
    found = []
    for _ in range(_POOL):
        words = [drawn.choice(starts)]
        while len(words) < 60 and follows[words[-1]]:
            words.append(drawn.choice(follows[words[-1]]))
        found.append(" ".join(words))
    return found


def _text(pool: list[str], chars: int, drawn: random.Random) -> str:
    parts: list[str] = []
    while chars > 0:
        parts.append(drawn.choice(pool))
        parts.append("\n" if drawn.random() < 0.2 else " ")
        chars -= len(parts[-2]) + 1
    return "".join(parts).strip()
