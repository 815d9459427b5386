from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xirecipe.columns import columns_after
from xirecipe.diagnostics import UserError
from xirecipe.engines import readers
from xirecipe.engines.sources import HubParquetRows, reader
from xirecipe.recipe.corpus import HubSource
from xirecipe.tables import schema

pytestmark = pytest.mark.engine

#: What the fixtures `corpus` and `jsonl` are.
Run = Callable[..., Any]
Write = Callable[..., Path]

KEPT = (
    "Mji wa Mombasa uko katika pwani ya Kenya, na watu wake wengi hufanya kazi bandarini. Kila asubuhi meli "
    "kubwa hufika kutoka nchi za mbali, zikileta nguo, vyakula na mashine za kila aina kwa wafanyabiashara."
)

WEB: dict[str, Any] = {"web": {"path": "web.jsonl"}}


def code(caught: pytest.ExceptionInfo[UserError]) -> str:
    return caught.value.diagnostics[0].code


def test_a_document_comes_out_with_every_column(corpus: Run, jsonl: Write) -> None:
    jsonl("web.jsonl", [{"id": "d1", "text": KEPT + " a@b.co", "url": "https://a.b/c", "other": 1}])
    done = corpus(WEB)
    (row,) = done.kept
    assert list(row) == [column.name for column in columns_after("corpus")]
    assert row["document_id"] == "d1"
    assert row["text"] == KEPT + " <email>"
    assert (row["source"], row["url"], row["language"], row["masked"]) == ("web", "https://a.b/c", "swh_Latn", 1)
    assert 0 < row["language_score"] <= 1


def test_every_line_has_an_outcome_and_broken_ones_say_where_they_are(corpus: Run, jsonl: Write) -> None:
    lines = [
        {"id": "fine", "text": KEPT},
        b'{"id": "cut", "text": "Haba',
        b"",
        b'{"id": "latin", "text": "caf\xe9"}',
        {"id": "none"},
        {"id": "null", "text": None},
        {"id": "number", "text": 3},
        {"id": "blank", "text": " \n\u200b"},
        b'["no object"]',
        b"  ",
        {"id": "last", "text": "Habari"},
    ]
    jsonl("web.jsonl", lines)
    done = corpus(WEB, filters={"length": {"min_chars": 20}})
    assert done.balances
    assert done.outcome.asked == 9
    assert done.outcome.failed == {"read.broken_json": 2, "read.not_utf8": 1}
    assert done.outcome.dropped == {"read.no_text": 3, "read.empty": 1, "length.min_chars": 1}
    assert [row["detail"].split(": ")[0] for row in done.failed] == ["web.jsonl:2", "web.jsonl:4", "web.jsonl:9"]
    assert [row["document_id"] for row in done.failed] == ["web:2", "web:4", "web:9"]
    assert done.failed[0]["text"].startswith('{"id": "cut"')
    assert [row["document_id"] for row in done.dropped] == ["none", "null", "number", "blank", "last"]
    assert (done.dropped[-1]["value"], done.dropped[-1]["threshold"]) == (6, 20)


def test_dropped_and_failed_rows_have_the_columns_and_their_outcome(corpus: Run, jsonl: Write) -> None:
    jsonl("web.jsonl", [b"{", {"text": "  "}])
    done = corpus(WEB)
    expected = schema(columns_after("corpus"), outcome=True)
    for folder in (done.artifact.dropped, done.artifact.failed):
        assert pq.read_schema(folder / "part-00000.parquet").equals(expected)


def test_filters_run_in_the_order_of_their_cost_and_the_first_reason_counts(corpus: Run, jsonl: Write) -> None:
    english = "The children went to the market with their mother to buy fruit and vegetables for the week."
    texts = {
        "short": "Hi",
        "english": english,
        "words": "Habari ya asubuhi watoto wote",
        "list": "\n".join(KEPT.split()),
    }
    jsonl("web.jsonl", [{"id": name, "text": text} for name, text in texts.items()])
    filters = {
        "length": {"min_chars": 10},
        "language": {"min_score": 0.0},
        "gopher_quality": {"min_words": 20, "min_stop_words": None},
        "fineweb_quality": {"max_new_lines_per_word": 0.3},
    }
    assert corpus(WEB, filters=filters).reasons == {
        "short": "length.min_chars",
        "english": "language.expected",
        "words": "gopher_quality.min_words",
        "list": "fineweb_quality.max_new_lines_per_word",
    }


def test_documents_without_an_id_get_their_line_and_repeated_ids_a_suffix(corpus: Run, jsonl: Write) -> None:
    ids = [{"id": "a"}, {}, {"id": "a"}, {"id": "a~2"}, {"id": ""}, {"id": 7}, {"id": "a"}]
    jsonl("web.jsonl", [row | {"text": KEPT} for row in ids])
    jsonl("more.jsonl", [{"id": "a", "text": "short"}, {"text": KEPT}])
    done = corpus(WEB | {"more": {"path": "more.jsonl"}}, filters={"length": {"min_chars": 10}})
    assert [row["document_id"] for row in done.kept] == ["a", "web:2", "a~2", "a~2~2", "web:5", "7", "a~3", "more:2"]
    assert [row["document_id"] for row in done.dropped] == ["a~4"]


def test_a_limit_takes_the_first_documents_of_all_sources_in_order(corpus: Run, jsonl: Write) -> None:
    jsonl("a.jsonl", [{"id": f"a{n}", "text": KEPT} for n in range(3)])
    jsonl("b.jsonl", [b"{"] + [{"id": f"b{n}", "text": KEPT} for n in range(3)])
    sources = {"z": {"path": "a.jsonl"}, "a": {"path": "b.jsonl"}}
    done = corpus(sources, limit=5)
    assert [row["document_id"] for row in done.kept] == ["a0", "a1", "a2", "b0"]
    assert done.outcome.asked == 5
    assert [row["document_id"] for row in corpus(sources, limit=2).kept] == ["a0", "a1"]


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_and_their_order_hang_neither_on_workers_nor_on_tasks(
    corpus: Run, jsonl: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    rows: list[Any] = [{"text": f"{KEPT} {n}" if n % 3 else "Habari", "id": n // 2} for n in range(60)]
    rows[7:7] = [b"", b"{"]
    jsonl("web.jsonl", rows)
    pq.write_table(
        pa.table({"text": [f"{KEPT} {n}" for n in range(20)], "id": [str(n) for n in range(20)]}),
        tmp_path / "more.parquet",
        row_group_size=6,
    )
    sources = WEB | {"more": {"path": "more.parquet", "format": "parquet"}}
    filters = {"length": {"min_chars": 20}, "language": {"min_score": 0.1}}
    whole = corpus(sources, filters=filters)
    monkeypatch.setattr(readers, "TASK_ROWS", 10)
    cut = corpus(sources, filters=filters, workers=workers)
    assert whole.outcome.asked == 81
    assert (cut.kept, cut.dropped, cut.failed) == (whole.kept, whole.dropped, whole.failed)
    assert cut.reports[-1].done == cut.reports[-1].total == 81
    assert not (cut.artifact.folder / "engine").exists()


def test_compressed_lines_parquet_and_csv_are_read_by_the_columns_a_recipe_names(
    corpus: Run, jsonl: Write, tmp_path: Path
) -> None:
    jsonl("plain.jsonl", [{"id": "j", "text": KEPT}])
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress((tmp_path / "plain.jsonl").read_bytes()))
    pq.write_table(pa.table({"body": [KEPT, None], "key": [1, 2]}), tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_bytes(
        f'\ufeffkey,body,link\r\nc1,"{KEPT}\nmstari",http://x\r\nc2\r\n'.encode() + b"c3,caf\xe9,\r\n"
    )
    named = {"text_column": "body", "id_column": "key", "url_column": "link"}
    done = corpus(
        {
            "lines": {"path": "lines.jsonl.gz"},
            "rows": {"path": "rows.parquet", "format": "parquet"} | named,
            "cells": {"path": "rows.csv", "format": "csv"} | named,
        }
    )
    assert [(row["document_id"], row["url"]) for row in done.kept] == [("j", ""), ("1", ""), ("c1", "http://x")]
    assert done.kept[2]["text"] == f"{KEPT}\nmstari"
    assert done.reasons == {"2": "read.no_text", "c2": "read.no_text", "cells:3": "read.not_utf8"}


@pytest.mark.skipif(find_spec("backports") is None, reason="needs backports.zstd")
def test_every_frame_of_a_zstd_file_is_read(corpus: Run, jsonl: Write, tmp_path: Path) -> None:
    zstd = readers.zstd_library()
    assert zstd is not None
    lines = jsonl("plain.jsonl", [{"text": KEPT}]).read_bytes()
    (tmp_path / "web.jsonl.zst").write_bytes(zstd.compress(lines) + zstd.compress(lines))
    assert corpus({"web": {"path": "web.jsonl.zst"}}).outcome.kept == 2


def test_a_string_of_a_parquet_file_that_is_not_utf8_fails_its_row_alone(corpus: Run, tmp_path: Path) -> None:
    raw = pa.array([KEPT.encode(), b"caf\xe9", KEPT.encode()], pa.binary())
    pq.write_table(pa.table({"text": raw.view(pa.string())}), tmp_path / "web.parquet")
    done = corpus({"web": {"path": "web.parquet", "format": "parquet"}})
    assert [row["document_id"] for row in done.kept] == ["web:1", "web:3"]
    assert done.outcome.failed == {"read.not_utf8": 1}


def test_a_folder_is_read_file_by_file_in_the_order_of_the_names(corpus: Run, jsonl: Write, tmp_path: Path) -> None:
    for name in ("b", "a"):
        jsonl(f"web/{name}/x.jsonl", [{"text": KEPT}])
    (tmp_path / "web" / ".hidden").write_text("no rows here")
    done = corpus({"web": {"path": "web"}})
    assert [row["document_id"] for row in done.kept] == ["web/a/x.jsonl:1", "web/b/x.jsonl:1"]


def test_a_byte_order_mark_is_no_part_of_the_first_line(corpus: Run, jsonl: Write) -> None:
    jsonl("web.jsonl", [b'\xef\xbb\xbf{"text": "Habari"}'])
    assert corpus(WEB).outcome.kept == 1


def test_facts_count_sources_masks_lengths_and_scores(corpus: Run, jsonl: Write) -> None:
    jsonl("web.jsonl", [{"text": f"{KEPT} a@b.co na c@d.co"}, {"text": KEPT}, {"text": ""}])
    facts = corpus(WEB).outcome.facts
    assert facts["sources"] == {"web": {"rows": 3, "kept": 2}}
    assert facts["masked"] == {"emails": 2}
    assert facts["characters"]["p5"] == len(KEPT)
    assert set(facts["language_score"]) == {"p5", "p50", "p95"}
    assert facts["seconds"] > 0


def test_facts_say_what_each_filter_saw_and_dropped_in_the_order_they_ran(corpus: Run, jsonl: Write) -> None:
    jsonl("web.jsonl", [{"text": KEPT}, {"text": "Habari"}, {"text": "The children went to the market with us."}])
    filters = {"language": {"min_score": 0.1}, "length": {"min_chars": 20}, "gopher_repetition": {}}
    ran = corpus(WEB, filters=filters).outcome.facts["filters"]
    assert [(each["filter"], each["documents"], each["dropped"]) for each in ran] == [
        ("length", 3, 1), ("language", 2, 1), ("gopher_repetition", 1, 0),
    ]  # fmt: skip
    assert all(each["seconds"] >= 0 for each in ran)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("nowhere.jsonl", "missing-corpus"), ("no_files", "missing-corpus"), ("empty.jsonl", "empty-corpus"),
     ("spaces.jsonl", "empty-corpus"), ("broken.jsonl.gz", "broken-file")],
)  # fmt: skip
def test_a_corpus_that_is_not_there_is_the_users_to_mend(corpus: Run, tmp_path: Path, path: str, expected: str) -> None:
    (tmp_path / "no_files").mkdir()
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "spaces.jsonl").write_text("\n \n")
    (tmp_path / "broken.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(UserError) as caught:
        corpus({"web": {"path": path}})
    assert code(caught) == expected
    assert caught.value.diagnostics[0].hint
    assert str(caught.value).count("source `web`") == 1


def test_a_file_of_another_format_throughout_ends_the_run_and_shows_its_first_row(corpus: Run, jsonl: Write) -> None:
    jsonl("web.jsonl", [b"id,text", b"1,Habari", b"2,Karibu"])
    with pytest.raises(UserError, match=r"none of 3 rows could be read; the first: .*web\.jsonl:1") as caught:
        corpus(WEB)
    assert code(caught) == "broken-file"
    assert "format" in (caught.value.diagnostics[0].hint or "")


def test_files_of_other_formats_in_a_folder_are_no_rows(corpus: Run, jsonl: Write, tmp_path: Path) -> None:
    jsonl("web/a.jsonl", [{"text": KEPT}])
    (tmp_path / "web" / "README.md").write_text("About these texts")
    assert corpus({"web": {"path": "web"}}).outcome.asked == 1


def test_a_file_that_names_its_columns_must_have_the_texts(corpus: Run, tmp_path: Path) -> None:
    (tmp_path / "web.csv").write_text("txt,id\nHabari,1\n")
    with pytest.raises(UserError) as caught:
        corpus({"web": {"path": "web.csv", "format": "csv"}})
    assert code(caught) == "missing-column"
    assert caught.value.diagnostics[0].hint == "did you mean `txt`?"


def test_something_else_than_parquet_is_a_broken_file(corpus: Run, tmp_path: Path) -> None:
    (tmp_path / "web.parquet").write_text("habari")
    with pytest.raises(UserError) as caught:
        corpus({"web": {"path": "web.parquet", "format": "parquet"}})
    assert code(caught) == "broken-file"


def hub(**changes: Any) -> dict[str, Any]:
    return {
        "format": "hub", "repository": "xirecipe-tests/there-is-no-such-dataset", "revision": "0" * 40,
        "files": "data/swh_Latn/train/000.parquet", "license": "odc-by",
    } | changes  # fmt: skip


def test_a_hub_source_is_read_at_its_pinned_commit(tmp_path: Path) -> None:
    found = reader("web", HubSource(**hub(revision="refs/pr/1", text_column="body")), tmp_path)
    assert isinstance(found, HubParquetRows)
    assert found.data_folder.path == "datasets/xirecipe-tests/there-is-no-such-dataset@refs%2Fpr%2F1"
    assert (found.files, found.text_key) == (("data/swh_Latn/train/000.parquet",), "body")


@pytest.mark.parametrize("files", ["data/*.parquet", "data/000.parquet"])
def test_a_hub_that_does_not_answer_is_the_users_to_mend(
    corpus: Run, monkeypatch: pytest.MonkeyPatch, files: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError) as caught:
        corpus({"web": hub(files=files)})
    assert code(caught) == "hub-unreachable"
    assert "revision" in (caught.value.diagnostics[0].hint or "")


LINES = st.one_of(
    st.builds(lambda text: {"text": text}, st.one_of(st.none(), st.integers(), st.text())),
    st.builds(lambda text: {"text": text, "id": "same"}, st.sampled_from([KEPT, KEPT + "\n" + KEPT, "# " * 60])),
    st.binary().map(lambda line: line.replace(b"\n", b"")),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=30))
def test_whatever_the_lines_are_each_has_one_outcome(corpus: Run, jsonl: Write, lines: list[Any]) -> None:
    path = jsonl("web.jsonl", [{"id": "first", "text": KEPT}, *lines])
    filters = {
        "language": {"min_score": 0.1},
        "gopher_quality": {"min_words": None, "stop_words": ["na"], "min_stop_words": 1, "min_alpha_words_ratio": 0.5},
        "gopher_repetition": {"top_ngrams": [{"words": 2, "max_chars_ratio": 0.5}], "max_dup_lines_ratio": 0.4},
        "fineweb_quality": {"max_new_lines_per_word": 0.5, "min_punctuated_lines_ratio": 0.1},
    }
    done = corpus(WEB, filters=filters)
    rows = done.kept + done.dropped + done.failed
    assert done.balances
    assert done.outcome.asked == sum(bool(line.strip()) for line in path.read_bytes().split(b"\n"))
    assert len({row["document_id"] for row in rows}) == len(rows)
