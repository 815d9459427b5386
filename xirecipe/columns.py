"""The columns of a row: name, type, meaning, and the stage that writes each.

Said once; prompts, cards and checks read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

StageKind = Literal["corpus", "dedup", "generate", "judge", "embed", "cluster", "select", "split"]
STAGES: tuple[StageKind, ...] = ("corpus", "dedup", "generate", "judge", "embed", "cluster", "select", "split")

ColumnType = Literal["string", "int64", "float64", "list<float32>"]


@dataclass(frozen=True)
class Column:
    """One column. `stage` is the stage that first writes it."""

    name: str
    type: ColumnType
    stage: StageKind
    meaning: str


COLUMNS: tuple[Column, ...] = (
    Column("document_id", "string", "corpus", "The document's id in its source; made unique with `~2` where it is not"),
    Column("text", "string", "corpus", "The document, cleaned and masked, in NFC"),
    Column("source", "string", "corpus", "The source's name in the recipe"),
    Column("url", "string", "corpus", "Where the document was found, as its source says; empty where it does not"),
    Column("language", "string", "corpus", "The recipe's language"),
    Column(
        "language_score", "float64", "corpus", "lid.176's score of the language over the first 1,000 characters, 0..1"
    ),
    Column("masked", "int64", "corpus", "Emails, IP addresses and phone numbers replaced in the text"),
    Column("draw", "int64", "generate", "Which draw of the document's instructions this is, from 0"),
    Column("instruction", "string", "generate", "The English instruction the model wrote for the text"),
    Column("rubric_score", "float64", "judge", "Mean level under the judge's label probabilities"),
    Column("likelihood_gain", "float64", "judge", "(log p(text | instruction) - log p(text)) per token, in nats"),
    Column("embedding", "list<float32>", "embed", "Unit vector of the embedded column"),
    Column("cluster", "int64", "cluster", "k-means cluster of the embedding, from 0"),
    Column("score", "float64", "select", "The score that ranked the candidates"),
    Column("split", "string", "split", "`train` or `test`"),
)

#: What dropped and failed rows carry beside their columns.
OUTCOME_COLUMNS: tuple[tuple[str, ColumnType], ...] = (
    ("reason", "string"),
    ("value", "float64"),
    ("threshold", "float64"),
    ("detail", "string"),
)


def columns_before(stage: StageKind) -> list[Column]:
    """Columns that rows have when they enter `stage`."""
    return [c for c in COLUMNS if STAGES.index(c.stage) < STAGES.index(stage)]


def columns_after(stage: StageKind) -> list[Column]:
    """Columns that rows have when they leave `stage`."""
    return [c for c in COLUMNS if STAGES.index(c.stage) <= STAGES.index(stage)]
