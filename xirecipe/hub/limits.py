"""Limits of a dataset that follow from its facts: a card states them whether or not its author thought of them."""

from __future__ import annotations

from xirecipe.hub import provenance
from xirecipe.hub.facts import CardFacts
from xirecipe.recipe.models import EmbeddedModel

#: Below this many rows a dataset is too small to train on alone, and below this many a test split has wide errors.
FEW_ROWS, FEW_TEST_ROWS = 1_000, 100
#: A source, a cluster or a first word above its share decides what the dataset is like.
LARGE_SOURCE, LARGE_CLUSTER, LARGE_WORD = 0.8, 0.2, 0.3
#: Names of revisions that move.
MOVING_REVISIONS = {"main", "master", "latest", "HEAD"}


def derived_limits(facts: CardFacts) -> list[str]:
    """One sentence a limit, in a fixed order."""
    found = _about_models(facts) + _about_rows(facts)
    # What follows a comma is the adapter on it.
    moving = sorted({m.id for m in facts.models if (m.revision or "").partition(",")[0] in MOVING_REVISIONS})
    moving += [s.name for s in facts.sources if s.pinned and s.pinned.removeprefix("revision ") in MOVING_REVISIONS]
    if moving:
        found.append(f"Not pinned to a revision that stays: {', '.join(moving)}.")
    if facts.limit is not None:
        found.append(f"The run was limited to {facts.limit:,} documents.")
    return found


def _about_models(facts: CardFacts) -> list[str]:
    recipe = facts.recipe
    writer = recipe.models[recipe.generate.model]
    judge = recipe.models[recipe.judge.asked] if recipe.judge.asked else None
    found = ["A model wrote every instruction. Responses are source texts: no stage writes or translates them."]
    if judge is None:
        found.append("No language model judged: the score says that instruction and response speak of one subject.")
    elif provenance.model_id(writer) == provenance.model_id(judge):
        found.append(f"The same model, {provenance.model_id(writer)}, wrote the instructions and judged them.")
    elif provenance.family(writer) == provenance.family(judge):
        found.append(f"Writer and judge are of one family ({provenance.family(writer)}) and may share preferences.")
    if isinstance(writer, EmbeddedModel):
        kind = "base model, not trained to follow instructions" if writer.prompt_format == "completion" else "model"
        found.append(f"The writer is a small {kind}, run on a CPU.")
    return found


def _about_rows(facts: CardFacts) -> list[str]:
    found = []
    if facts.rows < FEW_ROWS:
        found.append(f"Only {facts.rows:,} rows in {facts.language.name}.")
    for split in facts.splits:
        if split.name == "test" and split.rows < FEW_TEST_ROWS:
            found.append(f"What is measured on the test split has wide errors: its rows are {split.rows:,}.")
    largest = max(facts.sources, key=lambda source: source.released or 0)
    if facts.rows and largest.released and largest.released / facts.rows > LARGE_SOURCE:
        found.append(f"One source, {largest.name}, gave {largest.released / facts.rows:.0%} of the rows.")
    if facts.largest_cluster_ratio is not None and facts.largest_cluster_ratio > LARGE_CLUSTER:
        found.append(f"The largest of {facts.clusters:,} clusters holds {facts.largest_cluster_ratio:.0%} of the rows.")
    if facts.rows and facts.first_words and facts.first_words[0][1] / facts.rows > LARGE_WORD:
        word, count = facts.first_words[0]
        found.append(f"{count / facts.rows:.0%} of the instructions begin with “{word}”.")
    scores = facts.scores
    if scores and scores.below_threshold and scores.threshold is not None:
        share = scores.below_threshold / scores.total
        found.append(f"{share:.0%} of the judged candidates scored below {scores.threshold:g} and are missing here.")
    return found
