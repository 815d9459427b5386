"""How well the score of English tells what was not translated, by language (`translate: max_source_language_score`).

    python benchmarks/untranslated.py DATA --above 0.5

DATA is a folder of `<code>.jsonl` with an English sentence under `en` and its translation under `xx`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from xirecipe.engines.language_id import score
from xirecipe.engines.translating import SHORTEST_CHARS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--above", type=float, default=0.5)
    wanted = parser.parse_args()
    print("| language | translations | taken for English | English sentences | taken for translations |")
    print("|---|---:|---:|---:|---:|")
    for file in sorted(wanted.data.glob("*.jsonl")):
        # Not splitlines(): U+2028 inside a JSON text ends no line.
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
        above = {
            side: [score(row[side], ("en",))[2] > wanted.above for row in rows if len(row[side]) >= SHORTEST_CHARS]
            for side in ("xx", "en")
        }
        lost, kept = sum(above["xx"]), len(above["en"]) - sum(above["en"])
        shares = f"{lost / len(above['xx']):.1%} | {len(above['en']):,} | {kept / len(above['en']):.1%}"
        print(f"| {file.stem} | {len(above['xx']):,} | {shares} |")


if __name__ == "__main__":
    main()
