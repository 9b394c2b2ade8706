"""A hub on a port of this machine: real HTTP, as Hugging Face documents it, and faults where a test wants them.

Large files are answered with a redirect to another host name, as a hub does with its storage.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_SUFFIXES = (".safetensors", ".bin", ".pth", ".gguf")
_INFO = re.compile(r"/api/models/([^/?]+/[^/?]+)(?:/revision/([^?]+))?(?:\?.*)?")
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_TREE = re.compile(r"/api/models/([^/]+/[^/]+)/tree/[^?]+(?:\?.*)?")
_STORAGE = re.compile(r"/storage/([^/]+/[^/]+)/(.+)")
_STORAGE_HOST = "localhost"


@dataclass
class FakeModel:
    """`revisions` are names for its one commit."""

    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=dict)
    commit: str = COMMIT
    revisions: tuple[str, ...] = ("main",)
    is_gated: bool = False
    is_granted: bool = True
    pipeline_tag: str | None = None


@dataclass
class Fault:
    """What goes wrong with the next `times` answers about files whose path ends with `path`."""

    path: str = ""
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    stall_after: int | None = None
    content: bytes | None = None
    ignores_range: bool = False


@dataclass
class Asked:
    path: str
    host: str
    range: str | None
    token: str | None


class FakeHub:
    """`token` is what gated models want. `stalled` is set while an answer stands still, until `go_on` is set."""

    def __init__(self) -> None:
        self.models: dict[str, FakeModel] = {}
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self.token = "hf_good"
        self.stalled = threading.Event()
        self.go_on = threading.Event()
        self.endpoint = ""
        self._lock = threading.Lock()

    def ranges(self, path: str) -> list[str | None]:
        """The Range of each request that reached the storage (or the hub, for small files) for a path."""
        return [asked.range for asked in self.asked if asked.path.endswith(path) and self._is_last(asked)]

    def take_fault(self, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times and path.endswith(fault.path):
                    fault.times -= 1
                    return fault
        return None

    def _is_last(self, asked: Asked) -> bool:
        return asked.path.startswith("/storage/") or not asked.path.endswith(LARGE_SUFFIXES)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def do_GET(self) -> None:
        host = self.headers["Host"].partition(":")[0]
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ") or None
        self.hub.asked.append(Asked(self.path, host, self.headers["Range"], token))
        if found := _STORAGE.fullmatch(self.path):
            self._send_content(found[1], unquote(found[2]), {})
        elif found := _INFO.fullmatch(self.path):
            self._send_info(found[1], unquote(found[2] or "main"))
        elif found := _TREE.fullmatch(self.path):
            self._send_tree(found[1])
        elif found := _RESOLVE.fullmatch(self.path):
            self._resolve(found[1], unquote(found[3]))
        else:
            self._refuse(404, "EntryNotFound")

    do_HEAD = do_GET

    def _send_info(self, name: str, revision: str) -> None:
        model = self._allowed(name)
        if model is None:
            return
        if fault := self.hub.take_fault("/info"):
            self._refuse(fault.status or 500, "", fault.headers)
        elif revision not in (*model.revisions, model.commit):
            self._refuse(404, "RevisionNotFound")
        else:
            self._send(200, json.dumps(_info(name, model)).encode(), {"Content-Type": "application/json"})

    def _send_tree(self, name: str) -> None:
        """What a library asks for beside, in pages; here there is one."""
        if (model := self._allowed(name)) is not None:
            self._send(200, json.dumps(_tree(model)).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, path: str) -> None:
        model = self._allowed(name)
        if model is None:
            return
        if path not in model.files:
            self._refuse(404, "EntryNotFound")
            return
        content = model.files[path]
        headers = {"X-Repo-Commit": model.commit}
        if path.endswith(LARGE_SUFFIXES):
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{_sha256(content)}"'}
            headers["Location"] = (
                f"http://{_STORAGE_HOST}:{self.server.server_address[1]}/storage/{name}/{path}"
            )
            self._send(302, b"", headers)
        else:
            self._send_content(name, path, headers | {"ETag": f'"{blob_id(content)}"'})

    def _allowed(self, name: str) -> FakeModel | None:
        """Refused as a hub does: a model that may not be seen looks like one that does not exist."""
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        model = self.hub.models.get(name)
        if token and token != self.hub.token:
            self._refuse(401, "")
        elif model is None:
            self._refuse(404 if token else 401, "RepoNotFound")
        elif model.is_gated and not (token and model.is_granted):
            self._refuse(403 if token else 401, "GatedRepo")
        else:
            return model
        return None

    def _send_content(self, name: str, path: str, headers: dict[str, str]) -> None:
        content = self.hub.models[name].files[path]
        fault = self.hub.take_fault(path) if self.command == "GET" else None
        if fault is not None and fault.status is not None:
            self._refuse(fault.status, "", fault.headers)
            return
        if fault is not None and fault.content is not None:
            content = fault.content
        start = 0
        if (asked := self.headers["Range"]) and not (fault and fault.ignores_range):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            headers = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self._send(206 if start else 200, content[start:], headers | {"Accept-Ranges": "bytes"}, fault)

    def _send(self, status: int, body: bytes, headers: dict[str, str], fault: Fault | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is not None and fault.cut_after is not None:
            self.wfile.write(body[: fault.cut_after])
            self.close_connection = True
        elif fault is not None and fault.stall_after is not None:
            self.wfile.write(body[: fault.stall_after])
            self.hub.stalled.set()
            self.hub.go_on.wait(30)
            self.close_connection = True
        else:
            self.wfile.write(body)

    def _refuse(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        self._send(
            status, b"{}", {"X-Error-Code": code, "X-Error-Message": "hub's own words"} | (headers or {})
        )

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


def _info(name: str, model: FakeModel) -> dict[str, Any]:
    siblings = []
    for path, content in model.files.items():
        sibling: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": blob_id(content)}
        if path.endswith(LARGE_SUFFIXES):
            sibling["lfs"] = {"sha256": _sha256(content), "size": len(content), "pointerSize": 134}
        siblings.append(sibling)
    told = {"id": name, "modelId": name, "sha": model.commit, "siblings": siblings, "cardData": model.card}
    return told | {
        "private": False,
        "gated": "auto" if model.is_gated else False,
        "pipeline_tag": model.pipeline_tag,
    }


def _tree(model: FakeModel) -> list[dict[str, Any]]:
    entries = []
    for path, content in model.files.items():
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob_id(content)}
        if path.endswith(LARGE_SUFFIXES):
            entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": 134}
        entries.append(entry)
    return entries


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            hub.go_on.set()
            server.shutdown()
            thread.join()
