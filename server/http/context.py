"""The outermost layer: gives a request its id, its headers, its line in log and metrics, and catches what
escapes.

Knows no route. Inner layers read `scope["state"]["request_id"]` and tell it through `scope["state"]`: `model`
and `backend` (labels of the metrics) and the flags of `scope["state"]["progress"]`.
"""

import logging
import os
import re
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.caller import Caller
from server.envelope import DONE_FRAME, error_frame, internal_error, is_openai_surface, send_error
from server.telemetry import Metrics, log_event, request_id_var

STATUS_CLIENT_LEFT = 499
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_FIXED_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
)
_NO_STORE = (b"cache-control", b"no-store")


class Progress:
    """How far the answer to one request has come. `client_left` is set by the layer that watches for it."""

    __slots__ = ("client_left", "is_complete", "is_event_stream", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        self.is_event_stream = False
        self.is_complete = False
        self.client_left = False


class RequestContext:
    """See the module. Needs to be outermost, so that every answer carries the request id."""

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, monotonic: Callable[[], float] = time.perf_counter
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun_at = self._monotonic()
        request_id = _request_id(scope["headers"])
        progress = Progress()
        scope.setdefault("state", {}).update(request_id=request_id, progress=progress)
        token = request_id_var.set(request_id)
        try:
            await self._run(scope, receive, _sender(send, request_id.encode(), progress), progress)
        finally:
            self._report(scope, progress, self._monotonic() - begun_at)
            request_id_var.reset(token)

    async def _run(self, scope: Scope, receive: Receive, send: Send, progress: Progress) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the outermost handler
            log_event("request.crashed", level=logging.ERROR, exception=error, method=scope["method"])
            if progress.status is None:
                await send_error(scope, send, internal_error())
            elif progress.is_event_stream and not progress.is_complete:
                frame = error_frame(internal_error(), openai=is_openai_surface(scope["path"]))
                await send({"type": "http.response.body", "body": frame + DONE_FRAME})

    def _report(self, scope: Scope, progress: Progress, duration_s: float) -> None:
        state = scope["state"]
        status = STATUS_CLIENT_LEFT if progress.client_left else progress.status or STATUS_CLIENT_LEFT
        self._metrics.observe_request(
            model=state.get("model"),
            backend=state.get("backend"),
            status=status,
            protocol="openai" if is_openai_surface(scope["path"]) else "native",
            duration_s=duration_s,
        )
        level = logging.DEBUG if status < 400 else logging.INFO if status < 500 else logging.WARNING
        caller: Caller | None = state.get("caller")
        route = scope.get("route")
        log_event(
            "request.finished",
            level=level,
            status=status,
            method=scope["method"],
            route=getattr(route, "path", None),
            key_id=caller.key_id if caller else None,
            client=scope["client"][0] if scope.get("client") else None,
            duration_s=round(duration_s, 6),
        )


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """The client's X-Request-ID if it is a sane token, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return value.decode()
    return "req_" + os.urandom(12).hex()


def _sender(send: Send, request_id: bytes, progress: Progress) -> Send:
    async def send_with_context(message: Message) -> None:
        if message["type"] == "http.response.start":
            progress.status = message["status"]
            progress.is_event_stream = any(
                name == b"content-type" and value.startswith(b"text/event-stream")
                for name, value in message.get("headers", ())
            )
            message["headers"] = _with_context(message.get("headers", ()), request_id)
        elif not message.get("more_body", False):
            progress.is_complete = True
        await send(message)

    return send_with_context


def _with_context(headers: object, request_id: bytes) -> list[tuple[bytes, bytes]]:
    complete: list[tuple[bytes, bytes]] = [
        *headers,  # type: ignore[misc]  # an iterable of pairs, says ASGI
        (b"x-scaigrid-request-id", request_id),
        (b"x-request-id", request_id),
        *_FIXED_HEADERS,
    ]
    if all(name != b"cache-control" for name, _ in complete):
        complete.append(_NO_STORE)
    return complete
