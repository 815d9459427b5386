from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import DatasetCard

from xirecipe.diagnostics import UserError
from xirecipe.hub.card import render_card
from xirecipe.hub.facts import collect
from xirecipe.hub.metadata import block, metadata, size_category, validate
from xirecipe.hub.rows import DataFile, ReleaseData

from .conftest import Run

DATA = ReleaseData(
    (
        DataFile("default", "train", "data/train-00000-of-00002.parquet", 100, 5_000, 900),
        DataFile("default", "train", "data/train-00001-of-00002.parquet", 50, 2_000, 400),
        DataFile("messages", "train", "messages/train-00000-of-00001.parquet", 150, 3_000, 700),
        DataFile("alpaca", "train", "alpaca/train-00000-of-00001.parquet", 150, 2_500, 600),
    ),
    "f" * 64,
)


def values_of(run: Run) -> dict[str, Any]:
    return metadata(collect(*run.build()), DATA)


def test_sizes_are_those_of_a_configs_files_and_a_split_without_rows_is_not_declared(run: Run) -> None:
    default, messages, alpaca = values_of(run)["dataset_info"]
    assert default["splits"] == [{"name": "train", "num_bytes": 7_000, "num_examples": 150}]
    assert (default["dataset_size"], default["download_size"]) == (7_000, 1_300)
    assert messages["splits"] == [{"name": "train", "num_bytes": 3_000, "num_examples": 150}]
    assert (alpaca["dataset_size"], alpaca["download_size"]) == (2_500, 600)


def test_rows_are_counted_once_however_many_configs_hold_them(run: Run) -> None:
    assert DATA.rows() == DATA.rows("train") == 150
    assert values_of(run)["size_categories"] == ["n<1K"]


def test_three_configs_are_declared_and_the_first_is_the_default(run: Run) -> None:
    declared = values_of(run)["configs"]
    assert [(config["config_name"], config.get("default")) for config in declared] == [
        ("default", True), ("messages", None), ("alpaca", None),
    ]  # fmt: skip
    assert [config["data_files"] for config in declared] == [
        [{"split": "train", "path": f"{folder}/train-*.parquet"}] for folder in ("data", "messages", "alpaca")
    ]


def test_both_languages_of_a_row_are_declared(run: Run) -> None:
    values = values_of(run)
    assert (values["language"], values["multilinguality"]) == (["sw", "en"], ["multilingual"])
    assert values["language_details"] == "swh-Latn"


def test_the_block_of_our_own_survives_the_hubs_reader(run: Run) -> None:
    values = values_of(run)
    assert DatasetCard(block(values)).data.to_dict()["xirecipe"] == values["xirecipe"]
    assert values["xirecipe"]["rows_sha256"] == "f" * 64


def test_a_language_code_that_yaml_takes_for_a_boolean_stays_a_code(run: Run) -> None:
    values = values_of(run) | {"language": ["no"]}
    assert DatasetCard(block(values)).data.to_dict()["language"] == ["no"]


def test_what_the_hub_knows_gives_no_diagnostic(run: Run) -> None:
    assert validate(values_of(run), "cc-by-4.0") == []


def test_every_value_the_hub_does_not_know_is_reported_at_once(run: Run) -> None:
    wrong = {
        "language": ["swahili"], "size_categories": ["n>1M"], "multilinguality": ["many"], "task_categories": ["magic"],
        "annotations_creators": ["robots"], "language_creators": ["no-annotation"], "pretty_name": "",
    }  # fmt: skip
    found = validate(values_of(run) | wrong, "cc-by-4")
    assert {d.code for d in found} == {"card-metadata"}
    text = " ".join(d.message for d in found)
    assert len(found) == 8
    assert all(word in text for word in ("swahili", "n>1M", "many", "magic", "robots", "no-annotation", "cc-by-4"))
    assert next(d.hint for d in found if "cc-by-4" in d.message) == "did you mean `cc-by-4.0`?"


def test_a_split_name_with_a_dash_is_reported(run: Run) -> None:
    values = values_of(run)
    values["configs"][0]["data_files"][0]["split"] = "train-1"
    assert [d.message for d in validate(values, "mit")] == ["`train-1` cannot name a split"]


def test_a_licence_in_words_is_named_and_linked(run: Run) -> None:
    run.recipe["release"]["license"] = "other: Gemma Terms + CC0"
    values = values_of(run)
    assert (values["license"], values["license_name"]) == ("other", "gemma-terms-cc0")
    assert values["license_link"] == "README.md"
    assert validate(values, "other: Gemma Terms + CC0") == []


def test_a_licence_that_is_only_other_or_unknown_stops_the_card(run: Run) -> None:
    for license_ in ("other", "cc-by-five"):
        run.recipe["release"]["license"] = license_
        with pytest.raises(UserError) as error:
            render_card(*run.build())
        assert [d.code for d in error.value.diagnostics] == ["card-metadata"]


@pytest.mark.parametrize(
    ("rows", "category"), [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (32_000, "10K<n<100K"), (10**6, "1M<n<10M")]
)
def test_a_size_category_begins_at_its_lower_bound(rows: int, category: str) -> None:
    assert size_category(rows) == category


def test_importing_the_card_code_imports_neither_datasets_nor_the_hub_client() -> None:
    check = "import sys, xirecipe.hub.folder; print({'datasets', 'huggingface_hub'} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "set()\n"
