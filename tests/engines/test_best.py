"""A stage's best candidates, read back out of its rows."""

from __future__ import annotations

from pathlib import Path

from xirecipe.columns import columns_after
from xirecipe.engines.best import whole
from xirecipe.tables import write


def test_the_chosen_come_in_their_order_with_the_columns_that_were_asked_for(tmp_path: Path) -> None:
    rows = [{"document_id": name, "draw": 0, "instruction": f"Explain {name}.", "text": "Mvua."} for name in "abc"]
    write(tmp_path, rows, columns_after("judge"))
    chosen = [{"document_id": "c", "draw": 0}, {"document_id": "a", "draw": 0}]
    assert [row["document_id"] for row in whole(tmp_path, chosen)] == ["c", "a"]
    assert whole(tmp_path, chosen, ["instruction"]) == [
        {"document_id": "c", "draw": 0, "instruction": "Explain c."},
        {"document_id": "a", "draw": 0, "instruction": "Explain a."},
    ]
