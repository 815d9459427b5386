"""Rows that are made of draws: what stands in them, and what becomes of those that cannot be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mixing.mixes import mix, mix_folder, pair, run
from xirecipe.compile import compile_recipe

pytestmark = pytest.mark.engine


def test_the_prompt_names_the_answers_language_in_its_own(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path)
    turns = {row["turn"] for row in run(folder.root / "tiny.yaml", tmp_path / "store").rows()}
    assert turns & {"eng_Latn asks 4 Answer in Swahili.", "eng_Latn asks 4 Answer in Finnish."}
    assert turns & {"swh_Latn asks 4 Jibu kwa Kiingereza.", "fin_Latn asks 4 Vastaa englanniksi."}


def test_the_prompt_can_name_it_in_english(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path)
    recipe = mix(folder, {"mix.parts.cross.name_answer_in": "english", "mix.parts.cross.directions": ["x->x"]})
    turns = {row["turn"] for row in run(recipe, tmp_path / "store").rows()}
    assert turns <= {
        f"{one}_Latn asks {i} Answer in {other}."
        for i in range(10) for one, other in (("swh", "Finnish"), ("fin", "Swahili"))
    }  # fmt: skip


def test_an_input_joins_the_instruction_as_the_dataset_says(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path, rows=2)
    for code in ("eng_Latn", "swh_Latn", "fin_Latn"):
        folder.json_lines(f"{code}.jsonl", [{**pair(code, "0"), "context": f"{code} text"}, pair(code, "1")])
    recipe = mix(folder, {
        "datasets.parallel.columns": {"input": "context"},
        "datasets.parallel.input_template": "{{ instruction }} <{{ input }}>",
        "mix.parts": {"all": {"dataset": "parallel", "shape": "monolingual", "languages": ["eng_Latn"]}},
    })  # fmt: skip
    rows = {row["document_id"]: row for row in run(recipe, tmp_path / "store").rows()}
    assert rows["parallel/0"]["content"] == "eng_Latn asks 0 <eng_Latn text>"
    assert (rows["parallel/0"]["turn"], rows["parallel/0"]["input"]) == ("eng_Latn asks 0", "eng_Latn text")
    assert rows["parallel/1"]["content"] == "eng_Latn asks 1"


def test_empty_and_identical_pairs_are_dropped_and_counted(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path, rows=5)
    for code, first, second in (("eng_Latn", "2 + 2 = ?", "two"), ("swh_Latn", "2 + 2 = ?", "")):
        rows = [{**pair(code, "0"), "instruction": first}, {**pair(code, "1"), "instruction": second}]
        folder.json_lines(f"{code}.jsonl", [*rows, *(pair(code, i) for i in "234")])
    parts = {"pairs": {"dataset": "parallel", "shape": "contrastive", "languages": ["eng_Latn", "swh_Latn"]}}
    ran = run(mix(folder, {"mix.parts": parts}), tmp_path / "store")

    mixed = ran.manifests["mix"]
    assert mixed.kept == 3
    assert {k: v for k, v in mixed.dropped.items() if k != "mix.not_drawn"} == {
        "contrastive.identical": 1, "contrastive.empty": 1,
    }  # fmt: skip
    details = {row["reason"]: row["detail"] for row in ran.lost("mix")}
    assert details["contrastive.empty"] == "no text in swh_Latn"


def test_a_row_with_an_empty_response_is_drawn_by_nobody_and_says_why(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path, rows=3)
    folder.json_lines(
        "fin_Latn.jsonl", [{**pair("fin_Latn", "0"), "response": " "}, *(pair("fin_Latn", i) for i in "12")]
    )
    ran = run(folder.root / "tiny.yaml", tmp_path / "store")
    assert {row["document_id"] for row in ran.rows()} == {"parallel/1", "parallel/2"}
    lost = {(row["document_id"], row["detail"]) for row in ran.lost("mix") if row["reason"] == "mix.empty_field"}
    assert lost == {("parallel/0", "no response in fin_Latn")}
    assert all(row["instruction"] and row["response"] and row["content"] for row in ran.rows())


def test_every_row_that_comes_in_is_used_or_dropped_as_not_drawn(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path)
    ran = run(mix(folder, {"mix.parts.cross.rows": 4}), tmp_path / "store")
    used = {(r["document_id"], r[f"{side}_language"]) for r in ran.rows() for side in ("instruction", "response")}
    unused = {(r["document_id"], r["language"]) for r in ran.lost("mix")}
    came = {(r["document_id"], r["language"]) for r in ran.rows("read parallel")}
    assert used | unused == came
    assert not used & unused


def test_all_rows_of_one_origin_stand_in_one_split(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path, rows=40)
    rows = run(mix(folder, {"split": {"test_ratio": 0.3}}), tmp_path / "store").rows("split")
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(row["document_id"], set()).add(row["split"])
    assert all(len(found) == 1 for found in sides.values())
    assert set.union(*sides.values()) == {"train", "test"}


def test_a_part_that_is_not_chosen_changes_no_fingerprint_and_reads_no_dataset(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path)
    plain = run(folder.root / "tiny.yaml", tmp_path / "store").plan.stages[-1].fingerprint
    recipe = mix(folder, {
        "datasets.bitext": {"license": "mit", "versions": {"eng_Latn": {"format": "jsonl", "path": "gone.jsonl"}}},
        "mix.parts.more": {"dataset": "bitext", "shape": "monolingual"},
        "mix.choices": {"plain": ["cross"], "all": ["cross", "more"]},
        "mix.choice": "plain",
    })  # fmt: skip
    assert run(recipe, tmp_path / "store").plan.stages[-1].fingerprint == plain


def test_a_name_that_no_prompt_needs_changes_no_fingerprint_and_one_that_does_changes_it(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path)
    finnish: dict[str, Any] = {"phrase": "Vastaa {{ name }}.", "names": {"eng_Latn": "englanniksi"}}
    plain, unneeded, needed = (
        compile_recipe(mix(folder, {"answer_in.fin_Latn": changed})).stages[-1].fingerprint
        for changed in (
            finnish, {**finnish, "names": {**finnish["names"], "swh_Latn": "suahiliksi"}},
            {**finnish, "names": {"eng_Latn": "englannin kielellä"}},
        )
    )  # fmt: skip
    assert plain == unneeded != needed


def test_a_trial_takes_what_its_limit_left(tmp_path: Path) -> None:
    folder = mix_folder(tmp_path, rows=30)
    ran = run(mix(folder, {"mix.parts.cross.rows": 20}), tmp_path / "store", limit=3)
    assert len(ran.rows()) == 6
