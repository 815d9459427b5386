"""Rows of a folder in another order, in bounded memory: a distribution sort over files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xirecipe import tables

#: Rows that are in memory at a time, and files that are open at a time; of more rows than both allow, more a file.
ROWS, FILES = 10_000, 256
_PLACE = "place in the order"


def in_order(folder: Path, order: NDArray[np.int64], scratch: Path) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
    """(row numbers, rows) of those rows of `folder` that stand in `order`, in that order, a part at a time.

    They are written once more under `scratch`, each part of the order into a file of its own.
    """
    places = np.full(tables.count(folder), -1, np.int64)
    places[order] = np.arange(len(order))
    size = max(ROWS, -(-len(order) // FILES))
    scratch.mkdir(parents=True, exist_ok=True)
    files: dict[int, pa.RecordBatchFileWriter] = {}
    with ExitStack() as opened:
        start = 0
        for batch in tables.batches(folder):
            here = places[start : start + len(batch)]
            start += len(batch)
            for part in np.unique(here[here >= 0] // size).tolist():
                chosen = np.flatnonzero((here >= 0) & (here // size == part))
                rows = batch.take(pa.array(chosen)).append_column(_PLACE, pa.array(here[chosen]))
                if part not in files:
                    sink = opened.enter_context(pa.OSFile(str(scratch / str(part)), "wb"))
                    files[part] = opened.enter_context(pa.ipc.new_file(sink, rows.schema))
                files[part].write_batch(rows)
    for part in sorted(files):
        path = scratch / str(part)
        with pa.OSFile(str(path), "rb") as source:
            table = pa.ipc.open_file(source).read_all()
        path.unlink()
        arranged = table.take(pa.array(np.argsort(table[_PLACE].to_numpy())))
        yield order[part * size : (part + 1) * size], arranged.drop_columns([_PLACE])
