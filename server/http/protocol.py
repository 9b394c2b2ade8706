"""uvicorn's connection with the deadlines that it lacks. Knows no application.

uvicorn holds for ever a silent connection, half a request head, and a client that never reads. Here a head
must be complete within `header_timeout_s`, a body that nobody wants (its request was refused) must end within
the same time, and a client that accepts no byte for `write_timeout_s` is cut off.
"""

import asyncio
import math
import socket
from typing import ClassVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.settings import Settings

CUT_MARGIN_S = 5
_KEEPALIVE_PROBES = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class DeadlineProtocol(HttpToolsProtocol):
    """One connection. `protocol_class` sets the class attributes."""

    header_timeout_s: ClassVar[float] = 10.0
    write_timeout_s: ClassVar[float] = 30.0
    max_head_bytes: ClassVar[int] = 64 * 1024

    _head_deadline: asyncio.TimerHandle | None = None
    _write_deadline: asyncio.TimerHandle | None = None
    _unwritten_bytes = 0
    _head_bytes = 0
    _num_heads = 0
    _in_head = False
    _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        _notice_vanished_peers(transport, self.write_timeout_s)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch_head()
        self._unwatch_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_body, num_heads = self._in_body, self._num_heads
        super().data_received(data)
        if not was_in_body and num_heads == self._num_heads:
            self._head_bytes += len(data)
            if self._head_bytes > self.max_head_bytes and not self.transport.is_closing():
                self.send_400_response("The request head is too large.")
            self._watch_head()
        elif self._in_head:
            self._watch_head()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        self._num_heads += 1
        self._head_bytes = 0
        self._unwatch_head()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()
        if self.cycle.response_complete:  # the request was refused before its body ended
            self._unwatch_head()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete:
            self._watch_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unwatch_writing()

    def _watch_head(self) -> None:
        """From now on `header_timeout_s` for a complete head; later bytes do not extend it."""
        if self._head_deadline is None and not self.transport.is_closing():
            self._head_deadline = self.loop.call_later(self.header_timeout_s, self._end_without_head)

    def _unwatch_head(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _end_without_head(self) -> None:
        self._head_deadline = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._watch_head()  # a half pipelined request must not end the one that is being answered
        else:
            self.transport.close()

    def _watch_writing(self) -> None:
        self._unwatch_writing()
        self._unwritten_bytes = self.transport.get_write_buffer_size()
        self._write_deadline = self.loop.call_later(self.write_timeout_s, self._end_without_reader)

    def _unwatch_writing(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _end_without_reader(self) -> None:
        if self.transport.get_write_buffer_size() < self._unwritten_bytes:
            self._watch_writing()
        else:
            self.transport.abort()


def protocol_class(settings: Settings) -> type[DeadlineProtocol]:
    """The protocol with these settings' deadlines, to be given to uvicorn as `http`."""

    class ConfiguredProtocol(DeadlineProtocol):
        header_timeout_s = settings.header_timeout_s
        write_timeout_s = settings.write_timeout_s
        max_head_bytes = 2 * settings.max_header_bytes

    return ConfiguredProtocol


def server_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs our app; logging is set up by `telemetry.configure_logging`, not by uvicorn."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=protocol_class(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_timeout_s,
        # Later than `DrainingServer` cuts streams in-band, also where there is no grace before the door closes.
        timeout_graceful_shutdown=math.ceil(settings.drain_timeout_s) + CUT_MARGIN_S,
    )


def _notice_vanished_peers(transport: asyncio.Transport, write_timeout_s: float) -> None:
    """A peer that is gone without FIN shows within about a minute: by probes if idle, by TCP_USER_TIMEOUT if
    not.
    """
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (*_KEEPALIVE_PROBES, ("TCP_USER_TIMEOUT", int(write_timeout_s * 1000))):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
