from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xirecipe.hub.diffing import Difference, card_lines, compare, layout
from xirecipe.hub.trees import FileChanges, LocalFile, RemoteFile, file_changes, local_tree

Rows = list[dict[str, Any]]
A, B, C = ({"document_id": name, "text": name * 3} for name in "abc")


def tree(folder: Path, configs: dict[str, dict[str, Rows]]) -> Path:
    """A release tree with these rows by config and split."""
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            (folder / config).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows), folder / config / f"{split}-0.parquet")
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*.parquet"]
    (folder / "README.md").write_text("\n".join([*lines, "---", "# card"]), encoding="utf-8")
    return folder


def difference(folder: Path, old: dict[str, dict[str, Rows]], new: dict[str, dict[str, Rows]]) -> Difference:
    return compare(tree(folder / "old", old), tree(folder / "new", new))


def default(*rows: dict[str, Any], split: str = "train") -> dict[str, dict[str, Rows]]:
    return {"default": {split: list(rows)}}


def test_the_same_rows_in_another_order_are_a_patch(tmp_path: Path) -> None:
    found = difference(tmp_path, default(A, B), default(B, A))
    assert (found.least, found.reasons) == ("PATCH", ["no row changed"])


def test_rows_that_were_only_added_are_minor(tmp_path: Path) -> None:
    found = difference(tmp_path, default(A), default(A, B, C))
    assert (found.least, found.reasons) == ("MINOR", ["2 rows added in config default (such as b, c)"])


def test_more_rows_that_give_the_clusters_other_numbers_are_still_minor(tmp_path: Path) -> None:
    found = difference(tmp_path, default(A | {"cluster": 0}), default(A | {"cluster": 7}, B | {"cluster": 0}))
    assert (found.least, found.reasons) == ("MINOR", ["1 row added in config default (such as b)"])


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (default(A), "1 row removed in config default (such as b)"),
        (default(A, B | {"text": "other"}), "1 row changed in config default (such as b in text)"),
        (default(A, B, split="test"), "2 rows changed in config default (such as a, b in split)"),
    ],
)
def test_rows_that_went_changed_or_moved_to_another_split_are_major(
    tmp_path: Path, new: dict[str, dict[str, Rows]], reason: str
) -> None:
    found = difference(tmp_path, default(A, B), new)
    assert (found.least, found.reasons) == ("MAJOR", [reason])


def test_a_column_that_was_added_is_minor_and_leaves_the_rows_as_they_were(tmp_path: Path) -> None:
    found = difference(tmp_path, default(A), default(A | {"score": 1.0}))
    assert (found.least, found.reasons) == ("MINOR", ["new columns: default.score"])


def test_a_column_that_went_or_has_another_type_is_major(tmp_path: Path) -> None:
    gone = difference(tmp_path / "1", default(A | {"score": 1.0}), default(A))
    assert (gone.least, gone.reasons) == ("MAJOR", ["columns that are gone: default.score"])
    other = difference(tmp_path / "2", default(A | {"score": 1.0}), default(A | {"score": "1"}))
    assert (other.least, other.reasons) == ("MAJOR", ["columns of another type: default.score"])


def test_a_config_that_came_is_minor_and_one_that_went_is_major(tmp_path: Path) -> None:
    two = default(A) | {"messages": {"train": [{"messages": "x"}]}}
    assert difference(tmp_path / "1", default(A), two).least == "MINOR"
    assert difference(tmp_path / "2", two, default(A)).least == "MAJOR"


def test_several_rows_of_one_document_are_compared_as_a_bag(tmp_path: Path) -> None:
    twice = A | {"text": "second"}
    found = difference(tmp_path, default(A, twice), default(twice, A, A))
    (rows,) = found.rows
    assert (rows.added, rows.removed, rows.changed) == (1, 0, 0)


def test_rows_of_a_config_without_ids_are_named_by_those_of_the_default_one(tmp_path: Path) -> None:
    def shaped(*rows: dict[str, Any]) -> dict[str, dict[str, Rows]]:
        return default(*rows) | {"chat": {"train": [{"messages": row["text"]} for row in rows]}}

    found = difference(tmp_path, shaped(A, B), shaped(A, B | {"text": "other"}))
    assert found.reasons == ["1 row changed in configs default, chat (such as b in text)"]


def test_only_some_rows_are_named(tmp_path: Path) -> None:
    many = [{"document_id": f"d{n:02}", "text": "x"} for n in range(50)]
    (reason,) = difference(tmp_path, default(*many), default(A)).reasons[:1]
    assert reason == "50 rows removed in config default (such as d00, d01, d02)"


def test_a_pattern_from_a_strangers_card_does_not_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.parquet").write_bytes(b"")
    folder = tree(tmp_path / "new", default(A))
    card = folder / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace("default/train-*", "../*"), encoding="utf-8")
    assert layout(folder) == {"default": {"train": []}}


def test_a_cards_changed_lines_are_shown_without_a_header() -> None:
    assert card_lines("a\nb", "a\nc") == ["@@ -2 +2 @@", "-b", "+c"]


# Files


def remote(local: dict[str, LocalFile]) -> dict[str, RemoteFile]:
    return {path: RemoteFile(file.size, None, file.git_sha1) for path, file in local.items()}


def test_files_are_told_apart_by_size_and_hash(tmp_path: Path) -> None:
    for name, text in (("data/a.parquet", "one"), ("README.md", "card"), ("recipe/new.yaml", "n")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    local = local_tree(tmp_path)
    there = remote(local)
    del there["recipe/new.yaml"]
    there["README.md"] = RemoteFile(4, "0" * 64, None)
    there |= {path: RemoteFile(1, None, "0" * 40) for path in ("data/old.parquet", "LICENSE", "images/x.png")}
    assert file_changes(local, there) == FileChanges(
        ("recipe/new.yaml",), ("README.md",), ("data/old.parquet",), 1, ("LICENSE", "images/x.png")
    )


def test_the_hash_of_a_regular_file_is_gits(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert local_tree(tmp_path)["hello"].git_sha1 == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_part_of_the_changes_adds_before_it_deletes() -> None:
    whole = FileChanges(("a", "b"), ("c",), ("d",))
    assert whole.part(3) == FileChanges(("a", "b"), ("c",), ())
    assert (whole.count, whole.part(9)) == (4, whole)
