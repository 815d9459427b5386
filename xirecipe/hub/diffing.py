"""What changed between two released trees: rows by hash, columns, configs, and the least version step for it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from xirecipe.hub.rows import CONFIG, RENUMBERED, row_digest
from xirecipe.hub.versions import Bump
from xirecipe.tables import Row, read_files

#: Rows that are named for each kind of change, so that a reader can look one up.
EXAMPLES = 3

#: Config -> split -> its parquet files.
Layout = dict[str, dict[str, list[Path]]]


@dataclass(frozen=True)
class RowChanges:
    """The rows of one config in two versions. `examples` are (kind, document id), some of each kind."""

    config: str
    before: int
    after: int
    added: int
    removed: int
    changed: int
    examples: tuple[tuple[Literal["added", "removed", "changed"], str], ...]
    columns: tuple[str, ...] = ()
    """Columns that differ in the changed examples."""

    def named(self, kind: str) -> str:
        """Some of the rows that came, went or changed, as ` (such as a, b)`; of changed ones also what changed."""
        shown = ", ".join(document for own, document in self.examples if own == kind)
        where = f" in {', '.join(self.columns)}" if kind == "changed" and self.columns else ""
        return f" (such as {shown}{where})" if shown else ""


@dataclass(frozen=True)
class Difference:
    """What a reader of the data meets in the new version. Columns are `config.column`."""

    rows: tuple[RowChanges, ...]
    configs_added: tuple[str, ...] = ()
    configs_removed: tuple[str, ...] = ()
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_retyped: tuple[str, ...] = ()

    @property
    def least(self) -> Bump:
        """The smallest version step that tells the truth."""
        gone = self.configs_removed + self.columns_removed + self.columns_retyped
        if gone or any(config.removed or config.changed for config in self.rows):
            return "MAJOR"
        new = self.configs_added + self.columns_added
        return "MINOR" if new or any(config.added for config in self.rows) else "PATCH"

    @property
    def reasons(self) -> list[str]:
        """Every change in words, the weightiest first."""
        named = (
            ("configs that are gone", self.configs_removed), ("columns that are gone", self.columns_removed),
            ("columns of another type", self.columns_retyped),
        )  # fmt: skip
        found = [f"{what}: {', '.join(names)}" for what, names in named if names]
        for kind in ("changed", "removed", "added"):
            # Configs are shapes of the same rows: what is the same in several is said once.
            same: dict[tuple[int, tuple[str, ...]], list[RowChanges]] = {}
            for config in self.rows:
                if count := getattr(config, kind):
                    documents = tuple(document for own, document in config.examples if own == kind)
                    same.setdefault((count, documents), []).append(config)
            for (count, _), configs in same.items():
                rows, where = "row" if count == 1 else "rows", "config" if len(configs) == 1 else "configs"
                names = ", ".join(config.config for config in configs)
                found.append(f"{count:,} {rows} {kind} in {where} {names}{configs[0].named(kind)}")
        found += [f"new configs: {', '.join(self.configs_added)}"] if self.configs_added else []
        found += [f"new columns: {', '.join(self.columns_added)}"] if self.columns_added else []
        return found or ["no row changed"]


def layout(folder: Path, names: Iterable[str] | None = None) -> Layout:
    """Which files make up each config and split, as the card's metadata says. Empty where there is no metadata.

    `names`: paths to choose from, where not all of a tree lies in `folder`.
    """
    from huggingface_hub import metadata_load

    card = folder / "README.md"
    metadata = (metadata_load(card) if card.exists() else None) or {}
    if names is None:
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet") if path.is_file()]
    names = sorted(names)
    found: Layout = {}
    for config in metadata.get("configs") or []:
        splits = found.setdefault(str(config["config_name"]), {})
        for entry in config["data_files"]:
            patterns = entry["path"] if isinstance(entry["path"], list) else [entry["path"]]
            # Matched against what is there: a pattern from a stranger's card cannot leave the folder.
            chosen = [folder / name for name in names if any(fnmatchcase(name, p) for p in patterns)]
            splits.setdefault(str(entry["split"]), []).extend(chosen)
    return found


def compare(old: Path | None, new: Path) -> Difference:
    """The difference between two released trees; everything is new where there is no old one."""
    before, after = layout(old) if old else {}, layout(new)
    rows: list[RowChanges] = []
    added: list[str] = []
    removed: list[str] = []
    retyped: list[str] = []
    for config in after:
        old_types, new_types = _types(before.get(config, {})), _types(after[config])
        if config in before:
            added += [f"{config}.{name}" for name in new_types if name not in old_types]
            removed += [f"{config}.{name}" for name in old_types if name not in new_types]
            shared = [name for name in new_types if name in old_types]
            retyped += [f"{config}.{name}" for name in shared if new_types[name] != old_types[name]]
            compared = [name for name in shared if new_types[name] == old_types[name]]
        else:
            compared = list(new_types)
        rows.append(_changes(config, before, after, compared))
    return Difference(
        rows=tuple(rows),
        configs_added=tuple(c for c in after if c not in before) if old else (),
        configs_removed=tuple(c for c in before if c not in after),
        columns_added=tuple(added),
        columns_removed=tuple(removed),
        columns_retyped=tuple(retyped),
    )


def _types(splits: dict[str, list[Path]]) -> dict[str, pa.DataType]:
    paths = [path for files in splits.values() for path in files]
    return {field.name: field.type for field in pq.read_schema(paths[0])} if paths else {}


def _changes(config: str, before: Layout, after: Layout, columns: list[str]) -> RowChanges:
    """Rows matched by document id. A document with several rows is compared as a bag of them."""
    old, new = _by_document(before, config, columns), _by_document(after, config, columns)
    counts: Counter[str] = Counter()
    examples: list[tuple[Literal["added", "removed", "changed"], str]] = []

    def note(kind: Literal["added", "removed", "changed"], document: str, count: int) -> None:
        counts[kind] += count
        if count and sum(own == kind for own, _ in examples) < EXAMPLES:
            examples.append((kind, document))

    for document in sorted({*old, *new}):
        gone = (old.get(document, Counter()) - new.get(document, Counter())).total()
        came = (new.get(document, Counter()) - old.get(document, Counter())).total()
        both = min(gone, came)
        note("changed", document, both)
        note("removed", document, gone - both)
        note("added", document, came - both)
    documents = [document for kind, document in examples if kind == "changed"]
    before_rows, after_rows = (sum(c.total() for c in side.values()) for side in (old, new))
    return RowChanges(
        config, before_rows, after_rows, counts["added"], counts["removed"], counts["changed"], tuple(examples),
        _changed_columns(before.get(config, {}), after[config], documents, columns),
    )  # fmt: skip


def _by_document(tree: Layout, config: str, columns: list[str]) -> dict[str, Counter[str]]:
    """Document id -> the digests of its rows, over some columns and the split they stand in.

    A config without document ids has the rows of the default one, in the same order, and so their ids.
    """
    found: dict[str, Counter[str]] = {}
    for split, files in tree.get(config, {}).items():
        named = files if _has_ids(files) else tree.get(CONFIG, {}).get(split, [])
        ids = [row["document_id"] for row in read_files(named, ["document_id"])] if _has_ids(named) else []
        digests = [row_digest(split, row) for row in read_files(files, columns)]
        for document, digest in zip(ids if len(ids) == len(digests) else digests, digests, strict=True):
            found.setdefault(str(document), Counter())[digest] += 1
    return found


def _changed_columns(
    before: dict[str, list[Path]], after: dict[str, list[Path]], documents: list[str], columns: list[str]
) -> tuple[str, ...]:
    """Which columns differ in some documents; `split` where a row moved. Nothing where rows have no document id."""
    if not documents or "document_id" not in columns:
        return ()
    old, new = (_looked_up(side, documents, columns) for side in (before, after))
    differing = {name for key in documents for name in columns if _values(old, key, name) != _values(new, key, name)}
    moved = any(_values(old, key, "split") != _values(new, key, "split") for key in documents)
    return (*(name for name in columns if name in differing - RENUMBERED), *(["split"] if moved else []))


def _looked_up(splits: dict[str, list[Path]], documents: list[str], columns: list[str]) -> list[Row]:
    found = []
    for split, files in splits.items():
        for path in files:
            table = pq.read_table(path, columns=columns, filters=[("document_id", "in", documents)])
            found += [{**row, "split": split} for row in table.to_pylist()]
    return found


def _values(rows: list[Row], document: str, name: str) -> list[str]:
    return sorted(repr(row[name]) for row in rows if row["document_id"] == document)


def _has_ids(files: list[Path]) -> bool:
    return bool(files) and all("document_id" in pq.read_schema(path).names for path in files)


def card_lines(old: str, new: str) -> list[str]:
    """A card's changed lines, as a unified diff without its two header lines."""
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0))[2:]


def as_json(difference: Difference) -> dict[str, Any]:
    """For `--json`: counts by config, columns and configs that came or went, and the least step."""
    return {
        "least_bump": difference.least,
        "reasons": difference.reasons,
        "configs": {
            c.config: {
                "before": c.before, "after": c.after, "added": c.added, "removed": c.removed, "changed": c.changed,
                "columns": list(c.columns), "examples": [list(example) for example in c.examples],
            }
            for c in difference.rows
        },
        "configs_added": list(difference.configs_added), "configs_removed": list(difference.configs_removed),
        "columns_added": list(difference.columns_added), "columns_removed": list(difference.columns_removed),
        "columns_retyped": list(difference.columns_retyped),
    }  # fmt: skip
