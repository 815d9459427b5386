"""How much real text of each language the filters of its language file keep, clean and dirty.

    python benchmarks/keep_rates.py DATA_FOLDER [--languages fin_Latn hin_Deva] [--min-chars 200]

DATA_FOLDER holds `corpus/<xx>.jsonl` (clean) and `dirty/<xx>.jsonl` (not), `xx` the language's hub code, each row with
a `text`. Every filter of the language file runs except `length`, which judges where a text ends and not what it is. A
good language file keeps at least 75 % of the clean texts and at most 35 % of the dirty ones.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from datatrove.data import Document
from rich.console import Console
from rich.table import Table

from xirecipe.engines.filters import quality_filters
from xirecipe.engines.formatters import cleaners
from xirecipe.load import load_language
from xirecipe.recipe.corpus import Clean
from xirecipe.recipe.language import Language

LANGUAGES = Path(__file__).parents[1] / "recipes" / "languages"
KEPT = "kept"


def texts(path: Path, min_chars: int) -> list[str]:
    """Texts of a JSON-lines file that are long enough to be judged; none where there is no such file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        found = [json.loads(line)["text"] for line in file]
    return [text for text in found if len(text) >= min_chars]


def reasons(chosen: list[str], language: Language) -> Counter[str]:
    """How many texts stay (`kept`), and how many go for which reason."""
    filters = quality_filters(language.filters.model_copy(update={"length": None}), language, lambda name: None)
    documents: Iterable[Document] = [Document(text=text, id=str(i)) for i, text in enumerate(chosen)]
    for step in cleaners(Clean(), language.sentence_enders):
        documents = step.run(documents)
    return Counter(
        next((found.reason for each in filters if (found := each.verdict(document))), KEPT) for document in documents
    )


def cells(counts: Counter[str]) -> list[str]:
    """n, kept, rate and the three most frequent drop reasons of one kind of text."""
    total, kept = counts.total(), counts[KEPT]
    dropped = Counter({reason: count for reason, count in counts.items() if reason != KEPT})
    top = "\n".join(f"{reason} {count:,}" for reason, count in dropped.most_common(3))
    return [f"{total:,}", f"{kept:,}", f"{kept / total:.1%}" if total else "-", top]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--languages", nargs="+", default=sorted(path.stem for path in LANGUAGES.glob("*.yaml")))
    parser.add_argument("--min-chars", type=int, default=200)
    arguments = parser.parse_args()

    table = Table("language")
    for kind in ("clean", "dirty"):
        for column in ("n", "kept", "rate"):
            table.add_column(f"{kind} {column}", justify="right")
        table.add_column(f"{kind} top drop reasons", no_wrap=True)
    for code in arguments.languages:
        language, problems, _ = load_language(LANGUAGES / f"{code}.yaml")
        if language is None:
            parser.error(f"{code}: {problems[0].message}")
        row = [code]
        for folder in ("corpus", "dirty"):
            chosen = texts(arguments.data / folder / f"{language.hub_code}.jsonl", arguments.min_chars)
            row += cells(reasons(chosen, language))
        table.add_row(*row, end_section=True)
    Console(width=None if Console().is_terminal else 170).print(table)


if __name__ == "__main__":
    main()
