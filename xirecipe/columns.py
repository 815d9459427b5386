"""The columns of a row: name, type, meaning, and the stage that writes each.

Said once; prompts, cards and checks read it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

StageKind = Literal[
    "corpus", "dedup", "polish", "match", "train", "generate", "rating_set", "judge", "refine", "decontaminate",
    "embed", "cluster", "select", "messages", "split", "read", "translate", "mix",
]  # fmt: skip
#: Every kind of stage of a text recipe, in the order in which a plan has them.
STAGES: tuple[StageKind, ...] = (
    "corpus", "dedup", "polish", "match", "train", "generate", "rating_set", "judge", "refine", "decontaminate",
    "embed", "cluster", "select", "messages", "split",
)  # fmt: skip
#: The same of a mixing recipe.
MIX_STAGES: tuple[StageKind, ...] = ("read", "translate", "mix", "split")
#: Those that a plan has only when its recipe asks for them.
OPTIONAL: frozenset[StageKind] = frozenset({"polish", "match", "train", "rating_set", "refine", "decontaminate"})
#: Those whose rows are no documents, and that no document comes through.
BESIDE: frozenset[StageKind] = frozenset({"train", "rating_set"})
#: Those that every plan has.
CORE: tuple[StageKind, ...] = tuple(kind for kind in STAGES if kind not in OPTIONAL)

ColumnType = Literal["string", "int64", "float64", "list<float32>", "list<string>"]


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
    Column("cut_chars", "int64", "corpus", "Characters cut off behind the declared window, at a sentence end"),
    Column("removed_head", "string", "polish", "Page furniture that stood before the text, as it was"),
    Column("removed_tail", "string", "polish", "Page furniture that stood behind the text, as it was"),
    Column("exemplars", "list<string>", "match", "Ids of the seed pairs nearest to the document, the nearest first"),
    Column("draw", "int64", "generate", "Which draw of the document's instructions this is, from 0"),
    Column("instruction", "string", "generate", "The English instruction the model wrote for the text"),
    Column("round", "int64", "generate", "The round in which the instruction was written; 0 for first drafts"),
    Column("rubric_score", "float64", "judge", "Mean level under the judge's label probabilities"),
    Column("likelihood_gain", "float64", "judge", "Nats per token that instruction and text raise each other by"),
    Column("similarity", "float64", "judge", "Cosine of the embeddings of instruction and text"),
    Column("embedding", "list<float32>", "embed", "Unit vector of the embedded column"),
    Column("cluster", "int64", "cluster", "k-means cluster of the embedding, from 0"),
    Column("score", "float64", "select", "The score that ranked the candidates"),
    Column("style", "string", "messages", "`plain` or `assistant`: how the user's turn names the answer's language"),
    Column("prompt", "string", "messages", "The user's turn: the instruction in that style"),
    Column("split", "string", "split", "`train` or `test`"),
)

#: Of a mixing recipe. `document_id` is the origin row: what `trace` follows, and what keeps all its rows in one split.
MIX_COLUMNS: tuple[Column, ...] = (
    Column("document_id", "string", "read", "The origin row: its dataset, and its id there"),
    Column("dataset", "string", "read", "The dataset's name in the recipe"),
    Column("language", "string", "read", "The language of the row"),
    Column("instruction", "string", "read", "The instruction, or the text where there is no response"),
    Column("input", "string", "read", "What the instruction works on; empty where there is nothing"),
    Column("response", "string", "read", "The response; empty where the dataset has none"),
    Column("license", "string", "read", "Licence of the dataset"),
    Column("made", "string", "read", "`written`: as the dataset has it; `translated`: by the recipe's model"),
    Column("part", "string", "mix", "The part of the mix"),
    Column("config", "string", "mix", "The config of the release"),
    Column("shape", "string", "mix", "`monolingual`, `cross_lingual`, `translation` or `contrastive`"),
    Column("direction", "string", "mix", "`en->x`, `x->en`, `x->x`, or `same` where both sides are in one language"),
    Column("draw", "int64", "mix", "Which draw of the part gave the row, from 0"),
    Column("instruction_language", "string", "mix", "The language of the instruction"),
    Column("response_language", "string", "mix", "The language of the response"),
    Column("turn", "string", "mix", "The instruction as its part's template writes it, without its input"),
    Column("content", "string", "mix", "The user's turn: that, and the input"),
    Column("split", "string", "split", "`train` or `test`"),
)

#: The rating set's own columns: its rows are no documents.
RATING_COLUMNS: tuple[Column, ...] = (
    Column("pair_id", "string", "rating_set", "The seed pair whose instruction this is"),
    Column("text_id", "string", "rating_set", "The seed pair whose response, or part of it, stands as the text"),
    Column("instruction", "string", "rating_set", "The English instruction"),
    Column("text", "string", "rating_set", "The response to rate"),
    Column("language", "string", "rating_set", "The language of the response"),
    Column("level", "string", "rating_set", "`top`, `middle` or `bottom`"),
    Column("made", "string", "rating_set", "`pair`, `truncated`, `neighbour` or `other`"),
    Column("part", "string", "rating_set", "`learn`, or `held_out` for measuring the evaluator"),
)

#: Of a train stage: the pairs that a model learnt from, and those held out to measure it on. Natural logarithms.
TRAIN_COLUMNS: tuple[Column, ...] = (
    Column("pair_id", "string", "train", "The seed pair; of `best_rows`, the document"),
    Column("seed", "string", "train", "`seed`, a name under `learn.seeds`, `rating_set` or `best_rows`"),
    Column("language", "string", "train", "The language of the response"),
    Column("instruction", "string", "train", "The English instruction"),
    Column("text", "string", "train", "As much of the response as the prompt showed"),
    Column("level", "string", "train", "What the evaluator learnt to say of them; null where the writer learnt"),
    Column("part", "string", "train", "`learn` or `held_out`"),
    Column("tokens", "int64", "train", "Tokens of the answer"),
    Column("log_prob_before", "float64", "train", "log p(answer | prompt) of the model as it was; null: not measured"),
    Column("log_prob_after", "float64", "train", "The same with the adapter"),
)

#: What dropped and failed rows carry beside their columns.
OUTCOME_COLUMNS: tuple[tuple[str, ColumnType], ...] = (
    ("reason", "string"),
    ("value", "float64"),
    ("threshold", "float64"),
    ("detail", "string"),
)


def columns_before(stage: StageKind, present: Collection[StageKind] = ()) -> list[Column]:
    """Columns that rows have when they enter `stage` of a plan with these optional stages."""
    return [c for c in _columns(present) if STAGES.index(c.stage) < STAGES.index(stage)]


def columns_after(stage: StageKind, present: Collection[StageKind] = ()) -> list[Column]:
    """Columns that rows have when they leave `stage` of a plan with these optional stages."""
    return [c for c in _columns(present) if STAGES.index(c.stage) <= STAGES.index(stage)]


def mix_columns_after(stage: StageKind) -> list[Column]:
    """Columns that rows of a mixing recipe have when they leave `stage`."""
    return [c for c in MIX_COLUMNS if MIX_STAGES.index(c.stage) <= MIX_STAGES.index(stage)]


def _columns(present: Collection[StageKind]) -> list[Column]:
    return [c for c in COLUMNS if c.stage not in OPTIONAL or c.stage in present]
