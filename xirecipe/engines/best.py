"""A stage's best candidates, out of its rows: what a refining round shows, and what the training before it learns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xirecipe.recipe.generation import Refine
from xirecipe.refining import best_drafts
from xirecipe.selecting import SCORE_COLUMNS
from xirecipe.tables import Row, read


def drafts_of(folder: Path, config: Refine) -> dict[str, Row]:
    """Each document's best draft by document id, with `chars`, the length of its text, in place of the text: a million
    texts would not fit into memory."""
    columns = ["document_id", "draw", "instruction", "text", SCORE_COLUMNS[config.score]]
    # The text goes before the rest is copied.
    return best_drafts(({"chars": len(row.pop("text")), **row} for row in read(folder, columns)), config)


def whole(folder: Path, chosen: Sequence[Row], columns: Sequence[str] | None = None) -> list[Row]:
    """The chosen candidates in their order, with all their columns, or with `columns` and what says which they are."""
    wanted = {(row["document_id"], row["draw"]): i for i, row in enumerate(chosen)}
    found: dict[int, Row] = {}
    for row in read(folder, None if columns is None else ["document_id", "draw", *columns]):
        if (place := wanted.get((row["document_id"], row["draw"]))) is not None:
            found[place] = row
    return [found[place] for place in sorted(found)]
