"""Seed pairs: human-written instructions with their responses, and which of them a prompt shows."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

from xirecipe.diagnostics import Diagnostic, Span, UserError, did_you_mean
from xirecipe.pairs import Pair
from xirecipe.recipe.generation import Exemplars

#: Characters a token stands for where nothing was measured: between English (4) and Indic scripts (2) in
#: multilingual vocabularies. An order of magnitude.
CHARS_PER_TOKEN = 3.0
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def read_pairs(path: Path, shown: str) -> list[Pair]:
    """Pairs of a JSON-lines file with `instruction` and `response` (`id` is the line number where it is missing).

    Raises UserError with every broken line: a seed is small and written by hand, so nothing in it is skipped.
    """
    pairs: list[Pair] = []
    problems: list[Diagnostic] = []
    seen: dict[str, int] = {}
    try:
        # Not splitlines(): U+2028 inside a JSON text ends no line.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line_number = path.read_bytes().count(b"\n", 0, error.start) + 1
        at = Span(shown, line_number)
        message = f"byte {error.start} is not UTF-8"
        raise UserError([Diagnostic("not-utf-8", message, at, "save the file as UTF-8")]) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise _BrokenPair("not a JSON object")
            pair = Pair(str(row.get("id", number)), _text(row, "instruction"), _text(row, "response"))
            if pair.id in seen:
                raise _BrokenPair(f"`id` {pair.id} is also at line {seen[pair.id]}")
            seen[pair.id] = number
            pairs.append(pair)
        except (ValueError, RecursionError) as error:
            message = str(error) if isinstance(error, _BrokenPair) else "not a JSON object"
            problems.append(Diagnostic("broken-seed", message, Span(shown, number)))
    if problems:
        raise UserError(problems)
    return pairs


class _BrokenPair(ValueError):
    """A line that is JSON and no pair."""


def _text(row: dict[str, object], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _BrokenPair(f"a seed pair without `{key}`")
    if _HALF_PAIR.search(value):
        raise _BrokenPair(f"`{key}` has half of a surrogate pair, which is not text")
    return value


def choose(pairs: list[Pair], wanted: Exemplars) -> tuple[Pair, ...]:
    """The exemplars of a recipe, in prompt order; all pairs for `nearest`, which chooses for each document.

    Raises UserError: an unknown id, fewer pairs than `count`.
    """
    by_id = {pair.id: pair for pair in pairs}
    missing = [name for name in wanted.ids if name not in by_id]
    if missing:
        raise UserError(
            Diagnostic("unknown-pair", f"the seed has no pair `{name}`", hint=did_you_mean(name, by_id))
            for name in missing
        )
    if len(pairs) < wanted.count:
        raise UserError([Diagnostic("small-seed", f"the seed has {len(pairs)} pairs; `count` asks for {wanted.count}")])
    if wanted.choice == "nearest":
        return tuple(pairs)
    if wanted.ids:
        chosen = [by_id[name] for name in wanted.ids]
    elif wanted.choice == "random":
        # Random(str) hashes with sha512: the same choice on every machine and Python version.
        chosen = random.Random(f"exemplars-{wanted.random_seed}").sample(pairs, wanted.count)
    else:
        chosen = pairs[: wanted.count]
    return tuple(within_budget(chosen, wanted.max_tokens))


def within_budget(pairs: Sequence[Pair], max_tokens: int | None) -> list[Pair]:
    """The first pairs that fit into the budget, estimated by CHARS_PER_TOKEN. One always stays."""
    if max_tokens is None:
        return list(pairs)
    spent = itertools.accumulate((len(p.instruction) + len(p.response)) / CHARS_PER_TOKEN for p in pairs)
    return [pair for i, (pair, tokens) in enumerate(zip(pairs, spent, strict=True)) if i == 0 or tokens <= max_tokens]
