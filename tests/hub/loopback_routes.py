"""The HTTP side of the loopback Hub: which request does what, and where a fault strikes.

The requests are those of huggingface_hub 2.4 and datasets 5.2, read in their sources and checked by the tests.
"""

from __future__ import annotations

import json
import re
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from .loopback_repos import Entry, Pull, Refused, Repository, is_lfs

if TYPE_CHECKING:
    from .loopback import Account, Fault, LoopbackHub

_REPO = r"(?P<repo>[^/]+/[^/]+)"
#: (method, path, point, name of the method that answers). The first that fits.
ROUTES = [
    ("GET", r"/api/whoami-v2", "whoami", "whoami"),
    ("POST", r"/api/repos/create", "create", "create"),
    ("POST", r"/api/validate-yaml", "validate-yaml", "validate_yaml"),
    ("GET", rf"/api/datasets/{_REPO}/auth-check(?P<write>/write)?", "auth-check", "auth_check"),
    ("POST", rf"/api/datasets/{_REPO}/preupload/(?P<rev>[^/]+)", "preupload", "preupload"),
    ("POST", rf"/datasets/{_REPO}\.git/info/lfs/objects/batch", "lfs-batch", "lfs_batch"),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", "lfs-put", "lfs_put"),
    ("POST", rf"/api/datasets/{_REPO}/commit/(?P<rev>[^/]+)", "commit", "commit"),
    ("POST", rf"/api/datasets/{_REPO}/tag/(?P<rev>[^/]+)", "tag", "tag"),
    ("GET", rf"/api/datasets/{_REPO}/refs", "refs", "refs"),
    ("GET", rf"/api/datasets/{_REPO}/tree/(?P<rev>[^/]+)(?:/(?P<path>.+))?", "tree", "tree"),
    ("POST", rf"/api/datasets/{_REPO}/paths-info/(?P<rev>[^/]+)", "paths-info", "paths_info"),
    ("GET", rf"/api/datasets/{_REPO}/discussions", "discussions", "discussions"),
    ("POST", rf"/api/datasets/{_REPO}/discussions/(?P<num>\d+)/merge", "merge", "merge"),
    ("GET", rf"/api/datasets/{_REPO}/xet-write-token/(?P<rev>[^/]+)", "xet-write-token", "xet_write_token"),
    ("GET", rf"/api/datasets/{_REPO}(?:/revision/(?P<rev>[^/]+))?", "info", "info"),
    ("GET", rf"/api/models/{_REPO}(?:/revision/(?P<rev>[^/]+))?", "info", "info"),
    ("GET", rf"/datasets/{_REPO}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", "resolve", "resolve"),
]


class Handler(BaseHTTPRequestHandler):
    """Answers one connection. `hub` is set by the hub that serves."""

    hub: LoopbackHub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: what was asked is in `hub.calls`."""

    def do_GET(self) -> None:
        self.answer("GET")

    def do_HEAD(self) -> None:
        self.answer("GET")

    def do_POST(self) -> None:
        self.answer("POST")

    def do_PUT(self) -> None:
        self.answer("PUT")

    def answer(self, method: str) -> None:
        url = urlsplit(self.path)
        self.query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        routes = ((re.fullmatch(p, url.path), point, name) for wanted, p, point, name in ROUTES if wanted == method)
        found, point, name = next((route for route in routes if route[0]), (None, "", ""))
        if found is None:
            self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.refuse(Refused(404, f"the loopback Hub has no {method} {url.path}", "EntryNotFound"))
            return
        self.hub.calls.append((point, self.path))
        fault = self.hub.fault_for(point, unquote(self.path))
        length = int(self.headers.get("Content-Length", 0))
        if fault and fault.when == "middle" and length:
            self.rfile.read(length // 2)
            self.strike(fault)
            return
        self.body = self.rfile.read(length)
        if fault and fault.when == "before" and not self.strike(fault):
            return
        arguments = {key: unquote(value) for key, value in found.groupdict().items() if value is not None}
        try:
            with self.hub.lock:
                status, headers, content = getattr(self, name)(**arguments)
        except Refused as refused:
            self.refuse(refused)
            return
        if fault and fault.when == "after" and not self.strike(fault):
            return
        self.send(status, headers, content, cut=bool(fault and fault.when == "middle"))

    def strike(self, fault: Fault) -> bool:
        """Do what a fault says. True: the request goes on as if nothing had been."""
        time.sleep(fault.delay)
        if fault.call is not None:
            fault.call()
            return True
        if fault.status is None:
            if fault.delay:
                return True
            self.close_connection = True
            self.connection.close()
        else:
            # A client that gets an answer before it has sent everything closes the connection.
            self.close_connection = True
            self.send(fault.status, {"Retry-After": "0", "Connection": "close"}, {"error": fault.message})
        return False

    def refuse(self, refused: Refused) -> None:
        headers = {"X-Error-Message": refused.message}
        headers |= {"X-Error-Code": refused.code} if refused.code else {}
        self.send(refused.status, headers, {"error": refused.message})

    def send(self, status: int, headers: dict[str, str], content: Any, *, cut: bool = False) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()

    # Who asks

    def account(self) -> Account | None:
        """Who a request is from; None: nobody said. Raises Refused for a token that nobody has."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            return None
        if token not in self.hub.accounts:
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.hub.accounts[token]

    def writer(self, repo: str) -> Account:
        account = self.account()
        if account is None:
            raise Refused(401, "Invalid username or password.", "RepoNotFound")
        if not account.can_write(repo):
            raise Refused(403, f"Forbidden: you must use a write token to modify {repo}")
        return account

    def repo(self, repo: str) -> Repository:
        self.account()
        if repo not in self.hub.repos:
            raise Refused(404, "Repository not found", "RepoNotFound")
        return self.hub.repos[repo]

    def absolute(self, path: str) -> str:
        return f"{self.hub.url}{path}"

    def json_body(self) -> Any:
        return json.loads(self.body)

    # What is asked

    def whoami(self) -> Any:
        account = self.account()
        if account is None:
            raise Refused(401, "Invalid username or password.")
        entities = [
            {"entity": {"type": "user", "name": name}, "permissions": ["repo.content.read", "repo.write"]}
            for name in account.scoped
        ]
        token = {"displayName": "t", "role": account.role, "fineGrained": {"scoped": entities, "global": []}}
        orgs = [{"type": "org", "name": name, "roleInOrg": role} for name, role in account.organizations.items()]
        auth = {"type": "access_token", "accessToken": token}
        return 200, {}, {"type": "user", "name": account.name, "orgs": orgs, "auth": auth}

    def create(self) -> Any:
        wanted = self.json_body()
        account = self.account()
        id = f"{wanted['organization'] or (account.name if account else '')}/{wanted['name']}"
        url = {"url": self.absolute(f"/datasets/{id}"), "name": id}
        if id in self.hub.repos:
            return 409, {}, url | {"error": "You already created this dataset repo"}
        if account is None or not account.can_write(id):
            namespace = id.split("/")[0]
            raise Refused(403, f"You don't have the rights to create a dataset under the namespace {namespace!r}")
        self.hub.repository(id)
        return 200, {}, url

    def validate_yaml(self) -> Any:
        content = self.json_body()["content"]
        ok = re.match(r"---\n.*?\n---\n", content, re.S)
        return 200 if ok else 400, {}, {"errors": [] if ok else [{"message": "no metadata"}], "warnings": []}

    def auth_check(self, repo: str, write: str = "") -> Any:
        self.repo(repo)
        if write:
            self.writer(repo)
        return 200, {}, {}

    def preupload(self, repo: str, rev: str) -> Any:
        self.writer(repo)
        tree = self.repo(repo).resolve(rev).tree
        files = [
            {
                "path": file["path"], "shouldIgnore": False,
                "uploadMode": "lfs" if is_lfs(file["path"], file["size"], self.hub.lfs_patterns) else "regular",
                "oid": tree[file["path"]].etag if file["path"] in tree else None,
            }
            for file in self.json_body()["files"]
        ]  # fmt: skip
        return 200, {}, {"files": files}

    def lfs_batch(self, repo: str) -> Any:
        self.writer(repo)
        objects = []
        for wanted in self.json_body()["objects"]:
            upload = {"upload": {"href": self.absolute(f"/lfs/{wanted['oid']}"), "header": {}}}
            there = self.hub.objects.has(wanted["oid"])
            objects.append(wanted if there else wanted | {"actions": upload})
        return 200, {"Content-Type": "application/vnd.git-lfs+json"}, {"transfer": "basic", "objects": objects}

    def lfs_put(self, oid: str) -> Any:
        if self.headers.get("Authorization"):
            raise Refused(400, "a storage URL is signed; a token has no business there")
        if self.hub.objects.put(self.body) != oid:
            raise Refused(400, "the content is not what was announced")
        return 200, {}, {}

    def commit(self, repo: str, rev: str) -> Any:
        account = self.writer(repo)
        lines = [json.loads(line) for line in self.body.splitlines() if line.strip()]
        done = self.repo(repo).commit(rev, lines, account.name, self.query.get("create_pr") == "1")
        return 200, {}, {key: self.absolute(v) if key.endswith("Url") else v for key, v in done.items()}

    def tag(self, repo: str, rev: str) -> Any:
        self.writer(repo)
        wanted = self.json_body()
        self.repo(repo).tag(wanted["tag"], rev, wanted.get("message"))
        return 200, {}, {}

    def refs(self, repo: str) -> Any:
        found = self.repo(repo)

        def ref(name: str, prefix: str, commit: str) -> dict[str, str]:
            return {"name": name, "ref": f"{prefix}{name}", "targetCommit": commit}

        answer = {
            "branches": [ref(name, "refs/heads/", oid) for name, oid in found.branches.items()],
            "converts": [],
            "tags": [ref(name, "refs/tags/", oid) for name, (oid, _) in found.tags.items()],
        }
        if self.query.get("include_prs"):
            answer["pullRequests"] = [ref(str(p.num), "refs/pr/", p.head) for p in found.pulls.values()]
        return 200, {}, answer

    def tree(self, repo: str, rev: str, path: str = "") -> Any:
        files = self.repo(repo).resolve(rev).tree
        prefix = f"{path.rstrip('/')}/" if path else ""
        inside = {name: entry for name, entry in sorted(files.items()) if name.startswith(prefix)}
        if prefix and not inside:
            raise Refused(404, f"{path} does not exist on {rev}", "EntryNotFound")
        if self.query.get("recursive") not in ("true", "True"):
            inside = {name: entry for name, entry in inside.items() if "/" not in name[len(prefix) :]}
        folders = {
            name[: end.start()]
            for name in (inside if self.query.get("recursive") in ("true", "True") else files)
            if name.startswith(prefix)
            for end in re.finditer("/", name)
            if end.start() > len(prefix) and ("/" not in name[len(prefix) : end.start()] or inside.get(name))
        }
        items = [{"type": "directory", "path": name, "oid": "0" * 40, "size": 0} for name in sorted(folders)]
        items += [_listed(name, entry) for name, entry in inside.items()]
        start = int(self.query.get("cursor", "0"))
        page, headers = items[start : start + self.hub.page_size], {}
        if start + self.hub.page_size < len(items):
            cursor = f"cursor={start + self.hub.page_size}"
            kept = "&".join(f"{key}={quote(value)}" for key, value in self.query.items() if key != "cursor")
            next_url = self.absolute(f"{urlsplit(self.path).path}?{kept}&{cursor}")
            headers = {"Link": f'<{next_url}>; rel="next"'}
        return 200, headers, page

    def paths_info(self, repo: str, rev: str) -> Any:
        files = self.repo(repo).resolve(rev).tree
        wanted = parse_qs(self.body.decode()).get("paths", [])
        return 200, {}, [_listed(name, files[name]) for name in wanted if name in files]

    def discussions(self, repo: str) -> Any:
        status = self.query.get("status")
        pulls = [p for p in self.repo(repo).pulls.values() if status in (None, "all", p.status)]
        found = [_discussion(repo, pull) for pull in reversed(pulls)]
        return 200, {}, {"count": len(found), "start": 0, "discussions": found}

    def merge(self, repo: str, num: str) -> Any:
        self.writer(repo)
        self.repo(repo).merge(int(num))
        return 200, {}, {}

    def xet_write_token(self, repo: str, rev: str) -> Any:
        raise Refused(404, "this Hub has no Xet storage")

    def info(self, repo: str, rev: str = "main") -> Any:
        commit = self.repo(repo).resolve(rev)
        return 200, {}, {
            "_id": "0", "id": repo, "sha": commit.oid, "private": False, "gated": False, "disabled": False, "tags": [],
            "downloads": 0, "likes": 0, "lastModified": commit.date, "createdAt": commit.date, "author": "me",
            "siblings": [{"rfilename": name} for name in commit.tree],
        }  # fmt: skip

    def resolve(self, repo: str, rev: str, path: str) -> Any:
        commit = self.repo(repo).resolve(rev)
        if path not in commit.tree:
            raise Refused(404, "Entry not found", "EntryNotFound")
        entry = commit.tree[path]
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{entry.etag}"', "Content-Type": "application/octet-stream"}
        if entry.lfs:
            headers |= {"X-Linked-Etag": f'"{entry.etag}"', "X-Linked-Size": str(entry.size)}
        data = self.hub.objects.get(entry.sha256)
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if part is None:
            return 200, headers, data
        start, end = int(part[1]), int(part[2] or len(data) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
        return 206, headers, data[start : end + 1]


def _listed(path: str, entry: Entry) -> dict[str, Any]:
    listed: dict[str, Any] = {"type": "file", "path": path, "size": entry.size, "oid": entry.oid}
    return listed | ({"lfs": {"oid": entry.sha256, "size": entry.size, "pointerSize": 134}} if entry.lfs else {})


def _discussion(repo: str, pull: Pull) -> dict[str, Any]:
    return {
        "num": pull.num, "title": pull.title, "author": {"name": pull.author}, "status": pull.status,
        "createdAt": "2026-01-01T00:00:00.000Z", "isPullRequest": True, "repo": {"name": repo, "type": "dataset"},
    }  # fmt: skip
