"""Artifacts, the manifest that is written last, the lock, and disks that fail."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.builders import in_python
from xirecipe.artifact import Artifact, Manifest
from xirecipe.diagnostics import UserError, render_text
from xirecipe.disk import explained, write_whole
from xirecipe.store import Store

MANIFEST = Manifest("dedup", "f" * 64, {"stage": "dedup"}, rows_in=5, asked=5, kept=3, dropped={"dedup.exact": 2})


def said(error: pytest.ExceptionInfo[UserError]) -> str:
    return render_text(error.value.diagnostics)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    store = Store(tmp_path / "store")
    found = store.artifact("dedup", "f" * 64)
    store.start(found)
    return found


def test_a_stage_is_done_when_its_manifest_exists(artifact: Artifact) -> None:
    assert not artifact.done
    artifact.write_manifest(MANIFEST)
    assert artifact.done
    assert artifact.manifest() == MANIFEST


@pytest.mark.parametrize(
    "wrong",
    [
        replace(MANIFEST, kept=4),
        replace(MANIFEST, dropped={}),
        replace(MANIFEST, failed={"timeout": 1}),
        replace(MANIFEST, asked=6),
    ],
)
def test_rows_that_do_not_add_up_are_never_written_down(artifact: Artifact, wrong: Manifest) -> None:
    with pytest.raises(AssertionError, match="rows do not add up"):
        artifact.write_manifest(wrong)
    assert not artifact.done


def test_failed_rows_are_part_of_the_sum(artifact: Artifact) -> None:
    artifact.write_manifest(replace(MANIFEST, kept=2, failed={"timeout": 1}))
    assert artifact.done


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b'{"stage": "dedup"}', b'{"other": 1}', b"\xff"])
def test_a_manifest_that_cannot_be_read_says_what_to_remove(artifact: Artifact, content: bytes) -> None:
    artifact.manifest_path.write_bytes(content)
    with pytest.raises(UserError) as error:
        artifact.manifest()
    assert f"error[broken-manifest]: {artifact.manifest_path} cannot be read" in said(error)
    assert f"remove {artifact.folder} and run again; answers in the completion log are kept" in said(error)


def test_starting_a_stage_clears_what_an_interrupted_run_left(artifact: Artifact, tmp_path: Path) -> None:
    (artifact.data / "part-00000.parquet").write_text("half")
    Store(tmp_path / "store").start(artifact)
    assert [p.name for p in sorted(artifact.folder.rglob("*"))] == ["data", "dropped", "failed"]


def test_finished_artifacts_come_newest_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for age, letter in enumerate("abc"):
        found = store.artifact("dedup", letter * 64)
        store.start(found)
        found.write_manifest(replace(MANIFEST, fingerprint=letter * 64))
        os.utime(found.manifest_path, (1000 - age, 1000 - age))
    store.start(store.artifact("dedup", "d" * 64))
    assert [a.manifest().fingerprint[0] for a in store.artifacts("dedup")] == ["a", "b", "c"]


def test_a_store_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "layout").write_text("99\n")
    with pytest.raises(UserError) as error, Store(tmp_path).locked():
        pytest.fail("the store was opened")
    assert said(error) == (
        f"error[other-store]: {tmp_path} has store layout 99; this xirecipe writes layout 1\n"
        "  = hint: set XIRECIPE_STORE to another folder, or run the version that made it\n\n1 error\n"
    )


def test_one_run_at_a_time_uses_a_store(tmp_path: Path) -> None:
    with Store(tmp_path).locked(), pytest.raises(UserError) as error, Store(tmp_path).locked():
        pytest.fail("two runs at once")
    assert said(error) == (
        f"error[store-in-use]: another run is using {tmp_path}\n"
        "  = hint: wait for it, or set XIRECIPE_STORE\n\n1 error\n"
    )
    with Store(tmp_path).locked():
        assert (tmp_path / "layout").read_text() == "1\n"


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from xirecipe.store import Store\n"
        "with Store(Path(sys.argv[1])).locked():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert in_python("-c", code, str(tmp_path), cwd=tmp_path).code == -9
    with Store(tmp_path).locked():
        assert (tmp_path / "lock").exists()


def test_a_file_in_the_place_of_the_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(UserError) as error, Store(tmp_path / "store").locked():
        pytest.fail("a file was opened as a store")
    assert f"error[not-a-folder]: {tmp_path / 'store'}: a file stands where a folder is wanted" in said(error)


@pytest.mark.parametrize(
    ("number", "code", "what"),
    [
        (errno.ENOSPC, "disk-full", "no space left on the disk"),
        (errno.EDQUOT, "disk-full", "the disk quota is used up"),
        (errno.EACCES, "no-permission", "no permission to write"),
        (errno.EROFS, "no-permission", "the file system is read-only"),
    ],
)
def test_a_disk_error_is_the_users(tmp_path: Path, number: int, code: str, what: str) -> None:
    with pytest.raises(UserError) as error, explained(tmp_path):
        raise OSError(number, "from a writer")
    assert said(error) == (
        f"error[{code}]: {tmp_path}: {what}\n"
        "  = hint: what is finished is kept; `xirecipe run` goes on from there\n\n1 error\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_under_a_parquet_writer_is_the_users(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error, explained(tmp_path):
        pq.write_table(pa.table({"a": ["x" * 100] * 10_000}), "/dev/full")
    assert "error[disk-full]" in said(error)


def test_other_errors_of_the_system_are_not_explained_away(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="bad descriptor"), explained(tmp_path):
        raise OSError(errno.EBADF, "bad descriptor")


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_whole(path, "old")
    write_whole(path, "néw")
    assert path.read_text(encoding="utf-8") == "néw"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_manifest_is_sorted_json_in_real_characters() -> None:
    text = replace(MANIFEST, facts={"b": "ไทย", "a": 1}).to_json()
    assert '"b": "ไทย"' in text
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert Manifest.from_json(text).facts == {"b": "ไทย", "a": 1}
