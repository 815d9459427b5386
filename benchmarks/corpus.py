"""A mixed corpus through language id, length, quality, repetition and MinHash: ours, datatrove as shipped, data-juicer.

    python -m benchmarks.corpus [--documents 50000] [--flat 200000] [--peers datatrove data_juicer] [--folder FOLDER]

All three get the same files, the same limits where they have the same rules, and two processes. Each peer runs in an
environment of its own, made on first use in `--environments` (needs a package index) from the pins in `peers/`. The
language model is the packaged lid.176.ftz for all. datatrove runs twice: with the tokenizer it assigns to Swahili, and
with its cheapest, white space. data-juicer has no Gopher rules: its nearest run, at its own limits.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import documents, peers
from benchmarks.measure import Measured, measured
from benchmarks.stages import LANGUAGES, run_alone
from benchmarks.table import Comparison, show

WORKERS = 2
MIN_CHARS = 200
_FILE_ROWS = 5_000
MINHASH = {"n_grams": 5, "num_buckets": 14, "hashes_per_bucket": 8, "seed": 1}
ENVIRONMENTS = Path(__file__).parent / ".environments"


def files(folder: Path, count: int) -> Path:
    """The documents in files of 5,000: datatrove gives each task whole files."""
    made = folder / f"documents-{count}"
    if not made.exists():
        made.mkdir(parents=True)
        rows = documents.documents(count)
        for number in range(-(-count // _FILE_ROWS)):
            with (made / f"part-{number:04d}.jsonl").open("w", encoding="utf-8") as file:
                for _ in range(min(_FILE_ROWS, count - number * _FILE_ROWS)):
                    file.write(json.dumps(next(rows), ensure_ascii=False) + "\n")
    return made


def limits() -> dict[str, Any]:
    """The filters of the Swahili language file that all three have something of."""
    from xirecipe.load import load_language

    language, problems, _ = load_language(LANGUAGES / f"{documents.LANGUAGE}.yaml")
    assert language is not None, problems
    filters = language.filters.model_dump(mode="json", exclude={"fineweb_quality"})
    filters["language"]["max_other_ratio"] = None
    return filters | {"length": {"min_chars": MIN_CHARS, "max_chars": None}}


def work(folder: Path, given: Path, count: int, name: str, **more: Any) -> Path:
    """What a side is told to do, as the file that it reads."""
    from xirecipe.engines.language_id import model_path

    told = {
        "input": str(given), "output": str(folder / name), "workers": WORKERS, "tasks": -(-count // _FILE_ROWS),
        "model": str(model_path()), "language": documents.LANGUAGE, "label": "sw", "words": "shipped",
        "filters": limits(), "minhash": MINHASH,
    }  # fmt: skip
    path = folder / f"{name}.json"
    path.write_text(json.dumps(told | more))
    return path


def ours(told: dict[str, Any]) -> int:
    """The stages corpus and dedup. Returns how many documents stay."""
    from xirecipe.recipe.corpus import Corpus, Dedup, MinHash

    source = {"format": "jsonl", "path": told["input"], "license": "cc0-1.0"}
    corpus = Corpus.model_validate(
        {
            "sources": {"web": source},
            "clean": {"fix_encoding": False},  # the peers are not asked to mend or mask anything
            "filters": told["filters"],
            "personal_information": {
                "mask_emails": False, "mask_ip_addresses": False, "mask_phone_numbers": False,
            },
        }
    )  # fmt: skip
    minhash = MinHash(
        ngram_words=MINHASH["n_grams"], buckets=MINHASH["num_buckets"], hashes_per_bucket=MINHASH["hashes_per_bucket"]
    )
    folder = Path(told["output"])
    run_alone("corpus", corpus, folder, {}, workers=told["workers"])
    dedup = Dedup(minhash=minhash)
    return run_alone("dedup", dedup, folder, {"corpus": folder / "corpus"}, workers=told["workers"]).kept


def run_side(name: str, told: Path, environments: Path) -> tuple[Measured, int]:
    """One side measured, and how many documents it kept."""
    if name == "ours":
        command = [sys.executable, "-m", "benchmarks.corpus", "--ours", str(told)]
    else:
        command = [str(peers.environment(name, environments)), str(peers.HERE / f"run_{name}.py"), str(told)]
    done = measured(command, environment={"HF_ASSETS_CACHE": str(told.with_suffix(".assets"))})
    return done, json.loads(done.output.splitlines()[-1])["kept"]


def compare(
    count: int, flat: int, names: Sequence[str], environments: Path, folder: Path, *, whitespace: bool = True
) -> Iterator[Comparison]:
    for name in names:
        peers.environment(name, environments)  # before anything is timed
    given = files(folder, count)
    mine, kept = run_side("ours", work(folder, given, count, "ours"), environments)
    what = f"corpus of {count:,} documents"
    sides = [(name, "shipped") for name in names]
    if whitespace and "datatrove" in names:
        sides.insert(1, ("datatrove", "whitespace"))
    for name, words in sides:
        shown = "datatrove, words by white space" if words == "whitespace" else f"{name.replace('_', '-')} as shipped"
        told = work(folder, given, count, f"{name}-{words}", words=words)
        peer, peer_kept = run_side(name, told, environments)
        target = 3.0 if name == "data_juicer" else 2.0
        speeds = count / mine.seconds, count / peer.seconds
        yield Comparison(f"{what} (kept {kept:,}; {peer_kept:,})", shown, *speeds, "docs/s", target)
        memory = 1.0 if name == "datatrove" else None
        yield Comparison(f"{what}: peak memory", shown, mine.peak_mib, peer.peak_mib, "MiB", memory, less=True)
    if flat:
        large, _ = run_side("ours", work(folder, files(folder, flat), flat, "ours-large"), environments)
        growth = f"peak memory, {flat:,} documents against {count:,}"
        yield Comparison(growth, "ourselves", large.peak_mib, mine.peak_mib, "MiB", round(1 / 1.1, 2), less=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--flat", type=int, default=200_000, help="a second size of ours, for its memory; 0 for none")
    parser.add_argument("--peers", nargs="*", default=["datatrove", "data_juicer"])
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--folder", type=Path, help="where documents and artifacts are made")
    parser.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ours:
        print(json.dumps({"kept": ours(json.loads(given.ours.read_text()))}))
        return
    with TemporaryDirectory(dir=given.folder) as folder:
        show(compare(given.documents, given.flat, given.peers, given.environments, Path(folder)))


if __name__ == "__main__":
    main()
