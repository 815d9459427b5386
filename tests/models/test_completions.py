"""The completion log: what was answered stays answered, whatever happened to the process or the file's end."""

from __future__ import annotations

import json
import resource
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xirecipe.fingerprint import digest
from xirecipe.models.completions import CompletionLog
from xirecipe.models.requests import Answer, Request
from xirecipe.recipe.models import Sampling, ServerModel

IDENTITY: dict[str, Any] = {"engine": "server", "model": "fake", "revision": "1"}

answers = st.builds(
    Answer,
    text=st.text(max_size=40),
    finish_reason=st.sampled_from(["stop", "length"]),
    prompt_tokens=st.integers(0, 4096),
    completion_tokens=st.integers(0, 4096),
    label_log_probs=st.none() | st.dictionaries(st.sampled_from("123"), st.floats(-20, 0), max_size=3),
    log_prob=st.none() | st.floats(-500, 0),
    scored_tokens=st.integers(0, 99),
)


def key_of(number: int) -> str:
    return digest(["request", number])


@settings(max_examples=60, deadline=None)
@given(st.lists(answers, min_size=1, max_size=8), st.data())
def test_a_log_cut_anywhere_loses_only_the_cut_answer_and_goes_on(written: list[Answer], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with CompletionLog(Path(folder), IDENTITY) as log:
            ends = [0]
            for number, answer in enumerate(written):
                log.append(key_of(number), answer)
                ends.append(log.path.stat().st_size)
        size = data.draw(st.integers(0, ends[-1]))
        with log.path.open("r+b") as file:
            file.truncate(size)
        whole = sum(end <= size for end in ends[1:])

        with CompletionLog(Path(folder), IDENTITY) as log:
            assert [log.get(key_of(n)) for n in range(len(written))] == [
                *written[:whole],
                *[None] * (len(written) - whole),
            ]
            for number in range(whole, len(written)):
                log.append(key_of(number), written[number])
        with CompletionLog(Path(folder), IDENTITY) as log:
            assert [log.get(key_of(n)) for n in range(len(written))] == written


def test_a_disk_that_fills_up_leaves_only_whole_answers(tmp_path: Path) -> None:
    # A limit on file sizes ends a write short exactly as a full disk does.
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    with CompletionLog(tmp_path, IDENTITY) as log:
        log.append(key_of(0), Answer("a"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.path.stat().st_size + 50, old[1]))
        try:
            with pytest.raises(OSError, match="No space left"):
                log.append(key_of(1), Answer("b"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        log.append(key_of(2), Answer("c"))
    with CompletionLog(tmp_path, IDENTITY) as log:
        assert [log.get(key_of(n)) for n in range(3)] == [Answer("a"), None, Answer("c")]


def test_an_answer_is_on_disk_before_append_returns(tmp_path: Path) -> None:
    log = CompletionLog(tmp_path, IDENTITY)
    log.append(key_of(0), Answer("Describe Kisumu."))
    other = CompletionLog(tmp_path, IDENTITY)
    assert other.get(key_of(0)) == Answer("Describe Kisumu.")


def test_a_reader_sees_what_another_process_appended_after_refresh(tmp_path: Path) -> None:
    reader = CompletionLog(tmp_path, IDENTITY)
    with CompletionLog(tmp_path, IDENTITY) as writer:
        writer.append(key_of(0), Answer("a"))
        assert key_of(0) not in reader
        assert reader.refresh() == 1
        assert key_of(0) in reader


def test_models_that_answer_differently_have_different_logs(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"engine": "server", "model": "fake", "license": "cc0-1.0"}
    one, other = (ServerModel(**facts, revision=revision).identity for revision in ("1", "2"))
    assert CompletionLog(tmp_path, one).path != CompletionLog(tmp_path, other).path


def test_the_models_identity_lies_beside_its_log(tmp_path: Path) -> None:
    with CompletionLog(tmp_path, IDENTITY) as log:
        log.append(key_of(0), Answer("a"))
    assert json.loads(log.path.with_suffix("").with_suffix(".model.json").read_text(encoding="utf-8")) == IDENTITY


def test_a_requests_key_hangs_on_everything_that_changes_the_answer() -> None:
    base = Request("complete", "Habari", Sampling(), 0)
    others = [
        Request("choose", "Habari", Sampling(), 0),
        Request("complete", "Habari!", Sampling(), 0),
        Request("complete", "Habari", Sampling(temperature=0.1), 0),
        Request("complete", "Habari", Sampling(), 1),
        Request("complete", "Habari", Sampling(), 0, labels=("1",)),
        Request("complete", "Habari", Sampling(), 0, continuation="x"),
    ]
    keys = {request.key(IDENTITY) for request in [base, *others]} | {base.key({**IDENTITY, "revision": "2"})}
    assert len(keys) == len(others) + 2


def test_a_request_survives_its_payload() -> None:
    request = Request("complete", "Habari", Sampling(stop=("\n",), top_k=3), 2, ("3", "2"), "x")
    assert Request.from_payload(json.loads(json.dumps(request.payload()))) == request


def test_half_a_surrogate_pair_that_a_model_wrote_does_not_stop_the_log(tmp_path: Path) -> None:
    with CompletionLog(tmp_path, IDENTITY) as log:
        log.append(key_of(1), Answer("Andika \ud83d"))
        assert log.get(key_of(1)) == Answer("Andika ?")


def test_of_two_answers_to_one_request_the_first_counts(tmp_path: Path) -> None:
    with CompletionLog(tmp_path, IDENTITY) as log:
        log.append(key_of(1), Answer("a"))
        log.append(key_of(1), Answer("b"))
        assert log.get(key_of(1)) == Answer("a")
    assert CompletionLog(tmp_path, IDENTITY).get(key_of(1)) == Answer("a")


def test_two_writers_in_turn_lose_nothing_to_each_other(tmp_path: Path) -> None:
    with CompletionLog(tmp_path, IDENTITY) as one, CompletionLog(tmp_path, IDENTITY) as other:
        other.append(key_of(1), Answer("a"))
        one.append(key_of(2), Answer("b"))
        one.refresh()
        assert [one.get(key_of(1)), one.get(key_of(2))] == [Answer("a"), Answer("b")]


def test_a_cut_answer_longer_than_is_read_at_once_is_cut_off(tmp_path: Path) -> None:
    with CompletionLog(tmp_path, IDENTITY) as log:
        log.append(key_of(1), Answer("a"))
        log.append(key_of(2), Answer("b" * 200_000))
    with log.path.open("r+b") as file:
        file.truncate(log.path.stat().st_size - 1)
    with CompletionLog(tmp_path, IDENTITY) as log:
        log.append(key_of(3), Answer("c"))
        assert [log.get(key_of(n)) for n in (1, 2, 3)] == [Answer("a"), None, Answer("c")]
