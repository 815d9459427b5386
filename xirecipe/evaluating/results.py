"""What an evaluation leaves behind: `verdicts.parquet`, `summary.json` that says what the numbers hang on, answers."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xirecipe import __version__
from xirecipe.diagnostics import user_error
from xirecipe.disk import write_whole
from xirecipe.fingerprint import SHORT, digest
from xirecipe.loaded import shown_name
from xirecipe.store import Store
from xirecipe.tables import Row

VERDICTS, SUMMARY = "verdicts.parquet", "summary.json"
#: Answers that an evaluation asked for, to go on with: JSON Lines.
ANSWERS = "answers-*.jsonl"
#: Packages whose versions stand in every summary: what asks, and what computes.
RECORDED_PACKAGES = ("distilabel", "vllm", "xllamacpp", "numpy", "pyarrow")
_TYPES = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}


@dataclass(frozen=True)
class Results:
    """Rows with their verdicts, their columns (name -> type), and what they come to."""

    rows: list[Row]
    columns: dict[str, str]
    summary: dict[str, Any]
    failed_requests: Mapping[str, int]
    """Requests that got no answer at all, by reason; `--retry-failed` asks them again."""
    answers: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    """Files of ANSWERS, by name."""


@dataclass(frozen=True)
class Evaluation:
    """One metric over certain files, and everything its numbers hang on."""

    metric: str
    identity: dict[str, Any]
    store: Store

    @property
    def fingerprint(self) -> str:
        """sha256 (hexadecimal) over [metric, identity]."""
        return digest([self.metric, self.identity])

    @property
    def folder(self) -> Path:
        return self.store.root / "evaluations" / f"{self.metric}-{self.fingerprint[:SHORT]}"

    def finished(self) -> dict[str, Any] | None:
        """The summary, where this very evaluation was done before. A damaged one is made again."""
        self.store.bring(self.folder)
        try:
            found = json.loads((self.folder / SUMMARY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = isinstance(found, dict) and found.get("fingerprint") == self.fingerprint
        return found if whole and (self.folder / VERDICTS).exists() else None

    def write(self, results: Results, **facts: Any) -> dict[str, Any]:
        """Write all files, the summary last. Returns it."""
        schema = pa.schema([(name, _TYPES[kind]) for name, kind in results.columns.items()])
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / SUMMARY).unlink(missing_ok=True)
        pq.write_table(pa.Table.from_pylist(results.rows, schema=schema), self.folder / VERDICTS)
        for name, rows in results.answers.items():
            write_whole(self.folder / name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        summary = {
            "metric": self.metric,
            "fingerprint": self.fingerprint,
            **facts,
            **results.summary,
            "failed_requests": dict(results.failed_requests),
            "identity": self.identity,
            "tool": __version__,
            "versions": _versions(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        text = json.dumps(summary, ensure_ascii=False, indent=2) + "\n"
        write_whole(self.folder / SUMMARY, text)
        self.store.keep(self.folder)
        # As it will be read: a table of a second run must not differ from the first one's.
        loaded: dict[str, Any] = json.loads(text)
        return loaded


def check_target(to: Path) -> None:
    """Raises UserError when results cannot be put into `to`. Only results that lie there are ever replaced."""
    if not to.exists():
        return
    if not to.is_dir():
        raise user_error("not-a-folder", f"{shown_name(to)} is a file", hint="name a folder")
    strange = sorted(path.name for path in to.iterdir() if not _is_result(path.name))
    if strange:
        message = f"{shown_name(to)} holds something else than results: {', '.join(strange[:5])}"
        raise user_error("folder-not-empty", message, hint="name another folder")


def copy(folder: Path, to: Path) -> None:
    """Put the results of a folder into another one, the summary last."""
    to.mkdir(parents=True, exist_ok=True)
    for path in [*to.glob(ANSWERS), to / SUMMARY]:
        path.unlink(missing_ok=True)
    for name in (VERDICTS, *sorted(path.name for path in folder.glob(ANSWERS)), SUMMARY):
        shutil.copyfile(folder / name, to / name)


def _is_result(name: str) -> bool:
    return name in (VERDICTS, SUMMARY) or fnmatch(name, ANSWERS)


def _versions() -> dict[str, str]:
    installed = {each.metadata["Name"].lower(): each.version for each in importlib.metadata.distributions()}
    return {name: installed[name] for name in RECORDED_PACKAGES if name in installed}
