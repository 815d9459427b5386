"""The polish stage in a plan: what it writes, and that every stage after it reads what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Folder, recipe_folder, xirecipe
from tests.models.fake_server import FakeServer, prompt_of
from xirecipe import tables
from xirecipe.compile import compile_recipe
from xirecipe.costs import cost_plan
from xirecipe.run import StageDone, run_plan
from xirecipe.settings import Settings
from xirecipe.store import Store

pytestmark = pytest.mark.engine

HEAD = "Mwanzo | Habari | Michezo\n21/11/2026\n\n"
BODY = "Mvua hunyesha wakati wa masika na kujaza mito yote ya bonde la mto mkubwa.\n\nBaadaye jua huwaka tena."
TAIL = "\n\nShare on Facebook\n© 2026 Gazeti"
PLAIN = "Mkate huokwa kwa unga wa ngano, chumvi kidogo na maji ya moto.\n\nTags ni neno la Kiingereza."
#: Loses more than its share.
SHORT = "Print\nShare\nMaji ni uhai."
DOCUMENTS = {"mvua": HEAD + BODY + TAIL, "mkate": PLAIN, "maji": SHORT}
CHANGES: dict[str, Any] = {
    "corpus.filters": {"language": None, "length": {"min_chars": 5}}, "dedup": {"minhash": None},
    "generate.guards": {"min_english_score": None},
}  # fmt: skip
POLISH = {"max_removed_ratio": 0.45}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_server: FakeServer) -> Folder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XIRECIPE_MODEL_URL", fake_server.url)
    fake_server.models = ("tiny",)
    folder = recipe_folder(tmp_path)
    folder.json_lines("texts.jsonl", ({"id": name, "text": text} for name, text in DOCUMENTS.items()))
    return folder


def run(folder: Folder, server: FakeServer, to: Any = None, **changes: Any) -> dict[str, StageDone]:
    plan = compile_recipe(folder.recipe({**CHANGES, **changes}))
    settings = Settings(workers=1, environment={"XIRECIPE_MODEL_URL": server.url})
    return {done.stage.label: done for done in run_plan(plan, Store(folder.root / "store"), settings, to=to)}


def rows(folder: Folder, done: StageDone) -> dict[str, tables.Row]:
    store = Store(folder.root / "store")
    found = tables.read(store.artifact(done.stage.kind, done.stage.fingerprint).data)
    return {row["document_id"]: row for row in found}


def test_every_document_stays_and_head_text_and_tail_are_what_was_read(folder: Folder, fake_server: FakeServer) -> None:
    stages = run(folder, fake_server, to="polish", polish=POLISH)
    before, after = rows(folder, stages["dedup"]), rows(folder, stages["polish"])
    assert {name: row["removed_head"] + row["text"] + row["removed_tail"] for name, row in after.items()} == {
        name: row["text"] for name, row in before.items()
    }
    assert (after["mvua"]["removed_head"], after["mvua"]["text"], after["mvua"]["removed_tail"]) == (HEAD, BODY, TAIL)
    assert {after[name]["text"] for name in ("mkate", "maji")} == {PLAIN, SHORT}


def test_the_manifest_counts_documents_lines_and_characters_by_rule(folder: Folder, fake_server: FakeServer) -> None:
    manifest = run(folder, fake_server, to="polish", polish=POLISH)["polish"].manifest
    assert (manifest.rows_in, manifest.asked, manifest.kept, manifest.dropped) == (3, 3, 3, {})
    assert manifest.facts == {
        "changed_documents": 1,
        "removed_chars": len(HEAD) + len(TAIL),
        "rules": {
            "button": {"lines": 1, "chars": len("\n\nShare on Facebook\n")},
            "copyright": {"lines": 1, "chars": len("© 2026 Gazeti")},
            "date": {"lines": 1, "chars": len("\n21/11/2026\n\n")},
            "navigation": {"lines": 1, "chars": len("Mwanzo | Habari | Michezo")},
        },
    }


def test_a_document_that_becomes_too_short_for_the_corpus_stays(folder: Folder, fake_server: FakeServer) -> None:
    limit = {"corpus.filters": {"language": None, "length": {"min_chars": len(SHORT)}}}
    stages = run(folder, fake_server, to="polish", polish={"max_removed_ratio": 0.9}, **limit)
    assert rows(folder, stages["polish"])["maji"]["text"] == "Maji ni uhai."


def test_the_stages_after_it_read_the_polished_text(folder: Folder, fake_server: FakeServer) -> None:
    changes = {"polish": POLISH, "refine": {"rounds": 1, "score": "rubric", "min_score": 3.0}}
    stages = run(folder, fake_server, **changes)
    assert list(stages) == [
        "corpus", "dedup", "polish", "generate", "judge", "refine 1", "embed", "cluster", "select", "messages", "split",
    ]  # fmt: skip
    assert fake_server.calls
    assert not [call for call in fake_server.calls if "Michezo" in prompt_of(call) or "Gazeti" in prompt_of(call)]
    assert rows(folder, stages["split"])["mvua"]["text"] == BODY
    assert rows(folder, stages["split"])["mvua"]["removed_tail"] == TAIL
    assert {
        line.stage.label: line.state for line in cost_plan(compile_recipe(Path("tiny.yaml")), Store(Path("store")))
    } == (dict.fromkeys(stages, "done"))


def test_the_nearest_exemplars_are_those_of_the_polished_text(folder: Folder, fake_server: FakeServer) -> None:
    changes = {"polish": POLISH, "generate.exemplars": {"choice": "nearest", "count": 2}}
    stages = run(folder, fake_server, to="match", **changes)
    assert rows(folder, stages["match"])["mvua"]["text"] == BODY


def test_the_calls_that_a_plan_counts_are_about_the_polished_text(folder: Folder, fake_server: FakeServer) -> None:
    run(folder, fake_server, to="generate", polish=POLISH)
    plan, store = compile_recipe(Path("tiny.yaml")), Store(Path("store"))
    store.artifact("generate", plan.stage("generate").fingerprint).manifest_path.unlink()
    line = next(line for line in cost_plan(plan, store) if line.stage.kind == "generate")
    assert (line.state, line.calls, line.paid) == ("run", 0, 3)


def test_without_the_section_there_is_no_stage_and_no_text_changes(folder: Folder, fake_server: FakeServer) -> None:
    stages = run(folder, fake_server, to="generate")
    assert list(stages) == ["corpus", "dedup", "generate"]
    found = rows(folder, stages["generate"])
    assert {name: row["text"] for name, row in found.items()} == DOCUMENTS
    assert not {"removed_head", "removed_tail"} & set(found["mvua"])


def test_a_trace_shows_the_removed_characters(folder: Folder, fake_server: FakeServer) -> None:
    run(folder, fake_server, to="polish", polish=POLISH)
    ran = xirecipe("trace", "tiny.yaml", "mvua", "--json")
    step = next(step for step in json.loads(ran.out) if step["stage"] == "polish")
    assert (step["removed_head"], step["text"], step["removed_tail"]) == (HEAD, BODY, TAIL)
    shown = xirecipe("trace", "tiny.yaml", "mvua")
    assert (shown.code, shown.err) == (0, "")
    assert "removed_head: Mwanzo | Habari | Michezo 21/11/2026" in " ".join(shown.out.split())
    assert "removed_tail: Share on Facebook © 2026 Gazeti" in " ".join(shown.out.split())
