"""A store elsewhere and its working copies: what one machine finished, another one finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.test_store import MANIFEST as UNDATED
from xirecipe.artifact import Artifact, Manifest
from xirecipe.diagnostics import UserError, user_error
from xirecipe.mirror import Mirror
from xirecipe.models.completions import CompletionLog
from xirecipe.models.requests import Answer
from xirecipe.remote import Remote
from xirecipe.settings import from_environment
from xirecipe.store import Store

MANIFEST = replace(UNDATED, finished="2026-11-21T10:00:00+00:00")
IDENTITY: dict[str, Any] = {"model": "tiny"}


def machine(elsewhere: str, folder: Path) -> Store:
    """The store as a machine with a disk of its own sees it."""
    return Store(folder, Mirror(Remote(elsewhere), folder))


def made(store: Store, content: str = "rows", manifest: Manifest = MANIFEST) -> Artifact:
    """An artifact, started and finished under the lock."""
    with store.locked():
        artifact = store.artifact("corpus", "f" * 64)
        artifact.forget()
        store.start(artifact)
        (artifact.data / "part-00000.parquet").write_text(content)
        artifact.write_manifest(manifest)
    return artifact


def answered(store: Store, *keys: str, text: str = "yes") -> None:
    with CompletionLog(store.completions, IDENTITY) as log:
        for key in keys:
            log.append(key * 64, Answer(text))


def answers(store: Store) -> dict[str, str]:
    store.fetch_log(IDENTITY)
    with CompletionLog(store.completions, IDENTITY) as log:
        found = {key: log.get(key * 64) for key in "0123456789abcdef"}
    return {key: answer.text for key, answer in found.items() if answer}


def test_what_one_machine_finished_is_done_on_another_with_all_its_rows(elsewhere: str, tmp_path: Path) -> None:
    made(machine(elsewhere, tmp_path / "a"))
    there = machine(elsewhere, tmp_path / "b").artifact("corpus", "f" * 64)
    assert there.done
    assert there.manifest() == MANIFEST
    assert (there.data / "part-00000.parquet").read_text() == "rows"
    assert [a.folder.name for a in machine(elsewhere, tmp_path / "c").artifacts("corpus")] == [there.folder.name]


def test_looking_whether_a_stage_is_done_brings_no_rows(elsewhere: str, tmp_path: Path) -> None:
    made(machine(elsewhere, tmp_path / "a"))
    assert machine(elsewhere, tmp_path / "b").artifact("corpus", "f" * 64).done
    assert [p.name for p in (tmp_path / "b").rglob("*") if p.is_file()] == ["manifest.json"]


def test_an_adapter_that_one_machine_trained_is_found_on_another(elsewhere: str, tmp_path: Path) -> None:
    one = machine(elsewhere, tmp_path / "a")
    with one.locked():
        trained = one.artifact("train", "a" * 64)
        trained.forget()
        one.start(trained)
        (trained.adapter / "templates").mkdir(parents=True)
        (trained.adapter / "adapter.gguf").write_bytes(b"weights")
        (trained.adapter / "templates" / "chat.jinja").write_text("{{ text }}")
        trained.write_manifest(replace(MANIFEST, stage="train"))
    there = machine(elsewhere, tmp_path / "b").artifact("train", "a" * 64)
    assert (there.adapter / "adapter.gguf").read_bytes() == b"weights"
    assert (there.adapter / "templates" / "chat.jinja").read_text() == "{{ text }}"


def test_rows_are_there_before_the_manifest(elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Remote, path: str, data: bytes) -> None:
        if path.endswith("manifest.json"):
            raise user_error("store-unreachable", "the network went away")
        write(self, path, data)

    write = Remote.write
    monkeypatch.setattr(Remote, "write", refused)
    with pytest.raises(UserError, match="went away"):
        made(machine(elsewhere, tmp_path / "a"))
    monkeypatch.undo()
    assert not machine(elsewhere, tmp_path / "a").artifact("corpus", "f" * 64).done
    assert not machine(elsewhere, tmp_path / "b").artifact("corpus", "f" * 64).done
    assert Remote(elsewhere).files(f"corpus-{'f' * 16}") == ["data/part-00000.parquet"]


def test_what_was_made_anew_elsewhere_replaces_what_is_here(elsewhere: str, tmp_path: Path) -> None:
    made(machine(elsewhere, tmp_path / "a"), "old")
    old = machine(elsewhere, tmp_path / "b").artifact("corpus", "f" * 64)
    assert (old.data / "part-00000.parquet").read_text() == "old"
    made(machine(elsewhere, tmp_path / "a"), "new", replace(MANIFEST, seconds=9.0))
    new = machine(elsewhere, tmp_path / "b").artifact("corpus", "f" * 64)
    assert (new.data / "part-00000.parquet").read_text() == "new"


def test_forgetting_undoes_a_stage_everywhere(elsewhere: str, tmp_path: Path) -> None:
    store = machine(elsewhere, tmp_path / "a")
    artifact = made(store)
    with store.locked():
        artifact.forget()
    assert not artifact.done
    assert not machine(elsewhere, tmp_path / "b").artifact("corpus", "f" * 64).done


def test_nothing_is_written_there_without_the_lease(elsewhere: str, tmp_path: Path) -> None:
    store = machine(elsewhere, tmp_path / "a")
    artifact = store.artifact("corpus", "f" * 64)
    store.start(artifact)
    with pytest.raises(AssertionError, match="without its lease"):
        artifact.write_manifest(MANIFEST)


def test_two_machines_do_not_run_at_once(elsewhere: str, tmp_path: Path) -> None:
    one, other = machine(elsewhere, tmp_path / "a"), machine(elsewhere, tmp_path / "b")
    with one.locked(), pytest.raises(UserError, match="another run is using"), other.locked():
        pass
    with other.locked():
        pass


def test_answers_of_one_machine_are_found_on_another(elsewhere: str, tmp_path: Path) -> None:
    one = machine(elsewhere, tmp_path / "a")
    with one.locked():
        answered(one, "1", "2")
        one.send_log(IDENTITY, now=True)
        answered(one, "3")
        one.send_log(IDENTITY, now=True)
        one.send_log(IDENTITY, now=True)
    assert len(Remote(elsewhere).files("completions")) == 3  # two segments and the model's identity
    assert answers(machine(elsewhere, tmp_path / "b")) == {"1": "yes", "2": "yes", "3": "yes"}


def test_answers_that_were_not_sent_before_a_kill_are_kept_and_sent_later(elsewhere: str, tmp_path: Path) -> None:
    one, other = machine(elsewhere, tmp_path / "a"), machine(elsewhere, tmp_path / "b")
    with one.locked():
        answered(one, "1")
        one.send_log(IDENTITY, now=True)
        answered(one, "2")  # and killed
    with other.locked():
        assert answers(other) == {"1": "yes"}
        answered(other, "3")
        other.send_log(IDENTITY, now=True)
    with one.locked():
        assert answers(one) == {"1": "yes", "2": "yes", "3": "yes"}
        one.send_log(IDENTITY, now=True)
    assert answers(machine(elsewhere, tmp_path / "c")) == {"1": "yes", "2": "yes", "3": "yes"}


def test_of_two_answers_to_one_request_all_machines_take_the_one_that_was_sent_first(
    elsewhere: str, tmp_path: Path
) -> None:
    one, other = machine(elsewhere, tmp_path / "a"), machine(elsewhere, tmp_path / "b")
    answered(one, "1", text="never sent")
    with other.locked():
        answered(other, "1", text="sent")
        other.send_log(IDENTITY, now=True)
    assert answers(one) == answers(other) == {"1": "sent"}


def test_a_line_that_is_being_written_is_not_sent(elsewhere: str, tmp_path: Path) -> None:
    one = machine(elsewhere, tmp_path / "a")
    with one.locked():
        answered(one, "1")
        with next(one.completions.glob("*.jsonl")).open("ab") as file:
            file.write(b'{"key":"2222')
        one.send_log(IDENTITY, now=True)
    assert answers(machine(elsewhere, tmp_path / "b")) == {"1": "yes"}


def test_finished_folders_are_sent_when_they_changed(elsewhere: str, tmp_path: Path) -> None:
    store, folder = machine(elsewhere, tmp_path / "a"), tmp_path / "a" / "releases" / "x"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("one")
    store.keep(folder)
    (folder / "README.md").rename(folder / "CARD.md")
    store.keep(folder)
    Remote(elsewhere).remove("releases")
    store.keep(folder)
    assert Remote(elsewhere).files("releases") == []  # unchanged: not even looked at
    other = machine(elsewhere, tmp_path / "b")
    (folder / "CARD.md").write_text("three")
    store.keep(folder)
    other.bring(tmp_path / "b" / "releases" / "x")
    assert (tmp_path / "b" / "releases" / "x" / "CARD.md").read_text() == "three"


def test_a_store_elsewhere_has_a_working_copy_of_its_own_on_each_machine(tmp_path: Path) -> None:
    one, other, local = (
        from_environment({"XIRECIPE_STORE": place, "XIRECIPE_CACHE": str(tmp_path)})
        for place in ("s3://bucket/one/", "s3://bucket/two", f"file://{tmp_path}/store")
    )
    assert (one.remote_store, other.remote_store) == ("s3://bucket/one/", "s3://bucket/two")
    assert one.store.parent == other.store.parent == tmp_path
    assert one.store != other.store
    assert (local.store, local.remote_store) == (tmp_path / "store", None)
