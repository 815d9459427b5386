"""Fixtures that tests of several rooms share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.models.fake_server import FakeServer

# No test is timed: one that makes its inputs slowly on a busy machine is not wrong.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    """An OpenAI-compatible server on loopback that counts calls and fails as told."""
    with FakeServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """An S3 on loopback with an empty bucket; its address for XIRECIPE_STORE. The environment says how to reach it."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "loopback",
            "AWS_SECRET_ACCESS_KEY": "loopback", "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            environment.setenv(name, value)
        import fsspec

        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty folder that is not on this disk."""
    name = f"{tmp_path.name}-{uuid.uuid4().hex[:8]}"
    return f"memory://{name}" if request.param == "memory" else f"{request.getfixturevalue('s3')}/{name}"
