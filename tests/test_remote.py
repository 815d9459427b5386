"""A folder on another file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from xirecipe.diagnostics import UserError, render_text
from xirecipe.remote import Remote


def test_a_file_is_read_as_it_was_written_and_one_that_is_not_there_is_none(elsewhere: str) -> None:
    remote = Remote(elsewhere)
    assert remote.read("a/b") is None
    remote.write("a/b", b"old")
    remote.write("a/b", b"new")
    assert remote.read("a/b") == b"new"


def test_a_file_is_created_by_one_writer_only(elsewhere: str) -> None:
    assert Remote(elsewhere).create("lease", b"mine")
    assert not Remote(elsewhere).create("lease", b"theirs")
    assert Remote(elsewhere).read("lease") == b"mine"


def test_folders_are_listed_by_name_and_files_at_any_depth(elsewhere: str) -> None:
    remote = Remote(elsewhere)
    assert remote.names() == []
    assert remote.files("nothing") == []
    for path in ("b/two", "b/deep/one", "a", "bc/other"):
        remote.write(path, b"x")
    assert remote.names() == ["a", "b", "bc"]
    assert remote.names("b") == ["deep", "two"]
    assert remote.files("b") == ["deep/one", "two"]


def test_what_is_removed_is_gone_and_removing_nothing_is_no_error(elsewhere: str) -> None:
    remote = Remote(elsewhere)
    remote.write("a/b", b"x")
    remote.write("a/c", b"x")
    remote.remove("a")
    remote.remove("a")
    assert remote.files("a") == []


def test_another_writer_s_files_are_seen(elsewhere: str) -> None:
    one, other = Remote(elsewhere), Remote(elsewhere)
    assert one.names("x") == []
    other.write("x/new", b"1")
    assert one.names("x") == ["new"]


def test_files_travel_there_and_back(elsewhere: str, tmp_path: Path) -> None:
    remote = Remote(elsewhere)
    files = [tmp_path / name for name in ("one", "two")]
    for file in files:
        file.write_text(file.name * 1000)
    remote.upload(files, ["x/one", "x/y/two"])
    back = [tmp_path / "back-one", tmp_path / "back-two"]
    remote.download(["x/one", "x/y/two"], back)
    assert [path.read_text() for path in back] == ["one" * 1000, "two" * 1000]


def test_a_protocol_that_nothing_speaks_is_the_users() -> None:
    with pytest.raises(UserError) as error:
        Remote("no-such-thing://x").names()
    assert render_text(error.value.diagnostics) == (
        "error[bad-setting]: XIRECIPE_STORE is `no-such-thing://x`: Protocol not known: no-such-thing\n"
        "  = hint: a folder, or an address that fsspec knows, such as s3://bucket/prefix\n\n1 error\n"
    )


def test_a_bucket_that_is_not_there_is_the_users(s3: str) -> None:
    with pytest.raises(UserError) as error:
        Remote("s3://no-such-bucket/x").write("a", b"x")
    assert render_text(error.value.diagnostics) == (
        "error[store-unreachable]: s3://no-such-bucket/x: The specified bucket does not exist\n"
        "  = hint: does the bucket exist?\n\n1 error\n"
    )


def test_a_server_that_does_not_answer_is_the_users(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    import fsspec

    remote = Remote("s3://bucket/x")
    remote.__dict__["_opened"] = (fsspec.filesystem("s3", skip_instance_cache=True), "bucket/x")
    with pytest.raises(UserError) as error:
        remote.names()
    assert "error[store-unreachable]: s3://bucket/x: EndpointConnectionError: " in render_text(error.value.diagnostics)
