"""`xirecipe run --enough`: as many documents as the rows need, and no answer paid for twice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import REPOSITORY, Folder, recipe_folder, xirecipe
from tests.models.fake_server import FakeServer, prompt_of

#: A recipe of which one document in four becomes a row, whatever it says.
QUARTER: dict[str, Any] = {
    "corpus.filters": {"language": None, "length": {"min_chars": 30}},
    "dedup": {"minhash": None},
    "cluster": {"rows_per_cluster": 8},
    "select.rows": 60,
}


def documents(count: int, start: int = 0) -> list[dict[str, str]]:
    """Every fourth is long enough."""
    return [
        {"id": f"d{n}", "text": f"Habari namba {n} ni ndefu ya kutosha." if n % 4 == 0 else f"Fupi {n}."}
        for n in range(start, start + count)
    ]


def english(body: dict[str, Any]) -> str:
    """An instruction that every guard lets pass, another one for every prompt."""
    mark = hashlib.sha256(prompt_of(body).encode()).hexdigest()[:6]
    return f"Explain to a beginner what everybody should know about the subject with the number {mark}."


@pytest.fixture
def folder(tmp_path: Path, fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XIRECIPE_MODEL_URL", fake_server.url)
    monkeypatch.setenv("XIRECIPE_WORKERS", "1")
    fake_server.answer = english
    fake_server.models = ("tiny",)
    made = recipe_folder(tmp_path)
    made.recipe(QUARTER)
    made.json_lines("texts.jsonl", documents(1_000))
    return made


def asked(server: FakeServer) -> list[str]:
    return [json.dumps(call, sort_keys=True) for call in server.calls]


def run(*arguments: str) -> dict[str, Any]:
    ran = xirecipe("run", "tiny.yaml", "--json", *arguments)
    assert ran.code == 0, ran.err
    record: dict[str, Any] = json.loads(ran.out)
    return record


def made(record: dict[str, Any]) -> list[str]:
    return [stage["stage"] for stage in record["stages"] if stage["made"]]


def rows(release: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [row for path in sorted(Path(release).glob("data/*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.end_to_end
def test_turns_end_with_the_rows_asked_for_and_what_they_found_written_into_the_recipe_makes_a_run_do_nothing(
    folder: Folder, fake_server: FakeServer
) -> None:
    found = run("--enough")

    # 100 documents give 25 rows; at that rate and a tenth more, 60 need 264.
    turns = found["enough"]["turns"]
    assert [(turn["documents"], turn["passed"], turn["rows"]) for turn in turns] == [(100, 25, 25), (300, 75, 60)]
    assert found["enough"]["reached"]
    # An instruction and a rating for each of 75 texts that were long enough.
    assert [turn["calls"] for turn in turns] == [2 * 25, 2 * 50]
    assert len(asked(fake_server)) == len(set(asked(fake_server))) == 150
    assert [stage["kept"] for stage in found["stages"] if stage["stage"] == "split"] == [60]

    second = xirecipe("run", "tiny.yaml", "--enough")
    assert second.err.count("turn") == 2
    assert "turn 2: the first 300 of web\n" in second.err
    assert second.out.startswith("nothing to do: every stage is done")
    assert (
        """\
300 documents are enough for `select.rows: 60`
`xirecipe run tiny.yaml` gives the same rows when the recipe says:
  corpus.sources.web.documents: 300
dataset and card: store/releases/tiny-swh-1.0.0-dev-"""
        in second.out
    )
    assert len(fake_server.calls) == 150

    assert found["enough"]["keys"] == {"corpus.sources.web.documents": 300}
    folder.recipe(QUARTER | found["enough"]["keys"])
    again = run()
    assert made(again) == []
    assert [s["fingerprint"] for s in again["stages"]] == [s["fingerprint"] for s in found["stages"]]
    assert again["release"].endswith("tiny-swh-1.0.0-dev")
    assert rows(again["release"]) == rows(found["release"])

    folder.recipe(QUARTER | found["enough"]["keys"] | {"select.min_score": 1.5})
    assert made(run()) == ["select", "messages", "split"]
    assert len(asked(fake_server)) == 150


@pytest.mark.end_to_end
def test_sources_that_end_before_the_rows_are_there_are_read_whole_and_the_missing_rows_are_named(
    folder: Folder, fake_server: FakeServer
) -> None:
    folder.json_lines("texts.jsonl", documents(150))
    folder.json_lines("books.jsonl", documents(40, start=1_000))
    books = {"format": "jsonl", "path": "books.jsonl", "license": "cc0-1.0"}
    profiles = {"sample": {"corpus": {"sources": {"books": books}}}}
    folder.recipe(QUARTER | {"corpus.sources.web.documents": 120, "profiles": profiles})

    ran = xirecipe("run", "tiny.yaml", "--enough")

    assert ran.code == 0, ran.err
    assert "turn 1: the first 100 of web, 100 of books\nc" in ran.err
    assert "turn 2: the first 120 of web, 40 of books\nc" in ran.err
    told = """\
40 of the 60 rows asked for: the sources have no more than 160 documents; the recipe allows no more than `documents` \
of web 120
`xirecipe run tiny.yaml` gives the same rows when the recipe says:
  profiles.sample.corpus.sources.books.documents: 40
"""
    assert told in ran.out
    assert len(asked(fake_server)) == len(set(asked(fake_server))) == 80
    profiles["sample"]["corpus"]["sources"]["books"] = books | {"documents": 40}
    folder.recipe(QUARTER | {"corpus.sources.web.documents": 120, "profiles": profiles})
    assert made(run()) == []


@pytest.mark.end_to_end
def test_rounds_are_made_once_when_there_are_rows_enough(folder: Folder, fake_server: FakeServer) -> None:
    folder.json_lines("seed.jsonl", ({"instruction": f"Say {i}.", "response": f"Jambo {i}."} for i in range(4)))
    rounds = {
        "judge.rubric.levels": {"3": 3, "2": 2, "1": 1},
        "rating_set": {},
        "refine": {"rounds": 1, "score": "rubric", "min_score": 2},
    }
    folder.recipe(QUARTER | rounds)

    found = run("--enough")

    turns = found["enough"]["turns"]
    assert [(turn["documents"], turn["rounds"]) for turn in turns] == [(100, False), (300, False), (300, True)]
    assert len(asked(fake_server)) == len(set(asked(fake_server))) == sum(turn["calls"] for turn in turns)
    assert [stage["kept"] for stage in found["stages"] if stage["stage"] == "refine 1"] == [75]
    folder.recipe(QUARTER | rounds | found["enough"]["keys"])
    assert made(run()) == []


@pytest.mark.end_to_end
def test_the_budget_of_a_run_is_that_of_all_turns_together_and_the_same_command_goes_on(
    folder: Folder, fake_server: FakeServer
) -> None:
    folder.recipe(QUARTER | {"budget": {"calls": 70}})
    ran = xirecipe("run", "tiny.yaml", "--enough")
    assert ran.code == 1
    assert "error[budget-reached]: the budget of a run is spent: 70 of 70 calls" in ran.err
    assert len(asked(fake_server)) == 70

    assert xirecipe("run", "tiny.yaml", "--enough").code == 1
    assert run("--enough")["enough"]["reached"]
    assert len(asked(fake_server)) == len(set(asked(fake_server))) == 150


@pytest.mark.engine
def test_documents_of_which_none_becomes_a_row_are_not_read_to_the_last(folder: Folder) -> None:
    folder.recipe(QUARTER | {"corpus.filters.length.min_chars": 300, "corpus.filters.length.max_chars": None})
    folder.json_lines("texts.jsonl", documents(2_000))
    ran = xirecipe("run", "tiny.yaml", "--enough")
    assert ran.code == 1
    assert "turn 3: the first 1,600 of web\n" in ran.err
    assert "error[not-enough]: none of 1,600 documents became a row: no number of them is known to be enough" in ran.err
    assert "see why: xirecipe rejects tiny.yaml --set corpus.sources.web.documents=1600" in ran.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--limit", "5"], "error[usage]: `--enough` finds out itself how many documents are read, and goes with no "),
        (["--to", "judge"], "error[usage]: `--enough` finds out itself where it ends, and goes with no `--to`"),
        (["--set", "select.rows=null"], "error[not-enough]: tiny-swh takes all rows, of which no number is enough"),
    ],
)
def test_what_enough_cannot_go_with_is_the_users_mistake(folder: Folder, arguments: list[str], told: str) -> None:
    ran = xirecipe("run", "tiny.yaml", "--enough", *arguments)
    assert ran.code == 1
    assert told in ran.err
    assert not (folder.root / "store").exists()


def test_a_mix_reads_no_corpus_of_which_something_could_be_enough(folder: Folder) -> None:
    ran = xirecipe("run", REPOSITORY / "recipes" / "crossin.yaml", "--enough")
    assert ran.code == 1
    assert "error[not-enough]: crossin" in ran.err
    assert "hint: `mix.parts.<name>.rows` says how many rows are drawn" in ran.err
