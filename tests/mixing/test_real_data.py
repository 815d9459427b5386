"""The four methods over real sentence pairs and human-written instructions, which lie beside the repository or do not.

`XIRECIPE_TEST_DATA` says where: `parallel/<xx>.jsonl` with `en` and `xx`, `seed/en_dolly.jsonl` with instructions.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.builders import REPOSITORY, Folder
from tests.mixing.mixes import MIX, RECIPES, Ran, run
from xirecipe.hub.content import render_card

DATA = Path(os.environ.get("XIRECIPE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not (DATA / "parallel" / "sw.jsonl").exists(), reason=f"no real data in {DATA}"),
]
FILES = {"swh_Latn": "sw", "fin_Latn": "fi", "tur_Latn": "tr"}
ENGLISH = {
    "license": "cc-by-sa-3.0", "columns": {"input": "input"},
    "versions": {"eng_Latn": {"format": "jsonl", "path": str(DATA / "seed" / "en_dolly.jsonl")}},
}  # fmt: skip


def sentences(*codes: str) -> dict[str, Any]:
    """Sentences that answer themselves: real texts, for the machinery and nothing else.

    They stand under their English sentence, which is what makes them versions of one another.
    """

    def version(file: str, column: str) -> dict[str, Any]:
        path = str(DATA / "parallel" / f"{file}.jsonl")
        return {"format": "jsonl", "path": path, "columns": {"instruction": column, "response": column}}

    english = version(FILES[codes[0]], "en")
    return {
        "license": "cc-by-4.0", "align_on": "en",
        "versions": {"eng_Latn": english, **{code: version(FILES[code], "xx") for code in codes}},
    }  # fmt: skip


def made(method: str, root: Path, datasets: dict[str, Any], mix: dict[str, Any]) -> Ran:
    shutil.copytree(RECIPES, root / "recipes")
    recipe = {
        "extends": f"bases/{method}.yaml", "name": method.replace("_", "-"), "version": "1.0.0-dev", "mix": mix,
        "datasets": datasets, "card": MIX["card"], "release": {"license": "cc-by-sa-4.0"}, "profiles": {"real": {}},
    }  # fmt: skip
    ran = run(Folder(root / "recipes").write("real.yaml", recipe), root / "store", "real")
    assert render_card(ran.plan, ran.store).startswith("---\n")
    return ran


def test_crossin_over_real_sentences_draws_three_rows_each_and_leaves_no_row_unaccounted(tmp_path: Path) -> None:
    ran = made("crossin", tmp_path, {"complex": ENGLISH, "parallel": sentences("swh_Latn")}, {
        "parts": {"cross": {"rows": 3000}},
    })  # fmt: skip
    rows = Counter(row["part"] for row in ran.rows())
    read = ran.manifests["read complex"]
    assert rows["complex"] == read.kept - ran.manifests["mix"].dropped.get("mix.empty_field", 0) > 2_000
    assert (rows["cross"], rows["translation"]) == (6_000, 3_000)


def test_real_sentences_that_a_language_lacks_are_counted_and_named(tmp_path: Path) -> None:
    ran = made("afp", tmp_path, {"parallel": sentences("swh_Latn", "fin_Latn")}, {})
    read = ran.manifests["read parallel"]
    assert read.dropped["align_on.missing"] > 100
    assert read.facts["misaligned"]["fin_Latn"]["count"] > 10
    assert all("not in" in row["detail"] for row in ran.lost("read parallel") if row["reason"] == "align_on.missing")


def test_afp_over_real_sentences_answers_half_of_the_time_in_another_language(tmp_path: Path) -> None:
    ran = made("afp", tmp_path, {"parallel": sentences("swh_Latn"), "bitext": sentences("swh_Latn")}, {
        "choice": "with_translation",
    })  # fmt: skip
    rows = ran.rows()
    follow = [row for row in rows if row["part"] == "follow"]
    other = sum(row["direction"] != "same" for row in follow)
    assert abs(other - len(follow) / 2) <= 4 * (len(follow) / 4) ** 0.5
    pool = ran.manifests["mix"].facts["parts"]["pairs"]["pool"]
    assert len(follow) == 3 * pool
    assert all(row["instruction"] != row["response"] for row in rows if row["part"] == "pairs")


def test_pinch_over_real_sentences_keeps_its_total(tmp_path: Path) -> None:
    ran = made("pinch", tmp_path, {"parallel": sentences("tur_Latn")}, {
        "total": 400, "parts": {"others": {"languages": ["tur_Latn"], "rows": 4}},
        "choices": dict.fromkeys(("uniform", "two", "three", "four")),
    })  # fmt: skip
    assert Counter(row["response_language"] for row in ran.rows()) == {"eng_Latn": 396, "tur_Latn": 4}


def test_the_zero_shot_study_over_human_written_instructions_is_all_of_them(tmp_path: Path) -> None:
    ran = made("zero_shot", tmp_path, {"parallel": ENGLISH}, {})
    mixed = ran.manifests["mix"]
    assert mixed.kept + sum(mixed.dropped.values()) == mixed.rows_in > 2_000
    assert {row["response_language"] for row in ran.rows()} == {"eng_Latn"}
