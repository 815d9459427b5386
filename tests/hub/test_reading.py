"""Datasets that lie on the Hub, read by the real clients from a loopback one."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mixing.mixes import Ran, mix, mix_folder, run
from xirecipe.diagnostics import UserError

from .loopback import LoopbackHub

pytestmark = pytest.mark.engine

ROWS = [{"conversations": [f"Question {n}?", f"Answer {n}."]} for n in range(5)]


@pytest.fixture(autouse=True)
def _fresh_file_systems(hub: LoopbackHub) -> Iterator[None]:
    """fsspec keeps file systems for the whole process, and with them the address of another test's Hub."""
    from datatrove.io import DataFolder
    from huggingface_hub import HfFileSystem

    def clear() -> None:
        HfFileSystem.clear_instance_cache()
        DataFolder.clear_instance_cache()

    clear()
    yield
    clear()


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def read(tmp_path: Path, revision: str, files: str) -> Ran:
    version = {"format": "hub", "repository": "me/rows", "revision": revision, "files": files}
    recipe = mix(mix_folder(tmp_path), {
        "datasets.parallel": {
            "license": "cc0-1.0", "align_on": "row_number", "versions": {"eng_Latn": version},
            "columns": {"instruction": "conversations[0]", "response": "conversations[1]"},
        },
        "mix.parts": {"all": {"dataset": "parallel", "shape": "monolingual"}},
    })  # fmt: skip
    return run(recipe, tmp_path / "store")


@pytest.mark.parametrize("files", ["train.jsonl", "train.jsonl.gz", "data/*.parquet"])
def test_json_lines_and_parquet_are_read_at_the_pinned_commit(hub: LoopbackHub, tmp_path: Path, files: str) -> None:
    repository = hub.repository("me/rows")
    lines = json_lines(ROWS)
    pinned = repository.push(
        {"train.jsonl": lines, "train.jsonl.gz": gzip.compress(lines), "data/0000.parquet": parquet(ROWS)}
    )
    repository.push(dict.fromkeys(("train.jsonl", "train.jsonl.gz", "data/0000.parquet")))
    rows = read(tmp_path, pinned, files).rows()
    assert {(row["instruction"], row["response"]) for row in rows} == {
        (f"Question {n}?", f"Answer {n}.") for n in range(5)
    }


@pytest.mark.parametrize("files", ["rows.csv", "rows.*"])
def test_other_files_and_two_kinds_at_once_are_refused(hub: LoopbackHub, tmp_path: Path, files: str) -> None:
    pinned = hub.repository("me/rows").push({"rows.csv": b"a\n1\n", "rows.parquet": parquet(ROWS)})
    with pytest.raises(UserError, match=r"rows\.csv is not read from the Hub") as raised:
        read(tmp_path, pinned, files)
    assert raised.value.diagnostics[0].code == "unknown-format"
