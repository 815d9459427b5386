"""select, messages and split: rows in, rows out, no model."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xirecipe.columns import COLUMNS
from xirecipe.diagnostics import user_error
from xirecipe.engines.arranging import in_order
from xirecipe.prompts import TemplateError, render
from xirecipe.recipe.selection import Messages, Select, Split
from xirecipe.selecting import SCORE_COLUMNS, Candidates, decide
from xirecipe.tables import Row, Writer, batches, read, schema, write
from xirecipe.work import Outcome, Work


def run_select(work: Work) -> Outcome:
    """Candidates in, rows of the dataset out, in document order.

    In memory are the columns that decide (ids, instructions, numbers), and one part of the rows at a time.
    """
    config = work.stage.config
    assert isinstance(config, Select)
    source = work.inputs["cluster"].data
    scratch = work.output.folder / "arranging"
    scratch.mkdir()
    decided = decide(_candidates(source, config, scratch), config)
    columns = work.stage.columns
    for rows, folder, outcome in (
        (decided.kept, work.output.data, False),
        (decided.dropped, work.output.dropped, True),
    ):
        with Writer(folder, columns, outcome=outcome) as writer:
            for numbers, table in in_order(source, rows, scratch):
                writer.add_table(_with(table, [decided.added(row) for row in numbers.tolist()]))
    shutil.rmtree(scratch)
    total = len(decided.kept) + len(decided.dropped)
    return Outcome(total, total, len(decided.kept), decided.counts)


def _candidates(source: Path, config: Select, scratch: Path) -> Candidates:
    """The columns that decide; embeddings, where they do, as a file that is mapped into memory."""
    score = SCORE_COLUMNS[config.score]
    names = ["document_id", "draw", "instruction", score, "cluster"]
    found = list(batches(source, names))
    table = pa.Table.from_batches(found) if found else schema(COLUMNS).empty_table().select(names)
    vectors: NDArray[np.float32] | None = None
    if config.max_instruction_similarity is not None:
        vectors = _mapped(source, scratch / "vectors.npy", len(table))
    return Candidates(
        documents=table["document_id"].cast(pa.large_string()).combine_chunks(),
        draws=table["draw"].to_numpy(),
        instructions=table["instruction"].cast(pa.large_string()).combine_chunks(),
        scores=table[score].cast(pa.float64()).fill_null(float("nan")).to_numpy(),
        clusters=table["cluster"].to_numpy(),
        vectors=vectors,
    )


def _mapped(source: Path, path: Path, rows: int) -> NDArray[np.float32]:
    """The embeddings of a folder, shape (rows, dimensions)."""
    vectors = np.zeros((0, 0), np.float32)
    start = 0
    for batch in batches(source, ["embedding"]):
        values = batch.column(0).flatten().to_numpy().reshape(len(batch), -1)
        if not start:
            vectors = np.lib.format.open_memmap(path, "w+", np.float32, (rows, values.shape[1]))
        vectors[start : start + len(batch)] = values
        start += len(batch)
    return vectors


def _with(table: pa.Table, added: list[Row]) -> pa.Table:
    """A table with more columns; each entry of `added` has all of them."""
    for name in added[0] if added else ():
        kind = pa.string() if name in ("reason", "detail") else pa.float64()
        table = table.append_column(name, pa.array([row[name] for row in added], kind))
    return table


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
