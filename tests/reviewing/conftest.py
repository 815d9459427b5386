"""A repository that each test may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reviewing.repositories import Repository, repository


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    root = tmp_path / "repo"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("XIRECIPE_STORE", str(tmp_path / "store"))
    return repository(root)
