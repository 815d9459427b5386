"""Datasets: which rows are versions of one another, and what becomes of those that are not."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.mixing.mixes import mix, mix_folder, pair, run
from xirecipe.diagnostics import UserError

pytestmark = pytest.mark.engine


def test_a_row_that_lacks_a_language_is_dropped_in_the_others_and_named(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path, without={"fin_Latn": ["3", "7"], "swh_Latn": ["7"]})
    ran = run(folder.root / "tiny.yaml", tmp_path / "store")

    read = ran.manifests["read parallel"]
    assert (read.rows_in, read.kept, read.dropped) == (27, 24, {"align_on.missing": 3})
    assert read.facts["misaligned"] == {
        "swh_Latn": {"count": 1, "ids": ["parallel/7"]},
        "fin_Latn": {"count": 2, "ids": ["parallel/3", "parallel/7"]},
    }
    lost = {(row["document_id"], row["language"]): row["detail"] for row in ran.lost("read parallel")}
    assert lost == {
        ("parallel/3", "eng_Latn"): "not in fin_Latn",
        ("parallel/3", "swh_Latn"): "not in fin_Latn",
        ("parallel/7", "eng_Latn"): "not in swh_Latn, fin_Latn",
    }


def test_the_second_row_with_an_id_and_one_without_are_dropped_and_a_broken_line_fails(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path, rows=2)
    lines = [json.dumps(pair("swh_Latn", id)) for id in "01"]
    strange = [json.dumps({"instruction": "no id", "response": "x"}), '{"id": ', json.dumps(pair("swh_Latn", "0"))]
    folder.write("swh_Latn.jsonl", "\n".join([*lines, *strange]))

    read = run(folder.root / "tiny.yaml", tmp_path / "store").manifests["read parallel"]

    assert read.dropped == {"read.no_id": 1, "read.repeated_id": 1}
    assert read.failed == {"read.broken_json": 1}
    assert (read.rows_in, read.kept) == (9, 6)


def test_rows_can_stand_line_by_line(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path)
    recipe = mix(folder, {"datasets.parallel.align_on": "row_number"})
    rows = run(recipe, tmp_path / "store").rows("read parallel")
    assert {row["document_id"] for row in rows} == {f"parallel/{n}" for n in range(1, 11)}


def test_one_file_can_hold_all_languages_in_rows_or_in_columns(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path)
    folder.json_lines("long.jsonl", [{**pair(c, i), "lang": c} for i in "123" for c in ("eng_Latn", "swh_Latn")])
    long = {c: {"format": "jsonl", "path": "long.jsonl", "where": {"lang": c}} for c in ("eng_Latn", "swh_Latn")}
    rows = run(mix(folder, {"datasets.parallel.versions": long}), tmp_path / "long").rows("read parallel")
    assert [(row["language"], row["instruction"]) for row in rows[2:4]] == [
        ("eng_Latn", "eng_Latn asks 3"), ("swh_Latn", "swh_Latn asks 1"),
    ]  # fmt: skip

    folder.json_lines("wide.jsonl", [{"en": f"one {i}", "sw": f"moja {i}"} for i in "123"])
    wide = {
        code: {"format": "jsonl", "path": "wide.jsonl", "columns": {"instruction": name, "response": None}}
        for code, name in (("eng_Latn", "en"), ("swh_Latn", "sw"))
    }
    recipe = mix(folder, {
        "datasets.parallel.versions": wide,
        "datasets.parallel.align_on": "row_number",
        "mix.parts": {"bitext": {"dataset": "parallel", "shape": "translation", "directions": ["en->x"]}},
    })  # fmt: skip
    made = run(recipe, tmp_path / "wide").rows()
    assert {(row["instruction"], row["response"]) for row in made} == {(f"one {i}", f"moja {i}") for i in "123"}


def test_parquet_and_csv_are_read_and_a_missing_column_is_an_error(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = mix_folder(tmp_path, rows=3)
    folder.write("swh_Latn.csv", "id,instruction,response\n" + "".join(f"{i},uliza {i},jibu {i}\n" for i in range(3)))
    pq.write_table(pa.Table.from_pylist([pair("fin_Latn", str(i)) for i in range(3)]), tmp_path / "fin.parquet")
    changes = {
        "datasets.parallel.versions.swh_Latn": {"format": "csv", "path": "swh_Latn.csv"},
        "datasets.parallel.versions.fin_Latn": {"format": "parquet", "path": "fin.parquet"},
    }
    assert run(mix(folder, changes), tmp_path / "store").manifests["read parallel"].kept == 9

    with pytest.raises(UserError, match="has no column `answer`") as raised:
        run(mix(folder, {**changes, "datasets.parallel.columns": {"response": "answer"}}), tmp_path / "other")
    assert raised.value.diagnostics[0].code == "missing-column"


#: As LIMA has it, and as OASST's trees do: a tree's best answer is the one with `rank` 0, wherever it stands.
LIMA = [
    {"conversations": ["What is rain?", "Water that falls.", "And snow?", "Frozen water."], "source": "stackexchange"},
    {"conversations": ["Why is the sky blue?", "Air scatters blue light most."], "source": "wikihow"},
    {"conversations": ["Is anybody there?"], "source": "wikihow"},
]
TREES = [
    {
        "message_tree_id": "a",
        "prompt": {
            "text": "Name a fish.", "lang": "en", "role": "prompter",
            "replies": [{"text": "A cow.", "rank": 1, "replies": []}, {"text": "A pike.", "rank": 0, "replies": []}],
        },
    },
    {
        "message_tree_id": "b",
        "prompt": {
            "text": "Mikä on hauki?", "lang": "fi", "role": "prompter",
            "replies": [{"text": "Kala.", "rank": 0, "replies": []}],
        },
    },
    {
        "message_tree_id": "c",
        "prompt": {
            "text": "Nobody rated this.", "lang": "en", "role": "prompter",
            "replies": [{"text": "Indeed.", "rank": None, "replies": []}],
        },
    },
]  # fmt: skip


@pytest.mark.parametrize("format_", ["jsonl", "jsonl.gz", "parquet"])
def test_first_turns_of_conversations_and_best_replies_of_trees_are_read_by_paths(tmp_path: Path, format_: str) -> None:
    folder = mix_folder(tmp_path)
    for name, rows in (("lima", LIMA), ("trees", TREES)):
        write_rows(tmp_path / f"{name}.{format_}", rows)
    kind = format_.partition(".")[0]
    conversations = {
        "license": "cc0-1.0", "align_on": "row_number",
        "versions": {"eng_Latn": {"format": kind, "path": f"lima.{format_}"}},
        "columns": {"instruction": "conversations[0]", "response": "conversations[1]"},
    }  # fmt: skip
    trees = {
        "license": "cc0-1.0", "align_on": None,
        "versions": {
            code: {"format": kind, "path": f"trees.{format_}", "where": {"prompt.lang": lang}}
            for code, lang in (("eng_Latn", "en"), ("fin_Latn", "fi"))
        },
        "columns": {
            "instruction": "prompt.text", "response": "prompt.replies[rank=0].text", "id": "message_tree_id",
        },
    }  # fmt: skip
    part = {"shape": "monolingual"}
    ran = run(
        mix(folder, {
            "datasets": {"lima": conversations, "trees": trees},
            "mix.parts": {"lima": {**part, "dataset": "lima"}, "trees": {**part, "dataset": "trees"}},
        }),
        tmp_path / "store",
    )  # fmt: skip

    made = {(row["document_id"], row["instruction"], row["response"]) for row in ran.rows()}
    assert made == {
        ("lima/1", "What is rain?", "Water that falls."),
        ("lima/2", "Why is the sky blue?", "Air scatters blue light most."),
        ("trees/eng_Latn/a", "Name a fish.", "A pike."),
        ("trees/fin_Latn/b", "Mikä on hauki?", "Kala."),
    }
    # A conversation of one turn and a tree without a best reply have nothing to learn from, and are counted.
    assert ran.manifests["mix"].dropped == {"mix.empty_field": 2}


def test_a_row_in_which_a_path_leads_nowhere_is_dropped_and_says_what_stands_there(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path)
    rows = [{"turns": ["one", "two"]}, {"turns": "one and two"}, {"turns": [{"text": "one"}, 2]}]
    folder.json_lines("turns.jsonl", rows)
    recipe = mix(folder, {
        "datasets.parallel.versions": {"eng_Latn": {"format": "jsonl", "path": "turns.jsonl"}},
        "datasets.parallel.align_on": "row_number",
        "datasets.parallel.columns": {"instruction": "turns[0]", "response": "turns[1]"},
        "mix.parts": {"all": {"dataset": "parallel", "shape": "monolingual"}},
    })  # fmt: skip
    lost = run(recipe, tmp_path / "store").lost("read parallel")
    assert [(row["document_id"], row["reason"], row["detail"]) for row in lost] == [
        ("parallel/2", "read.no_instruction", "row 2: `turns` is a str, not a list"),
        ("parallel/3", "read.no_instruction", "row 3: `turns[0]` is a dict, not text"),
    ]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("conversations.text", "`conversations` has no `text`: it is list<"),
        ("source[0]", "`source` is no list but string"),
        ("conversations[role=user].text", "`conversations[]` has no `role`: it is string"),
    ],
)
def test_a_path_that_a_parquet_file_cannot_have_is_an_error_before_its_rows_are_read(
    tmp_path: Path, path: str, hint: str
) -> None:
    folder = mix_folder(tmp_path)
    write_rows(tmp_path / "lima.parquet", LIMA)
    recipe = mix(folder, {
        "datasets.parallel.versions": {"eng_Latn": {"format": "parquet", "path": "lima.parquet"}},
        "datasets.parallel.align_on": "row_number",
        "datasets.parallel.columns": {"instruction": path, "response": "conversations[1]"},
        "mix.parts": {"all": {"dataset": "parallel", "shape": "monolingual"}},
    })  # fmt: skip
    with pytest.raises(UserError, match=re.escape(f"lima.parquet has nothing at `{path}`")) as raised:
        run(recipe, tmp_path / "store")
    assert str(raised.value.diagnostics[0].hint).startswith(hint)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
        return
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def test_a_limit_reads_the_first_rows_of_the_first_language_and_their_versions(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path, rows=30, without={"fin_Latn": ["1"]})
    read = run(folder.root / "tiny.yaml", tmp_path / "store", limit=4).manifests["read parallel"]
    assert (read.rows_in, read.kept, read.dropped) == (11, 9, {"align_on.missing": 2})


def test_rows_that_are_not_aligned_stand_by_themselves(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path)
    recipe = mix(folder, {
        "datasets.parallel.align_on": None,
        "mix.parts": {"all": {"dataset": "parallel", "shape": "monolingual", "languages": ["swh_Latn", "fin_Latn"]}},
    })  # fmt: skip
    ran = run(recipe, tmp_path / "store")
    assert {row["document_id"] for row in ran.rows()} == {
        f"parallel/{code}/{i}" for code in ("swh_Latn", "fin_Latn") for i in range(10)
    }
    # Of a language that the part does not take, no row is called empty.
    assert ran.manifests["mix"].dropped == {"mix.not_drawn": 10}
