"""Fixtures that tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models.fake_server import FakeServer


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    """An OpenAI-compatible server on loopback that counts calls and fails as told."""
    with FakeServer() as server:
        yield server
