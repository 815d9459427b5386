"""match and rating_set: what is made of the seed by nearness of meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import numpy as np

from xirecipe.columns import RATING_COLUMNS
from xirecipe.engines.embeddings import BATCH, batches, embed
from xirecipe.rating import rating_rows
from xirecipe.recipe.generation import Exemplars, RatingSet
from xirecipe.recipe.models import Embedder
from xirecipe.seed import within_budget
from xirecipe.tables import Row, count, read, write
from xirecipe.work import Outcome, Progress, Work

#: Characters of a text that are compared: about what the embedding model's 512 tokens hold.
COMPARED_CHARS = 1000


def run_match(work: Work) -> Outcome:
    """Adds `exemplars`: ids of the seed pairs whose responses are nearest to the document, within the token budget."""
    stage, config = work.stage, work.stage.config
    assert isinstance(config, Exemplars)
    source = work.inputs[stage.inputs[0].kind].data
    total = count(source)
    seed = embed([pair.response[:COMPARED_CHARS] for pair in stage.exemplars], config.embedding)
    shown = Counter[str]()

    def rows() -> Iterator[Row]:
        done = 0
        for batch in batches(read(source), BATCH):
            near = embed([row["text"][:COMPARED_CHARS] for row in batch], config.embedding) @ seed.T
            # A stable sort: equally near pairs come in the seed's order, on every machine.
            for row, order in zip(batch, np.argsort(-near, axis=1, kind="stable"), strict=True):
                pairs = within_budget([stage.exemplars[i] for i in order[: config.count]], config.max_tokens)
                shown.update(pair.id for pair in pairs)
                yield {**row, "exemplars": [pair.id for pair in pairs]}
            done += len(batch)
            work.report(Progress(done, total, "documents"))

    kept = write(work.output.data, rows(), stage.columns)
    return Outcome(total, total, kept, facts={"model_license": "mit", "shown": dict(shown.most_common())})


def run_rating_set(work: Work) -> Outcome:
    """Rated pairs made from the seed, then from each of `rating_set.seeds`, in the columns of RATING_COLUMNS."""
    stage, config = work.stage, work.stage.config
    assert isinstance(config, RatingSet)
    seeds = [(stage.language, list(stage.exemplars))]
    for _, taught in groupby(stage.taught, key=lambda each: each.seed):
        more = list(taught)
        seeds.append((stage.languages[more[0].language], [each.pair for each in more]))
    rows: list[Row] = []
    for language, pairs in seeds:
        near = nearest_others([pair.instruction for pair in pairs], config.embedding)
        measured_on = {row["instruction"] for row in rows if row["part"] == "held_out"}
        rows += rating_rows(pairs, near, config, language, measured_on)
    kept = write(work.output.data, rows, RATING_COLUMNS)
    parts = Counter(f"{row['part']}.{row['level']}" for row in rows)
    rows_in = sum(len(pairs) for _, pairs in seeds)
    return Outcome(rows_in, kept, kept, facts={"model_license": "mit", "rows": dict(sorted(parts.items()))})


def nearest_others(texts: list[str], model: Embedder) -> list[int]:
    """For each text the position of the most similar other one. Empty for fewer than two."""
    if len(texts) < 2:
        return []
    vectors = embed(texts, model)
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    return [int(i) for i in cosine.argmax(axis=1)]
