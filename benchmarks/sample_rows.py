"""Rows of releases as a page to read: drawn with a fixed seed, none picked, none left out.

python benchmarks/sample_rows.py store/releases/x-instruction-*-sample [--rows 2] > recipes/sample/ROWS.md
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import pyarrow.parquet as pq
from ruamel.yaml import YAML

LANGUAGES = Path(__file__).parents[1] / "recipes" / "languages"
#: Characters of a response that are shown.
SHOWN = 420


def drawn(release: Path, wanted: int) -> list[dict[str, str]]:
    found = [row for path in sorted((release / "data").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    rows = sorted(found, key=lambda row: str(row["document_id"]))
    return random.Random(0).sample(rows, min(wanted, len(rows)))


def section(row: dict[str, str], direction: str) -> str:
    text = row["response"]
    shown = text if len(text) <= SHOWN else text[:SHOWN].rsplit(maxsplit=1)[0] + " …"
    quoted = "\n".join(f"<p>{line}</p>" for line in shown.splitlines() if line.strip())
    quote = f'<blockquote dir="{direction}" lang="{row["language"][:3]}">\n{quoted}\n</blockquote>'
    return f"**{row['instruction']}** (`{row['document_id']}`)\n\n{quote}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("releases", type=Path, nargs="+", metavar="RELEASE_FOLDER")
    parser.add_argument("--rows", type=int, default=2)
    arguments = parser.parse_args()
    print("# Rows of the sample\n")
    print(
        f"{arguments.rows} rows of every language's `sample` profile, drawn with a fixed seed and not picked: the\n"
        f"instruction that the small model wrote, and the first {SHOWN} characters of the text it is for. Written by\n"
        "`benchmarks/sample_rows.py`."
    )
    for release in sorted(arguments.releases):
        rows = drawn(release, arguments.rows)
        facts = YAML(typ="safe").load((LANGUAGES / f"{rows[0]['language']}.yaml").read_text(encoding="utf-8"))
        print(f"\n## {facts['name']}\n")
        print("\n\n".join(section(row, str(facts.get("direction", "ltr"))) for row in rows))


if __name__ == "__main__":
    main()
