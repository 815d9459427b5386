"""`embed:`, `cluster:`, `select:`, `split:` of a recipe: which candidates become rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from xirecipe.recipe.base import PositiveInt, Ratio, Section
from xirecipe.recipe.generation import Score
from xirecipe.recipe.models import Embedder


class Embed(Embedder):
    """Sentence embeddings of a column."""

    column: Literal["instruction", "response"] = "instruction"


class Cluster(Section):
    """k-means over the embeddings (scikit-learn MiniBatchKMeans)."""

    rows_per_cluster: PositiveInt = 8
    """The number of clusters is the number of rows divided by this."""
    seed: int = 0


class Select(Section):
    """Best draw of each document, then thresholds, then repeated instructions, then `rows` of what is left."""

    score: Score = "rubric"
    """Which of the judge's scores ranks, and is compared with `min_score`."""
    min_score: float | None = None
    rows: PositiveInt | None = None
    """At most this many rows, spread over the clusters. All when not given."""
    pick: Literal["quota", "uncovered"] = "quota"
    """How `rows` are spread. `quota`: clusters take turns, each giving its best row left. `uncovered`: greedily the row
    with the best sum of quality and novelty, a cluster's novelty falling with every row picked from it (M-DaQ's
    quality : diversity = 6 : 1)."""
    quality_weight: float = Field(6.0, gt=0)
    """For `pick: uncovered`: what a point of quality counts against one of novelty, both between 0 and 1."""
    max_instruction_repeats: PositiveInt | None = 1
    """How many rows may share one instruction (compared in lower case, white space and punctuation folded)."""
    max_instruction_similarity: Ratio | None = None
    """Cosine of two instructions' embeddings: above it they are one instruction, and the better row stays. Compared
    inside clusters, where near-duplicates are; needs `embed.column: instruction`."""


class Messages(Section):
    """The user's turn of a row: the instruction, and what names the answer's language.

    Two styles, so that a model learns to answer in the language both as people write and as an assistant would
    (X-Instruction's tags, arXiv 2405.19744). Templates see `instruction` and `language`.
    """

    plain: str = "{{ instruction }}\nAnswer in {{ language.name }}."
    assistant: str = "{{ instruction }}\nAnswer in {{ language.name }}, in the style of an AI assistant."
    assistant_ratio: Ratio = 0.0
    """Share of rows with the assistant's style, drawn by a hash of the document id."""
    seed: int = 0


class Split(Section):
    """Rows of one document never stand on both sides: membership is a hash of the document id."""

    test_ratio: Ratio = 0.05
    seed: int = 0


class Budget(Section):
    """What one run may spend. Reaching it stops the run cleanly; the next run goes on."""

    calls: PositiveInt | None = None
    tokens: PositiveInt | None = None
    dollars: float | None = Field(None, gt=0)
