"""A Hub on loopback for the real clients in this process, and the small finished run as a version ready for release."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http

from tests.builders import Folder, recipe_folder
from xirecipe.compile import compile_recipe
from xirecipe.diagnostics import Diagnostic, UserError
from xirecipe.hub import remote
from xirecipe.hub.candidate import Released
from xirecipe.hub.release import release_to_hub
from xirecipe.plan import Plan

from .conftest import Run
from .loopback import WRITE_TOKEN, LoopbackHub

REPOSITORY = "me/tiny"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """The clients' endpoint for this test, with a token that may write, and no way to any other machine."""
    _only_loopback(monkeypatch)
    monkeypatch.setattr(remote, "WAIT_SECONDS", 0.001)
    # The client waits a second and more before each of its own tries.
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    with LoopbackHub(folder=tmp_path / "hub") as hub:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + template)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        yield hub


def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_here(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1", f"a connection to {address}"
        connect(self, address)

    def look_up_here(host: Any, *rest: Any, **more: Any) -> Any:
        assert host == "127.0.0.1", f"a look-up of {host}"
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)


@pytest.fixture
def version(run: Run) -> Run:
    """The small run as version 1.0.0 of me/tiny, with nothing that would be refused."""
    run.recipe["version"] = "1.0.0"
    run.recipe["release"]["repository"] = REPOSITORY
    run.recipe["corpus"]["sources"]["news"]["revision"] = "a" * 40
    return run


class RecipeRun(Run):
    """The small run as that of a recipe on disk, for what reads the recipe again."""

    @property
    def folder(self) -> Folder:
        return Folder(self.root)

    def plan(self) -> Plan:
        return compile_recipe(self.root / "tiny.yaml")

    def change(self, **changes: Any) -> None:
        """Write the recipe with other values at dotted keys, whose dots are written as two underscores."""
        ready = {"version": "1.0.0", "release.repository": REPOSITORY}
        self.folder.recipe(ready | {key.replace("__", "."): value for key, value in changes.items()})


@pytest.fixture
def recipe_run(tmp_path: Path) -> RecipeRun:
    recipe_folder(tmp_path / "recipes")
    run = RecipeRun(tmp_path / "recipes")
    run.change()
    return run


def release(run: Run, **how: Any) -> Released:
    return release_to_hub(*run.build(), **how)


def refusals(run: Run, **how: Any) -> list[Diagnostic]:
    """Why a release was refused."""
    with pytest.raises(UserError) as error:
        release(run, **how)
    return list(error.value.diagnostics)


def refused(run: Run, **how: Any) -> str:
    """The code of the one reason why a release was refused."""
    (problem,) = refusals(run, **how)
    return problem.code


def rewritten(run: Run, *documents: str) -> None:
    """Let these documents have other instructions."""
    run.change_row = lambda row: (
        {**row, "instruction": f"Tell about {row['document_id']}."} if row["document_id"] in documents else row
    )
