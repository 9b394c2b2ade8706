"""Durable files against a running server: any HTTP client, the official OpenAI client, large files, kills."""

import hashlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.conftest import RunningServer, StartServer
from tests.e2e.test_machinery import wait_for

BACKENDS = {"echo": "{}"}
CONTENT = b'{"custom_id": "1"}\n' * 1000
MIB = 1024 * 1024
LARGE_BYTES = 200 * MIB


@pytest.fixture
def running(start_fake: StartServer) -> RunningServer:
    return start_fake(BACKENDS, min_free_bytes="0")


def sdk(server: RunningServer, key: str | None = None) -> OpenAI:
    http_client = openai.DefaultHttpxClient(trust_env=False)
    url = f"{server.url}/oai/v1"
    return OpenAI(base_url=url, api_key=key or server.key, max_retries=0, http_client=http_client)


def test_file_outlives_the_server(running: RunningServer, start_fake: StartServer) -> None:
    with running.client() as client:
        made = (
            client.post("/v1/files", files={"file": ("in.jsonl", CONTENT)}).raise_for_status().json()["data"]
        )
    running.process.kill()
    running.process.wait()

    again = start_fake(BACKENDS)
    again.key = running.key
    with again.client() as client:
        content = client.get(f"/v1/files/{made['id']}/content").raise_for_status()
        part = client.get(f"/v1/files/{made['id']}/content", headers={"Range": "bytes=-5"})
        items = client.get("/v1/files").json()["data"]["items"]

    assert content.content == CONTENT
    assert content.headers["x-content-type-options"] == "nosniff"
    assert (part.status_code, part.content) == (206, CONTENT[-5:])
    assert items == [made]


def test_openais_client_keeps_files_here_unchanged(running: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(CONTENT)
    with sdk(running) as client, path.open("rb") as stream:
        made = [
            client.files.create(
                file=path, purpose="batch", expires_after={"anchor": "created_at", "seconds": 7200}
            ),
            client.files.create(file=("a.wav", b"sound"), purpose="user_data"),
            client.files.create(file=stream, purpose="batch"),
        ]

        found = client.files.retrieve(made[0].id)
        listed = [file.id for file in client.files.list(limit=1, order="asc")]
        sounds = list(client.files.list(purpose="user_data"))
        content = client.files.content(made[0].id).read()
        deleted = client.files.delete(made[0].id)
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(made[0].id)

    assert (found, found.status, found.bytes, found.filename) == (
        made[0],
        "processed",
        len(CONTENT),
        "in.jsonl",
    )
    assert (found.expires_at or 0) - found.created_at == 7200
    assert (listed, sounds) == ([file.id for file in made], [made[1]])
    assert content == CONTENT
    assert (deleted.id, deleted.object, deleted.deleted) == (made[0].id, "file", True)


def test_openais_client_gets_its_own_errors(running: RunningServer) -> None:
    other = running.make_key(["models:use"])
    with sdk(running) as client, sdk(running, other) as stranger:
        made = client.files.create(file=b"x", purpose="batch")

        with pytest.raises(openai.NotFoundError):
            stranger.files.content(made.id)
        with pytest.raises(openai.NotFoundError):
            stranger.files.delete(made.id)
        with pytest.raises(openai.BadRequestError) as caught:
            client.files.create(file=b"x", purpose="assistants")

        assert caught.value.param == "purpose"
        assert list(stranger.files.list()) == []


def test_nobody_uploads_without_room(start_fake: StartServer) -> None:
    server = start_fake(BACKENDS, min_free_bytes=str(1 << 62))

    with server.client() as client:
        answer = client.post("/v1/files", files={"file": CONTENT})

    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "STORAGE_FULL")


def peak_bytes(pid: int) -> int:
    """The most memory that the process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


class Body:
    """A form around a large file, made as it is sent."""

    def __init__(self, head: bytes, size_bytes: int, tail: bytes) -> None:
        self._head, self._file_bytes, self._tail = head, size_bytes, tail
        self.size_bytes = len(head) + size_bytes + len(tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        for start in range(0, self._file_bytes, MIB):
            yield bytes(min(MIB, self._file_bytes - start))
        yield self._tail


def form_of(size_bytes: int) -> tuple[dict[str, str], Body]:
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'
    body = Body(head, size_bytes, b"\r\n--edge--\r\n")
    return {
        "Content-Type": "multipart/form-data; boundary=edge",
        "Content-Length": str(body.size_bytes),
    }, body


def test_large_file_goes_through_without_staying_in_memory(running: RunningServer) -> None:
    with running.client() as client:
        for size_bytes in (MIB, LARGE_BYTES):
            before = peak_bytes(running.process.pid)
            headers, body = form_of(size_bytes)
            made = client.post("/v1/files", content=body, headers=headers).raise_for_status().json()["data"]
            with client.stream("GET", f"/v1/files/{made['id']}/content") as answer:
                size, digest = 0, hashlib.sha256()
                for piece in answer.iter_bytes():
                    size += len(piece)
                    digest.update(piece)
            grown = peak_bytes(running.process.pid) - before
        headers, body = form_of(LARGE_BYTES + 1)
        too_large = client.post("/v1/files", content=body, headers=headers)

    assert (made["bytes"], size, made["sha256"]) == (LARGE_BYTES, LARGE_BYTES, digest.hexdigest())
    assert too_large.status_code == 413
    assert grown < 16 * MIB, f"grew by {grown / MIB:.1f} MiB"


def test_client_that_leaves_in_the_middle_leaves_nothing(running: RunningServer) -> None:
    host, port = running.url.removeprefix("http://").split(":")
    incoming = running.data_dir / "files/incoming"
    headers, body = form_of(2 * MIB)
    head = [f"Host: {host}", f"Authorization: Bearer {running.key}", *map(": ".join, headers.items())]
    pieces = iter(body)

    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join(["POST /v1/files HTTP/1.1", *head, "\r\n"]).encode())
        connection.sendall(next(pieces) + next(pieces))
        wait_for("the first piece on disk", lambda: bool(list(incoming.iterdir())))
    wait_for("the end of the draft", lambda: not list(incoming.iterdir()))

    with running.client() as client:
        assert client.get("/v1/files").json()["data"]["items"] == []


@pytest.mark.parametrize(
    ("failpoint", "num_files"),
    [("upload.before_rename", 0), ("upload.after_rename", 0), ("upload.after_row", 1)],
)
def test_repeated_upload_after_a_kill_leaves_one_file(
    start_fake: StartServer, failpoint: str, num_files: int
) -> None:
    """The client that saw its connection break repeats the upload with the same key."""
    once = {"Idempotency-Key": "nightly-1"}
    sent = {"file": ("in.jsonl", CONTENT)}
    server = start_fake(BACKENDS, failpoints=f"{failpoint}:1:kill")
    with server.client() as client, pytest.raises(httpx.TransportError):
        client.post("/v1/files", files=sent, headers=once)
    status = server.process.wait()

    again = start_fake(BACKENDS)
    again.key = server.key
    with again.client() as client:
        before = client.get("/v1/files").json()["data"]["items"]
        repeated = client.post("/v1/files", files=sent, headers=once).raise_for_status().json()["data"]
        after = client.get("/v1/files").json()["data"]["items"]
        content = client.get(f"/v1/files/{repeated['id']}/content").content

    assert status == -signal.SIGKILL
    assert (len(before), after, content) == (num_files, [repeated], CONTENT)
