"""The configs of a release: one set of rows in the shapes that trainers read."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xirecipe.hub import rows as rows_module
from xirecipe.hub.folder import write_release
from xirecipe.hub.rows import CONFIG, CONFIGS, RELEASE_SCHEMA

from .conftest import Run

NAMES = ["default", "messages", "alpaca"]
FOLDERS = ["data", "messages", "alpaca"]
#: What an editor, a regular expression or a normalization would change.
DELICATE = {
    "joiners of Urdu and Hindi": "می\u200cروم क्\u200dष न्\u200cह",
    "Tamil and Thai signs in typed order": "கொ கோ ப\u0bcdப นํา น\u0e4d\u0e32",
    "both normal forms": "é e\u0301 ﬁ ㎏ ①",
    "directions": "\u200fاردو (a)\u200e \u202eabc\u202c \u2067x\u2069",
    "spaces and line ends": "\u00a0 a\u2003b\u200b\u2060\ufeff\r\nc\rd\u2028e\u0085f \t\n",
    "controls": "\x00\x01\x1b[31m\x7f\uffff",
    "marks of formats": '<|im_end|></s>[INST] {{ 7 * 7 }}{% raw %} ---\n### Response:\n"\\,',
    "beyond the first plane": "👩🏽\u200d🚀 𞤀𞤣𞤤𞤢𞤥 \U000e0041",
    "nothing": "",
}


def tables(folder: Path, split: str) -> dict[str, pa.Table]:
    """The rows of every config as they lie on disk, in the order of the files."""
    return {
        config.name: pa.concat_tables(pq.read_table(p) for p in sorted((folder / config.folder).glob(f"{split}-*")))
        for config in CONFIGS
    }


def as_conversation(user: str, assistant: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]


def loaded(folder: Path, name: str | None, **how: Any) -> Any:
    """What `datasets` makes of a release, with nothing of an earlier load."""
    from datasets import load_dataset

    return load_dataset(str(folder), name, cache_dir=str(folder.parent / f"cache-{name}"), **how)


def test_every_config_has_the_same_splits_with_the_same_rows_in_the_same_order(run: Run, tmp_path: Path) -> None:
    folder = write_release(*run.build(), tmp_path / "tiny")
    for split, documents in (("train", ["d1", "d2"]), ("test", ["d8"])):
        found = tables(folder, split)
        responses = found["default"]["response"].to_pylist()
        assert found["default"]["document_id"].to_pylist() == documents
        assert [turns[1]["content"] for turns in found["messages"]["messages"].to_pylist()] == responses
        assert found["alpaca"]["output"].to_pylist() == responses


def test_a_config_for_trainers_has_their_columns_and_no_other(run: Run, tmp_path: Path) -> None:
    found = tables(write_release(*run.build(), tmp_path / "tiny"), "train")
    assert found["default"].schema.equals(RELEASE_SCHEMA)
    assert found["messages"].schema.equals(pa.schema([RELEASE_SCHEMA.field("messages")]))
    assert found["alpaca"].schema.equals(pa.schema([(n, pa.string()) for n in ("instruction", "input", "output")]))


def test_an_alpaca_instruction_is_the_whole_user_turn_and_its_input_is_empty(run: Run, tmp_path: Path) -> None:
    rows = tables(write_release(*run.build(), tmp_path / "tiny"), "train")["alpaca"].to_pylist()
    assert rows[0] == {
        "instruction": "Explain water, part 1.\nAnswer in Swahili.",
        "input": "",
        "output": "Maji ni uhai, andiko la 1. ",
    }


def test_every_config_is_cut_into_the_same_shards(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "SHARD_ROWS", 1)
    folder = write_release(*run.build(), tmp_path / "tiny")
    for config in FOLDERS:
        assert sorted(path.name for path in (folder / config).iterdir()) == [
            "test-00000-of-00001.parquet", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet",
        ]  # fmt: skip
    assert [len(table) for table in tables(folder, "train").values()] == [2, 2, 2]


def test_the_row_hash_hangs_on_the_default_config_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, store = run.build()

    def row_hash(folder: Path) -> str:
        manifest = json.loads((folder / "provenance/manifest.json").read_text(encoding="utf-8"))
        return str(manifest["rows_sha256"])

    three = row_hash(write_release(plan, store, tmp_path / "three"))
    for module in ("rows", "metadata", "card"):
        monkeypatch.setattr(f"xirecipe.hub.{module}.CONFIGS", CONFIGS[:1])
    folder = write_release(plan, store, tmp_path / "one")
    assert not (folder / "alpaca").exists()
    assert row_hash(folder) == three


def test_the_declared_sizes_are_those_of_the_parquet_files(run: Run, tmp_path: Path) -> None:
    from huggingface_hub import DatasetCard

    folder = write_release(*run.build(), tmp_path / "tiny")
    declared = DatasetCard.load(folder / "README.md").data.to_dict()["dataset_info"]
    assert [info["config_name"] for info in declared] == NAMES
    for info, place in zip(declared, FOLDERS, strict=True):
        files = sorted((folder / place).iterdir())
        assert info["download_size"] == sum(path.stat().st_size for path in files)
        splits = {split["name"]: split for split in info["splits"]}
        for path in files:
            footer, split = pq.read_metadata(path), splits[path.name.partition("-")[0]]
            assert split["num_examples"] == footer.num_rows
            assert split["num_bytes"] == footer.row_group(0).total_byte_size
        assert info["dataset_size"] == sum(split["num_bytes"] for split in splits.values())


def test_the_card_lists_every_config_with_its_columns_and_rows(run: Run, tmp_path: Path) -> None:
    card = (write_release(*run.build(), tmp_path / "tiny") / "README.md").read_text(encoding="utf-8")
    table = re.search(r"^\| Config .*\n\|[-:|]+\n((?:\|.*\n)+)", card, re.M)
    assert table
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    assert [(name, columns) for name, columns, *_ in cells] == [
        ("`default`", "all, below"),
        ("`messages`", "`messages`"),
        ("`alpaca`", "`instruction`, `input`, `output`"),
    ]
    assert [cell[-2:] for cell in cells] == [["2", "1"]] * 3


def test_a_published_version_shows_how_trl_loads_it_by_its_tag(run: Run, tmp_path: Path) -> None:
    run.recipe["version"] = "2.0.0"
    run.recipe["release"]["repository"] = "me/tiny"
    card = (write_release(*run.build(), tmp_path / "tiny") / "README.md").read_text(encoding="utf-8")
    load = 'load_dataset("me/tiny", "messages", split="train", revision="v2.0.0")'
    assert f"SFTTrainer(model, train_dataset={load})" in card
    assert 'load_dataset("me/tiny", "alpaca", split="train", revision="v2.0.0")' in card


@pytest.mark.engine
@pytest.mark.usefixtures("no_network")
def test_datasets_loads_every_config_by_its_name_and_the_whole_rows_without_one(run: Run, tmp_path: Path) -> None:
    folder = write_release(*run.build(), tmp_path / "tiny")
    for name in [None, *NAMES]:
        found = loaded(folder, name)
        assert sorted(found) == ["test", "train"]
        for split in ("train", "test"):
            expected = tables(folder, split)[name or CONFIG]
            assert found[split].to_list() == expected.to_pylist()
            assert list(found[split].features) == expected.schema.names
            streamed = loaded(folder, name, split=split, streaming=True)
            assert list(streamed) == expected.to_pylist()


@pytest.mark.engine
@pytest.mark.usefixtures("no_network")
def test_a_conversation_is_the_users_turn_and_then_the_assistants(run: Run, tmp_path: Path) -> None:
    rows = loaded(write_release(*run.build(), tmp_path / "tiny"), "messages", split="train")
    assert rows.column_names == ["messages"]
    assert rows[1]["messages"] == as_conversation(
        "Explain water, part 2.\nAnswer in Swahili.", "Maji ni uhai, andiko la 2. Maji ni uhai, andiko la 2. "
    )


@pytest.mark.engine
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("text", DELICATE.values(), ids=DELICATE)
def test_text_comes_back_byte_for_byte_in_every_config(run: Run, tmp_path: Path, text: str) -> None:
    asked, answered = f"{text}?", f"!{text}"
    run.change_row = lambda row: {**row, "instruction": text, "prompt": asked, "text": answered}
    folder = write_release(*run.build(), tmp_path / "tiny")
    first = {name: loaded(folder, name, split="train")[0] for name in NAMES}
    assert first["default"]["instruction"] == text
    assert first["default"]["messages"] == first["messages"]["messages"] == as_conversation(asked, answered)
    assert first["alpaca"] == {"instruction": asked, "input": "", "output": answered}
    assert first["default"]["response"].encode() == answered.encode()


@pytest.mark.engine
@pytest.mark.usefixtures("no_network")
def test_a_split_without_rows_is_absent_from_every_config(run: Run, tmp_path: Path) -> None:
    run.change_row = lambda row: {**row, "split": "train"}
    folder = write_release(*run.build(), tmp_path / "tiny")
    assert {path.name for place in FOLDERS for path in (folder / place).iterdir()} == {"train-00000-of-00001.parquet"}
    for name in NAMES:
        found = loaded(folder, name)
        assert {split: len(rows) for split, rows in found.items()} == {"train": 3}


@pytest.mark.engine
@pytest.mark.usefixtures("no_network")
def test_the_lines_that_the_card_shows_load_what_it_says(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    trained_on: list[Any] = []

    class Trainer:
        """In TRL's place, which is tried in test_trl.py: it takes what it is to train on."""

        def __init__(self, model: str, train_dataset: Any) -> None:
            self.rows = train_dataset

        def train(self) -> None:
            trained_on.append(self.rows)

    monkeypatch.setitem(sys.modules, "trl", SimpleNamespace(SFTTrainer=Trainer))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = write_release(*run.build(), tmp_path / "tiny")
    section = (folder / "README.md").read_text(encoding="utf-8").split("## Load it")[1].split("\n## ")[0]
    names: dict[str, Any] = {"model": "a model"}
    rows: list[list[Any]] = []
    for lines in re.findall(r"```python\n(.*?)```", section, re.S):
        exec(lines.replace("path/to/this/folder", str(folder)), names)
        rows.append(list(names["rows"]))
    assert {split: len(found) for split, found in names["dataset"].items()} == {"train": 2, "test": 1}
    assert rows[0] == names["dataset"]["train"].to_list()
    assert [found.column_names for found in trained_on] == [["messages"]]
    assert [list(row) for row in rows[-1]] == [["instruction", "input", "output"]] * 2
