"""The promises of a run, kept by the real command line and real engines against a server that counts its calls."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.models.fake_server import FakeServer, Fault, prompt_of

pytestmark = pytest.mark.end_to_end

REPOSITORY = Path(__file__).parent.parent
SAMPLE = REPOSITORY / "recipes" / "sample" / "swh_Latn.jsonl"


@dataclass
class Project:
    """A copy of the recipes with a corpus, a store and a server of its own."""

    root: Path
    server: FakeServer
    url: str
    environment_extra: dict[str, str] = field(default_factory=dict)

    @property
    def corpus(self) -> Path:
        return self.root / "corpus.jsonl"

    @property
    def overrides(self) -> list[str]:
        source = f"corpus.sources.web={{format: jsonl, path: {self.corpus}, license: cc0-1.0}}"
        # Without rounds: they show the best rows of all documents to the evaluator, so that one more document may
        # change every question. Nothing else of the method is such.
        changes = (
            source, "corpus.filters.length.min_chars=300", "generate.exemplars.choice=fixed", "rating_set=null",
            "judge.rubric.examples_per_level=0", "refine=null", "select.max_instruction_similarity=null",
        )  # fmt: skip
        return [word for change in changes for word in ("--set", change)]

    def command(self, *arguments: str) -> list[str]:
        verb, *rest = arguments
        recipe = str(self.root / "recipes" / "swahili.yaml")
        return [sys.executable, "-m", "xirecipe", verb, recipe, "--profile", "server", *self.overrides, *rest]

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "XIRECIPE_STORE": str(self.root / "store"),
            "XIRECIPE_MODEL_URL": self.url,
            "XIRECIPE_REQUESTS_IN_FLIGHT": "4",
            "XIRECIPE_REQUEST_ATTEMPTS": "1",
            **self.environment_extra,
        }

    def xirecipe(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments), cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def run(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """`xirecipe run --json`, its stages by name."""
        report = json.loads(self.xirecipe("run", "--json", *arguments).stdout)
        return {stage["stage"]: stage for stage in report["stages"]}

    def rows(self) -> list[dict[str, Any]]:
        import pyarrow.parquet as pq

        release = next((self.root / "store" / "releases").iterdir())
        tables = [pq.read_table(path).to_pylist() for path in sorted((release / "data").glob("*.parquet"))]
        return sorted((row for table in tables for row in table), key=lambda row: row["document_id"])

    def write_documents(self, lines: list[str]) -> None:
        self.corpus.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def clean_documents() -> list[str]:
    """Sample documents that every filter keeps."""
    rows = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    kept = [r for r in rows if not r["id"].startswith("drop-") and len(r["text"]) >= 300]
    return [json.dumps(r, ensure_ascii=False) for r in kept]


def english(body: dict[str, Any]) -> str:
    """An instruction that every guard lets pass, another one for every prompt."""
    mark = hashlib.sha256(prompt_of(body).encode()).hexdigest()[:6]
    return f"Explain to a beginner what everybody should know about the subject with the number {mark}."


@pytest.fixture
def project(tmp_path: Path, fake_server: FakeServer) -> Project:
    shutil.copytree(REPOSITORY / "recipes", tmp_path / "recipes")
    fake_server.answer = english
    fake_server.models = ("Qwen/Qwen3-30B-A3B-Instruct-2507",)
    made = Project(tmp_path, fake_server, fake_server.url)
    made.write_documents(clean_documents()[:20])
    return made


def test_a_second_run_does_nothing_and_says_so(project: Project) -> None:
    first = project.run()
    calls = len(project.server.calls)
    assert first["generate"]["calls"] + first["judge"]["calls"] == calls == 40

    again = project.xirecipe("run")

    assert "nothing to do: every stage is done" in again.stdout
    assert len(project.server.calls) == calls
    assert project.xirecipe("plan", "--exit-code").stdout.count("done") >= 8


def test_an_edited_threshold_reruns_only_select_and_split_and_asks_nothing(project: Project) -> None:
    project.run()
    calls = len(project.server.calls)
    recipe = project.root / "recipes" / "bases" / "x_instruction.yaml"
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(text.replace("min_score: 2.5", "min_score: 2.0"), encoding="utf-8")

    planned = project.xirecipe("plan", "--exit-code", expect=2).stdout
    stages = project.run()

    assert "select.min_score: 2.5 → 2.0" in planned
    assert [name for name, stage in stages.items() if stage["made"]] == ["select", "messages", "split"]
    assert len(project.server.calls) == calls
    assert stages["split"]["kept"] == 20


def test_an_edited_prompt_asks_the_writer_again_and_nobody_twice(project: Project) -> None:
    project.run()
    before = len(project.server.calls)
    prompt = project.root / "recipes" / "prompts" / "write_instruction.chat.j2"
    prompt.write_text("Be brief. " + prompt.read_text(encoding="utf-8"), encoding="utf-8")

    stages = project.run()

    assert [name for name, s in stages.items() if not s["made"]] == ["corpus", "dedup"]
    assert stages["generate"]["calls"] == 20
    # The fake writer answers another prompt with other words, so every pair is new to the judge too.
    assert stages["judge"]["calls"] == 20
    prompts = [json.dumps(call, sort_keys=True) for call in project.server.calls[before:]]
    assert len(prompts) == len(set(prompts)) == 40


def test_ten_percent_more_documents_cost_ten_percent_more_calls(project: Project) -> None:
    project.run()
    calls = len(project.server.calls)
    project.write_documents(clean_documents()[:22])

    stages = project.run()

    assert len(project.server.calls) - calls == 4
    assert stages["generate"]["calls"] == stages["judge"]["calls"] == 2
    assert stages["generate"]["reused"] == 20


def test_kill_9_in_the_middle_ends_with_the_same_rows_and_pays_no_answered_call_twice(
    project: Project, tmp_path: Path
) -> None:
    project.run()
    expected = project.rows()
    shutil.rmtree(tmp_path / "store")
    project.server.calls.clear()
    project.server.delay = 0.3
    running = subprocess.Popen(
        project.command("run"),
        cwd=tmp_path,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while logged(tmp_path / "store") < 8 and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    time.sleep(2)
    answered = logged_keys(tmp_path / "store")
    assert 8 <= len(answered) < 40
    asked_before = len(project.server.calls)

    project.server.delay = 0
    stages = project.run()

    assert project.rows() == expected
    assert stages["generate"]["reused"] + stages["judge"]["reused"] == len(answered)
    # Only what was on its way when the process died may be asked again.
    assert len(project.server.calls) - asked_before == 40 - len(answered)
    assert asked_before - len(answered) <= 4


def test_ctrl_c_exits_130_and_the_next_run_goes_on(project: Project, tmp_path: Path) -> None:
    project.server.delay = 0.3
    running = subprocess.Popen(
        project.command("run"),
        cwd=tmp_path,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while logged(tmp_path / "store") < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)

    assert running.returncode == 130
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    project.server.delay = 0
    assert project.run()["split"]["kept"] == 20


def test_every_row_is_accounted_for_and_traced(project: Project) -> None:
    good = clean_documents()[:6]
    project.write_documents(
        [
            *good,
            '{"id": "broken", "text": ',
            json.dumps({"id": "no-text"}),
            json.dumps({"id": "short", "text": "Habari."}),
        ]
    )

    stages = project.run()

    corpus = stages["corpus"]
    assert corpus["asked"] == 9
    assert corpus["failed"] == {"read.broken_json": 1}
    assert corpus["dropped"] == {"read.no_text": 1, "length.min_chars": 1}
    for stage in stages.values():
        assert stage["asked"] == stage["kept"] + sum(stage["dropped"].values()) + sum(stage["failed"].values())
    traced = project.xirecipe("trace", "short").stdout
    assert "corpus: dropped: length.min_chars 7 (threshold 300)" in traced
    shown = project.xirecipe("rejects", "--reason", "read.broken_json").stdout
    assert "corpus.jsonl" in shown
    assert "line 7" in shown or ":7" in shown


def test_a_server_that_is_down_is_named_and_nothing_is_lost(project: Project) -> None:
    project.url = "http://127.0.0.1:9/v1"

    done = project.xirecipe("run", expect=1)

    assert "error[server-unreachable]" in done.stderr
    assert "XIRECIPE_MODEL_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((project.root / "store").glob("dedup-*/manifest.json"))


def test_a_budget_stops_the_run_cleanly_and_the_next_one_goes_on(project: Project) -> None:
    stopped = project.xirecipe("run", "--set", "budget.calls=15", expect=1)

    assert "error[budget-reached]" in stopped.stderr
    assert len(project.server.calls) == 15
    assert project.run()["split"]["kept"] == 20
    assert len(project.server.calls) == 40


def test_rejects_try_gives_what_a_run_would_give(project: Project) -> None:
    project.run()
    calls = len(project.server.calls)

    tried = json.loads(project.xirecipe("rejects", "--try", "select.min_score=2.9", "--json").stdout)

    assert tried["select"]["rows_before"] == 20
    assert tried["select"]["rows_after"] == 0
    assert len(tried["select"]["go"]) == 20
    assert len(project.server.calls) == calls


def test_the_release_folder_verifies_and_loads(project: Project) -> None:
    project.run()

    assert project.xirecipe("verify").stdout.startswith("verified: 9 stages add up, 20 rows")
    card = project.xirecipe("card").stdout
    assert card.startswith("---\n")
    assert "X-Instruction Swahili" in card


def logged(store: Path) -> int:
    return len(logged_keys(store))


def logged_keys(store: Path) -> list[str]:
    lines = [line for path in store.glob("completions/*.jsonl") for line in path.read_bytes().splitlines(keepends=True)]
    return [line[8:72].decode() for line in lines if line.endswith(b"\n")]


def test_retrying_failed_rows_brings_them_into_the_dataset(project: Project) -> None:
    project.server.fail_when(lambda body: Fault() if "chapati" in prompt_of(body).lower() else None)
    project.environment_extra["XIRECIPE_MAX_FAILED_RATIO"] = "0.5"
    first = project.run()
    failed = sum(first["generate"]["failed"].values())
    assert 0 < failed < 20
    assert first["split"]["kept"] == 20 - failed
    project.server.fail_when(lambda body: None)

    again = project.run("--retry-failed")

    assert again["generate"]["calls"] == failed
    assert again["split"]["kept"] == 20
    assert len(project.rows()) == 20
    assert "verified: 9 stages add up, 20 rows" in project.xirecipe("verify").stdout
