"""A Hub on 127.0.0.1 that the real `huggingface_hub` and `datasets` clients talk to, and that fails where it is told.

In tests it is `LoopbackHub()`; by hand, for the README's section on releases:

    python -m tests.hub.loopback --port 8765
    export HF_ENDPOINT=http://127.0.0.1:8765 HF_TOKEN=hf_loopback_write HF_HUB_DISABLE_XET=1
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from .loopback_repos import Objects, Repository
from .loopback_routes import Handler

WRITE_TOKEN, READ_TOKEN = "hf_loopback_write", "hf_loopback_read"
Point = Literal[
    "whoami", "auth-check", "create", "validate-yaml", "preupload", "lfs-batch", "lfs-put", "commit", "tag", "refs",
    "tree", "info", "paths-info", "resolve", "discussions", "merge", "xet-write-token",
]  # fmt: skip


@dataclass
class Fault:
    """What goes wrong with some requests.

    `before`: nothing was done. `middle`: half of what was to be sent went through, and nothing was done. `after`: it
    was done, and the client is not told. `status` None drops the connection; `delay` alone only waits.
    """

    at: Point
    when: Literal["before", "middle", "after"] = "before"
    status: int | None = None
    delay: float = 0.0
    message: str = "made up for a test"
    times: int = 1
    call: Callable[[], object] | None = None
    """Run in place of a failure: what somebody else does at this very moment."""
    path: str = ""
    """Only requests whose path contains this."""
    skip: int = 0
    """So many requests pass first."""


@dataclass(frozen=True)
class Account:
    """Who a token belongs to. `role` is the token's: read, write or fineGrained."""

    name: str
    role: str = "write"
    organizations: dict[str, str] = field(default_factory=dict)
    """Role in each, as the Hub says it: read, contributor, write, admin."""
    scoped: tuple[str, ...] = ()
    """Of a fine-grained token: the namespaces it may write to."""

    def can_write(self, repo: str) -> bool:
        namespace = repo.split("/")[0]
        if self.role == "fineGrained":
            return namespace in self.scoped
        mine = namespace == self.name or self.organizations.get(namespace) in ("contributor", "write", "admin")
        return self.role == "write" and mine


@dataclass
class LoopbackHub:
    """Counts and keeps every request. Attributes may be changed between requests."""

    folder: Path | None = None
    """Where objects lie; a temporary folder when not given."""
    port: int = 0
    lfs_patterns: tuple[str, ...] = ("*.parquet",)
    """What the server wants as large files; nothing: every file travels inside the commit, also with Xet on."""
    page_size: int = 1000
    """Entries of a tree listing that come at once."""
    accounts: dict[str, Account] = field(
        default_factory=lambda: {
            WRITE_TOKEN: Account("me", organizations={"guild": "write", "library": "read"}),
            READ_TOKEN: Account("me", "read"),
        }
    )
    repos: dict[str, Repository] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    """(point, path with query) of every request, in order of arrival."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    _connections: set[socket.socket] = field(default_factory=set)
    _server: ThreadingHTTPServer | None = None
    _temporary: tempfile.TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def objects(self) -> Objects:
        assert self.folder is not None
        return Objects(self.folder / "objects")

    def repository(self, id: str) -> Repository:
        """The repository of this name, made when it is not there."""
        with self.lock:
            return self.repos.setdefault(id, Repository(id, self.objects))

    def fail(self, at: Point, when: Literal["before", "middle", "after"] = "before", **how: Any) -> Fault:
        """The next request at a point fails so; see Fault."""
        fault = Fault(at, when, **how)
        self.faults.append(fault)
        return fault

    def fault_for(self, at: str, path: str) -> Fault | None:
        """The fault that a request meets, used up by it."""
        with self.lock:
            for fault in self.faults:
                if fault.at != at or fault.path not in path or fault.times <= 0:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def count(self, at: Point) -> int:
        return sum(point == at for point, _ in self.calls)

    def start(self) -> None:
        if self.folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="loopback-hub-")
            self.folder = Path(self._temporary.name)
        hub = self

        class Bound(Handler):
            pass

        Bound.hub = hub

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def process_request(self, request: Any, client_address: Any) -> None:
                hub._connections.add(request)
                super().process_request(request, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up is what many tests are about."""

        self._server = Server(("127.0.0.1", self.port), Bound)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop serving. Kept-alive connections are closed too: their threads would go on answering."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hub.loopback", description="A Hub on this machine, to try out."
    )
    parser.add_argument("--port", type=int, default=8765)
    port = parser.parse_args().port
    with LoopbackHub(port=port) as hub:
        print(f"a Hub for user `me` at {hub.url}; it forgets everything when it stops (Ctrl-C)", flush=True)
        print(f"export HF_ENDPOINT={hub.url} HF_TOKEN={WRITE_TOKEN} HF_HUB_DISABLE_XET=1", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
