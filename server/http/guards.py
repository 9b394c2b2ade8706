"""Refuses HTTP messages that no route should see: bad Host, too many or too large headers, too large or too
slow bodies.

httptools accepts a 4 MiB header, no Host and two Hosts, and uvicorn waits for a body for ever; so we check.
Knows no key.
"""

import asyncio
import re
from collections.abc import Mapping
from types import MappingProxyType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engines.contract.errors import ErrorCode
from server.envelope import send_error
from server.errors import ServiceError
from server.http.uploads import FORM_BYTES
from server.settings import Settings

_NONE: Mapping[str, int] = MappingProxyType({})
_HOST = re.compile(rb"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


class Guards:
    """Checks the head before the inner app runs, and the body while the inner app reads it.

    A body may have `max_body_bytes`; on `upload_paths` it may be a form with a file of so many bytes.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, upload_paths: Mapping[str, int] = _NONE) -> None:
        self._app = app
        self._settings = settings
        self._upload_paths = upload_paths
        self._host_names = frozenset(name.encode() for name in settings.host_names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        max_bytes = self._max_bytes(scope["path"])
        try:
            has_body = self._check_head(scope["headers"], max_bytes)
        except ServiceError as refusal:
            return await send_error(scope, send, refusal)
        guarded = _BodyGuard(receive, self._settings, max_bytes).receive if has_body else receive
        await self._app(scope, guarded, send)

    def _max_bytes(self, path: str) -> int:
        file_bytes = self._upload_paths.get(path)
        return self._settings.max_body_bytes if file_bytes is None else file_bytes + FORM_BYTES

    def _check_head(self, headers: list[tuple[bytes, bytes]], max_bytes: int) -> bool:
        """Whether a body follows. Raises ServiceError: BAD_REQUEST, PAYLOAD_TOO_LARGE."""
        hosts, lengths, encodings, size_bytes = [], [], [], 0
        for name, value in headers:
            size_bytes += len(name) + len(value)
            if name == b"host":
                hosts.append(value)
            elif name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                encodings.append(value)
        if len(headers) > self._settings.max_headers or size_bytes > self._settings.max_header_bytes:
            raise _bad("the headers are too many or too large")
        self._check_host(hosts)
        if lengths:
            self._check_length(lengths, max_bytes, has_encoding=bool(encodings))
        return bool(lengths or encodings)

    def _check_host(self, hosts: list[bytes]) -> None:
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            raise _bad("send exactly one valid Host header")
        if match[1].lower() not in self._host_names:
            raise _bad("this Host is not served here; the operator can name it in allowed_hosts")

    def _check_length(self, lengths: list[bytes], max_bytes: int, *, has_encoding: bool) -> None:
        if has_encoding or len(lengths) > 1 or not lengths[0].isdigit():
            raise _bad("the length of the body is ambiguous")
        if len(lengths[0]) > 15 or int(lengths[0]) > max_bytes:
            raise _too_large(max_bytes)


class _BodyGuard:
    """Counts a body and its time: `body_timeout_s` plus a second for every `min_body_rate` bytes."""

    def __init__(self, receive: Receive, settings: Settings, max_bytes: int) -> None:
        self._receive = receive
        self._settings = settings
        self._max_bytes = max_bytes
        self._begun_at: float | None = None
        self._size_bytes = 0
        self._is_complete = False

    async def receive(self) -> Message:
        """Raises ServiceError: REQUEST_TIMEOUT, PAYLOAD_TOO_LARGE."""
        if self._is_complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline()):
                message = await self._receive()
        except TimeoutError:
            raise ServiceError(ErrorCode.REQUEST_TIMEOUT, "the body came too slowly") from None
        self._size_bytes += len(message.get("body", b""))
        if self._size_bytes > self._max_bytes:
            raise _too_large(self._max_bytes)
        self._is_complete = not message.get("more_body", False)
        return message

    def _deadline(self) -> float:
        if self._begun_at is None:
            self._begun_at = asyncio.get_running_loop().time()
        return (
            self._begun_at + self._settings.body_timeout_s + self._size_bytes / self._settings.min_body_rate
        )


def _bad(message: str) -> ServiceError:
    return ServiceError(ErrorCode.BAD_REQUEST, message)


def _too_large(max_bytes: int) -> ServiceError:
    return ServiceError(ErrorCode.PAYLOAD_TOO_LARGE, f"a body may have at most {max_bytes} bytes")
