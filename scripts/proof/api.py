"""The calls of the rig, with nothing between them and the socket. Knows no journal.

Every call has one connection of its own, because the server at the other end dies at any moment.
"""

import base64
import hashlib
import http.client
import json
import secrets
from dataclasses import dataclass
from typing import Any, Protocol

TIMEOUT_S = 5.0


class Unanswered(Exception):
    """The connection failed: whether the call was carried out is not known."""


class Address(Protocol):
    """Where a server listens, and with which key it is asked."""

    @property
    def port(self) -> int: ...
    @property
    def key(self) -> str: ...


@dataclass(frozen=True)
class Answer:
    status: int
    content: bytes

    @property
    def data(self) -> dict[str, Any]:
        """Of a native answer."""
        found: dict[str, Any] = json.loads(self.content)["data"]
        return found


def call(
    server: Address,
    method: str,
    path: str,
    content: bytes | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    **headers: str,
) -> Answer:
    """Headers are named with underscores. Raises Unanswered."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout_s)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, content, {"Authorization": f"Bearer {server.key}"} | named)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"{method} {path}: {type(error).__name__}") from error
    finally:
        connection.close()


def post_json(server: Address, path: str, body: dict[str, Any], **headers: str) -> Answer:
    return call(server, "POST", path, json.dumps(body).encode(), Content_Type="application/json", **headers)


def upload(server: Address, name: str, content: bytes, key: str) -> Answer:
    boundary = secrets.token_hex(16)
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    form = parts.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    content_type = f"multipart/form-data; boundary={boundary}"
    return call(server, "POST", "/v1/files", form, Content_Type=content_type, Idempotency_Key=key)


def submit(server: Address, source: dict[str, str], submission: str, key: str) -> Answer:
    """`source` is one of `input_file_base64`, `input_file_url`; the batch is marked with the submission's name."""
    body = source | {"endpoint_completion_window": "24h", "metadata": {"submission": submission}}
    return post_json(server, "/v1/inference/batch", body, Idempotency_Key=key)


def inline(content: bytes) -> dict[str, str]:
    return {"input_file_base64": base64.b64encode(content).decode()}


def by_file(file_id: str) -> dict[str, str]:
    return {"input_file_url": f"scaigrid://file/{file_id}"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
