"""The rating set: rated pairs made from the seed, and what an evaluator's prompt sees of them. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from xirecipe.pairs import Exemplar, Pair, Rated
from xirecipe.recipe.generation import RatingSet, Rubric
from xirecipe.recipe.language import Language
from xirecipe.sentences import cut_at_sentence
from xirecipe.stage import Stage
from xirecipe.tables import Row

#: Best first.
LEVELS: tuple[Literal["top", "middle", "bottom"], ...] = ("top", "middle", "bottom")
#: What of a response stays when it is truncated: too little to be what the instruction asks for.
TRUNCATED_RATIO = 1 / 3


def rating_rows(
    pairs: Sequence[Pair],
    neighbours: Sequence[int],
    config: RatingSet,
    language: Language,
    measured_on: Collection[str] = (),
) -> list[Row]:
    """Three rows a pair, in the columns of RATING_COLUMNS: top, middle, bottom.

    `neighbours[i]` is the position of the pair whose instruction is nearest to pair i's. Needs two pairs; with fewer
    there is no other response, and the set is empty. Pairs with an instruction of `measured_on` are held out, too:
    seeds of several languages may say the same thing.
    """
    if len(pairs) < 2:
        return []
    # Random(str) hashes with sha512: the same set on every machine and Python version.
    drawn = random.Random(f"rating-set-{config.random_seed}")
    order = drawn.sample(range(len(pairs)), len(pairs))
    held_out = set(order[: round(len(pairs) * config.held_out_ratio)])
    held_out |= {i for i, pair in enumerate(pairs) if pair.instruction in measured_on}
    rows: list[Row] = []
    for i, pair in enumerate(pairs):
        others = [j for j in range(len(pairs)) if j not in (i, neighbours[i])] or [neighbours[i]]
        far = pairs[drawn.choice(others)]
        made = config.middle[i % len(config.middle)]
        near = pairs[neighbours[i]]
        chars = max(1, round(len(pair.response) * TRUNCATED_RATIO))
        part = cut_at_sentence(pair.response, chars, language.sentence_enders)
        middle = (pair.id, part) if made == "truncated" else (near.id, near.response)
        versions = ((pair.id, pair.response), middle, (far.id, far.response))
        for level, how, (text_id, text) in zip(LEVELS, ("pair", made, "other"), versions, strict=True):
            rows.append(
                {
                    "pair_id": pair.id, "text_id": text_id, "instruction": pair.instruction, "text": text,
                    "language": language.code, "level": level, "made": how,
                    "part": "held_out" if i in held_out else "learn",
                }
            )  # fmt: skip
    return rows


def own_rows(stage: Stage, rating_set: Iterable[Row]) -> list[Row]:
    """Of a rating set what is in the recipe's language: what its prompts show, and what measures its evaluator."""
    return [row for row in rating_set if row["language"] == stage.language.code]


def blank(stage: Stage) -> Row:
    """A candidate's columns without values: a prompt may read any, and a rated pair has no document behind it."""
    return dict.fromkeys((column.name for column in stage.columns), "")


def labels_of_levels(rubric: Rubric) -> dict[str, str]:
    """The rubric's label for each of the set's three levels: its best, its worst, and the one in the middle."""
    ranked = sorted(rubric.levels, key=lambda label: -rubric.levels[label])
    return {"top": ranked[0], "middle": ranked[len(ranked) // 2], "bottom": ranked[-1]}


def examples(rows: Iterable[Row], rubric: Rubric, best: Sequence[Exemplar] = ()) -> list[Rated]:
    """What the rubric's prompt sees: pairs to learn from, level by level, a pair's text at one level only.

    `best` are a round's best candidates: they come as further examples of the top level.
    """
    labels = labels_of_levels(rubric)
    found: dict[str, list[Rated]] = {level: [] for level in LEVELS}
    used: set[str] = set()
    if rubric.examples_per_level:
        found["top"] += [Rated(e.instruction, e.response, labels["top"]) for e in best]
    wanted = rubric.examples_per_level
    own = dict.fromkeys(LEVELS, 0)
    for row in rows:
        level = row["level"]
        if row["part"] == "learn" and own[level] < wanted and row["pair_id"] not in used:
            own[level] += 1
            used.add(row["pair_id"])
            found[level].append(Rated(row["instruction"], row["text"], labels[level]))
    return [rated for level in LEVELS for rated in found[level]]
