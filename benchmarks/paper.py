"""Ten languages of ten million documents on paper: what `plan` says, and what 32,000 rows of each would need.

    python -m benchmarks.paper

Nothing runs. Calls and tokens are `plan`'s, for the profile `full` of the ten recipes; rates are the assumptions below.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

RECIPES = Path(__file__).parents[1] / "recipes"
LANGUAGES = (
    "bengali", "finnish", "hindi", "indonesian", "swahili", "tamil", "thai", "turkish", "urdu", "vietnamese",
)  # fmt: skip
DOCUMENTS, ROWS = 10_000_000, 32_000
#: What is assumed, and why. Everything else in the table is computed.
CHARS_A_DOCUMENT, BYTES_A_CHAR = 2_000, 1.9
"""FineWeb-2's documents are some 2,000 characters; half of the ten languages are written in three-byte scripts."""
CORPUS_KEEPS = 0.5
"""Filters and deduplication together: what the mixed workload of `benchmarks.corpus` keeps. A language's own manifest
knows better."""
SELECT_KEEPS = 0.25
"""Of candidates, after guards, the least score and repeated instructions. A round number: nothing was measured."""
DOCUMENTS_A_SECOND = 1_000
"""The corpus stages on two cores; `benchmarks.corpus` measures it."""
TOKENS_A_SECOND = 10_000
"""Prompt and completion together, a 30B mixture of experts with 3B active on one 80 GB GPU. Not measured here."""
DOLLARS_A_GPU_HOUR = 2.5


def asked(recipe: Path, documents: int, store: Path) -> tuple[int, int]:
    """Model calls and tokens of a recipe's profile `full` over so many documents, by `plan` over an empty store."""
    from xirecipe.compile import compile_recipe
    from xirecipe.costs import cost_plan
    from xirecipe.store import Store

    override = f"corpus.sources.web.documents={documents}"
    plan = compile_recipe(recipe, "full", [override], None, store / "hashes.json")
    lines = cost_plan(plan, Store(store))
    return sum(line.calls or 0 for line in lines), sum(line.tokens or 0 for line in lines)


def lines() -> Iterator[str]:
    needed = round(ROWS / SELECT_KEEPS)
    read = round(needed / CORPUS_KEEPS)
    with TemporaryDirectory() as folder:
        store = Path(folder)
        everything = [asked(RECIPES / f"{name}.yaml", DOCUMENTS, store) for name in LANGUAGES]
        enough = [asked(RECIPES / f"{name}.yaml", needed, store) for name in LANGUAGES]
    yield f"| ten languages | all {DOCUMENTS:,} documents of each | as many as {ROWS:,} rows of each need |"
    yield "|---|---:|---:|"
    both = (DOCUMENTS, read)
    yield _row("documents read, each", both)
    yield _row("text read, GB", [10 * n * CHARS_A_DOCUMENT * BYTES_A_CHAR / 1e9 for n in both])
    yield _row("corpus stages, hours of two cores", [10 * n / DOCUMENTS_A_SECOND / 3600 for n in both])
    calls, tokens = ([sum(each[i] for each in found) for found in (everything, enough)] for i in (0, 1))
    yield _row("model calls", calls)
    yield _row("tokens, millions", [n / 1e6 for n in tokens])
    hours = [n / TOKENS_A_SECOND / 3600 for n in tokens]
    yield _row("GPU hours", hours)
    yield _row("dollars", [n * DOLLARS_A_GPU_HOUR for n in hours])
    yield ""
    yield (
        f"Assumed: {CHARS_A_DOCUMENT:,} characters a document at {BYTES_A_CHAR} bytes; filters and dedup keep "
        f"{CORPUS_KEEPS:.0%}, guards and selection {SELECT_KEEPS:.0%}; {DOCUMENTS_A_SECOND:,} documents/s on two "
        f"cores; {TOKENS_A_SECOND:,} tokens/s and {DOLLARS_A_GPU_HOUR} dollars/h a GPU. `plan` without a run behind it "
        "drops nothing: its first column asks about every document, its second about those that reach the model."
    )


def _row(name: str, numbers: tuple[float, ...] | list[float]) -> str:
    return f"| {name} | {' | '.join(f'{number:,.0f}' for number in numbers)} |"


def main() -> None:
    for line in lines():
        print(line, flush=True)


if __name__ == "__main__":
    main()
