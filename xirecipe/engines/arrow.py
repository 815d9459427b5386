"""select and split: rows in, rows out, no model."""

from __future__ import annotations

import hashlib
from collections import Counter

from xirecipe.columns import columns_after
from xirecipe.recipe.selection import Select, Split
from xirecipe.selecting import select_rows
from xirecipe.stage import Outcome, Work
from xirecipe.tables import read, write


def run_select(work: Work) -> Outcome:
    """Candidates in, rows of the dataset out."""
    config = work.stage.config
    assert isinstance(config, Select)
    rows = list(read(work.inputs["cluster"].data))
    kept, dropped = select_rows(rows, config)
    columns = columns_after("select")
    write(work.output.data, kept, columns)
    write(work.output.dropped, dropped, columns, outcome=True)
    reasons = Counter(row["reason"] for row in dropped)
    return Outcome(len(rows), len(rows), len(kept), dict(reasons))


def run_split(work: Work) -> Outcome:
    """Adds `split`. A document's side hangs on its id and the seed alone, so more rows never move the old ones."""
    config = work.stage.config
    assert isinstance(config, Split)
    sides: Counter[str] = Counter()

    def side(document_id: str) -> str:
        hashed = hashlib.sha256(f"{config.seed}:{document_id}".encode()).digest()
        name = "test" if int.from_bytes(hashed[:8], "big") < config.test_ratio * 2**64 else "train"
        sides[name] += 1
        return name

    rows = ({**row, "split": side(row["document_id"])} for row in read(work.inputs["select"].data))
    kept = write(work.output.data, rows, columns_after("split"))
    return Outcome(kept, kept, kept, facts={"splits": dict(sorted(sides.items()))})
