"""select, messages and split: rows in, rows out, no model."""

from __future__ import annotations

import hashlib
from collections import Counter

from xirecipe.diagnostics import user_error
from xirecipe.prompts import TemplateError, render
from xirecipe.recipe.selection import Messages, Select, Split
from xirecipe.selecting import select_rows
from xirecipe.stage import Outcome, Work
from xirecipe.tables import Row, read, write


def run_select(work: Work) -> Outcome:
    """Candidates in, rows of the dataset out."""
    config = work.stage.config
    assert isinstance(config, Select)
    rows = list(read(work.inputs["cluster"].data))
    kept, dropped = select_rows(rows, config)
    columns = work.stage.columns
    write(work.output.data, kept, columns)
    write(work.output.dropped, dropped, columns, outcome=True)
    reasons = Counter(row["reason"] for row in dropped)
    return Outcome(len(rows), len(rows), len(kept), dict(reasons))


def run_messages(work: Work) -> Outcome:
    """Adds `style` and `prompt`, the user's turn. A document's style hangs on its id and the seed alone."""
    stage, config = work.stage, work.stage.config
    assert isinstance(config, Messages)
    styles: Counter[str] = Counter()

    def turn(row: Row) -> Row:
        style = "assistant" if _share(f"style-{config.seed}", row["document_id"]) < config.assistant_ratio else "plain"
        styles[style] += 1
        template = config.assistant if style == "assistant" else config.plain
        try:
            prompt = render(template, {"instruction": row["instruction"], "language": stage.language})
        except TemplateError as error:
            raise user_error("bad-prompt", f"messages.{style}: {error}") from None
        return {**row, "style": style, "prompt": prompt}

    rows = (turn(row) for row in read(work.inputs["select"].data))
    kept = write(work.output.data, rows, stage.columns)
    return Outcome(kept, kept, kept, facts={"styles": dict(sorted(styles.items()))})


def run_split(work: Work) -> Outcome:
    """Adds `split`. A document's side hangs on its id and the seed alone, so more rows never move the old ones."""
    config = work.stage.config
    assert isinstance(config, Split)
    sides: Counter[str] = Counter()

    def side(document_id: str) -> str:
        name = "test" if _share(config.seed, document_id) < config.test_ratio else "train"
        sides[name] += 1
        return name

    source = work.inputs[work.stage.inputs[0].slot]
    rows = ({**row, "split": side(row["document_id"])} for row in read(source.data))
    kept = write(work.output.data, rows, work.stage.columns)
    return Outcome(kept, kept, kept, facts={"splits": dict(sorted(sides.items()))})


def _share(seed: int | str, document_id: str) -> float:
    """A document's place between 0 and 1, the same on every machine."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{document_id}".encode()).digest()[:8], "big") / 2**64
