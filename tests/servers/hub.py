"""A hub on loopback: as much of its HTTP interface as it takes to make a dataset's repository and commit to it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_the-token-of-a-test"


@dataclass
class Repository:
    """A dataset: its branches, each with its files and the number of its commits."""

    private: bool
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {".gitattributes": b""}})
    commits: list[dict[str, Any]] = field(default_factory=list)  # their headers, with the branch

    def sha(self, branch: str) -> str:
        return sha256(f"{branch} {len(self.commits)}".encode()).hexdigest()[:40]


class Hub:
    """What the server holds. `refuse`: (status, message) by the beginning of "METHOD /path"."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.refuse: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []
        self.url = ""

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """(status, JSON) of a request with a good token."""
        if path == "/api/whoami-v2":
            return 200, {"type": "user", "name": "me", "orgs": []}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            wanted = json.loads(body)
            name = f"{wanted['organization']}/{wanted['name']}"
            if name in self.repositories:
                return 409, {"error": "You already created this dataset repo"}
            self.repositories[name] = Repository(wanted["visibility"] == "private")
            return 200, {"url": f"{self.url}/datasets/{name}"}
        if lfs := re.fullmatch(r"/lfs/(\w+)", path):
            if sha256(body).hexdigest() != lfs[1]:
                return 400, {"error": "not the bytes that were announced"}
            self.objects[lfs[1]] = body
            return 200, {}
        if lfs := re.fullmatch(r"/datasets/([\w-]+/[\w-]+)\.git/info/lfs/objects/batch", path):
            return 200, {"transfer": "basic", "objects": [self._upload(o) for o in json.loads(body)["objects"]]}
        found = re.fullmatch(r"/api/datasets/([\w-]+/[\w-]+)(?:/(\w+)/([\w-]+))?", path)
        if not found or found[1] not in self.repositories:
            return 404, {"error": "Repository not found"}
        return self._of(self.repositories[found[1]], found[1], method, found[2], found[3] or "main", body)

    def _upload(self, wanted: dict[str, Any]) -> dict[str, Any]:
        there = wanted["oid"] in self.objects
        return wanted | ({} if there else {"actions": {"upload": {"href": f"{self.url}/lfs/{wanted['oid']}"}}})

    def _of(
        self, repository: Repository, name: str, method: str, what: str | None, branch: str, body: bytes
    ) -> tuple[int, Any]:
        if what == "branch":
            repository.branches[branch] = dict(repository.branches["main"])
            return 200, {}
        files = repository.branches.get(branch)
        if files is None:
            return 404, {"error": f"Invalid rev id: {branch}"}
        if what == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = {path: "lfs" if path.endswith(".parquet") else "regular" for path in paths}
            return 200, {"files": [{"path": p, "uploadMode": modes[p], "shouldIgnore": False} for p in paths]}
        if what == "commit":
            return self._commit(repository, name, branch, files, [json.loads(line) for line in body.splitlines()])
        siblings = [{"rfilename": path} for path in files]
        return 200, {"id": name, "private": repository.private, "sha": repository.sha(branch), "siblings": siblings}

    def _commit(
        self, repository: Repository, name: str, branch: str, files: dict[str, bytes], lines: list[dict[str, Any]]
    ) -> tuple[int, Any]:
        header = lines[0]["value"]
        if header.get("parentCommit") != repository.sha(branch):
            return 412, {"error": "A commit has happened since"}
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            else:
                del files[value["path"]]
        repository.commits.append({**header, "branch": branch})
        sha = repository.sha(branch)
        return 200, {"commitUrl": f"{self.url}/datasets/{name}/commit/{sha}", "commitOid": sha, "success": True}


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body, path = self._body(), self.path.split("?")[0]
            asked = f"{self.command} {path}"
            hub.asked.append(asked)
            refused = next((reply for start, reply in hub.refuse.items() if asked.startswith(start)), None)
            known = path.startswith("/lfs/") or self.headers.get("authorization") == f"Bearer {TOKEN}"
            if refused:
                status, found = refused[0], {"error": refused[1], "errors": [{"message": refused[1]}]}
            elif not known:
                status, found = 401, {"error": "Invalid credentials in Authorization header"}
            else:
                status, found = hub.reply(self.command, path, body)
            text = json.dumps(found).encode()
            self.send_response(status)
            if status == 404 and "Repository" in found["error"]:
                self.send_header("X-Error-Code", "RepoNotFound")
            if status >= 400:
                self.send_header("X-Error-Message", found["error"])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        do_GET = do_POST = do_PUT = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what was asked is in `asked`."""

    return Handler


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub that answers until the end of the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
