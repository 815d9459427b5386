"""Every comparison in one go: `python -m benchmarks [--quick] [--without data_juicer ...] [--write BENCHMARKS.md]`.

Needs Linux, the development install, and a package index for the first run, which makes the peers' environments. On two
quiet cores 15 minutes by estimate, with `--quick` 3; run it on a quiet machine: only ratios of one run mean something.
`--write` puts the table between the marks in that file.
"""

from __future__ import annotations

import argparse
import compileall
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import clusters, commands, completions, corpus, paper, peers
from benchmarks.measure import Failed
from benchmarks.table import Comparison, lines, machine

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
NAMES = ("commands", "completions", "clusters", "datatrove", "data_juicer")


def comparisons(quick: bool, without: Sequence[str], environments: Path, folder: Path) -> Iterator[Comparison]:
    """All lines of the table. A part that fails says so on stderr, and the others go on."""
    peers = [name for name in ("datatrove", "data_juicer") if name not in without]
    parts: dict[str, Callable[[], Iterator[Comparison]]] = {
        "commands": lambda: commands.compare(3 if quick else 5, folder / "commands"),
        "completions": lambda: completions.compare(2_000 if quick else 10_000, 64, folder / "completions"),
        "clusters": lambda: clusters.compare(
            50_000 if quick else 1_000_000, 200 if quick else 1_000, folder / "clusters"
        ),
        "corpus": lambda: corpus.compare(
            5_000 if quick else 50_000, 0 if quick else 200_000, peers, environments, folder / "corpus",
            whitespace=not quick,
        ),
    }  # fmt: skip
    for name, part in parts.items():
        if name in without:
            continue
        (folder / name).mkdir()
        begun = time.perf_counter()
        try:
            yield from part()
        except (Failed, RuntimeError, OSError) as error:
            print(f"{name} failed: {error}", file=sys.stderr, flush=True)
        print(f"{name}: {time.perf_counter() - begun:,.0f} s", file=sys.stderr, flush=True)


def laid_in(text: str, section: str) -> str:
    """A document with another section between its marks. Raises ValueError when it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes; ratios are rougher")
    parser.add_argument("--without", nargs="*", default=[], choices=[*NAMES, "corpus", "paper"], metavar="PART")
    parser.add_argument("--environments", type=Path, default=corpus.ENVIRONMENTS)
    parser.add_argument("--folder", type=Path, help="where things are made; 10 GB")
    parser.add_argument("--write", type=Path, help="a file with marks to put the table between")
    given = parser.parse_args()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        print(line, flush=True)

    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
    peers.compile_bytecode(Path(sys.executable))
    compileall.compile_dir(Path(__file__).parents[1] / "xirecipe", quiet=2)
    say(f"{machine()}.{' Quick: small sizes.' if given.quick else ''}\n")
    with TemporaryDirectory(dir=given.folder) as folder:
        for line in lines(comparisons(given.quick, given.without, given.environments, Path(folder))):
            say(line)
    if "paper" not in given.without:
        say("\nOn paper (`python -m benchmarks.paper`):\n")
        for line in paper.lines():
            say(line)
    if given.write:
        given.write.write_text(laid_in(given.write.read_text(encoding="utf-8"), "\n".join(said)), encoding="utf-8")


if __name__ == "__main__":
    main()
