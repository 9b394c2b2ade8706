"""Stops the work of a request whose client has left, streaming or waiting alike. Knows no route.

A handler is not cancelled by itself when its client goes away, and it may wait long for a worker. So as soon
as the body is complete, a task listens for the disconnect and cancels the handler. Needs `http/context.py`
outside of it.
"""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.context import Progress
from server.telemetry import Metrics


class CancelOnDisconnect:
    """Swallows only the cancellation that it asked for itself; any other goes on up."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        watch = _Watch(receive, scope["state"]["progress"], asyncio.current_task())
        try:
            await self._app(scope, watch.receive, send)
        except asyncio.CancelledError:
            if not watch.was_the_only_one_to_cancel():
                raise
        finally:
            watch.close()
            if watch.client_left:
                self._metrics.count_disconnect()


class _Watch:
    """Passes the body through, then listens for the disconnect until the answer is complete."""

    def __init__(self, receive: Receive, progress: Progress, handler: "asyncio.Task[Any] | None") -> None:
        self._receive = receive
        self._progress = progress
        self._handler = handler
        self._listener: asyncio.Task[Message] | None = None
        self.client_left = False

    async def receive(self) -> Message:
        if self._listener is not None:
            return await asyncio.shield(self._listener)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._leave()
            await asyncio.sleep(
                0
            )  # the cancellation arrives here, before anything takes half a body for a whole one
        elif not message.get("more_body", False):
            self._listener = asyncio.create_task(self._listen(), name="request.disconnect")
        return message

    def was_the_only_one_to_cancel(self) -> bool:
        return self.client_left and self._handler is not None and self._handler.cancelling() == 1

    def close(self) -> None:
        """Stop listening and take our own cancellation back, so that the server's task goes on whole."""
        if self._listener is not None:
            self._listener.cancel()
        if self.client_left and self._handler is not None:
            self._handler.uncancel()

    async def _listen(self) -> Message:
        message = await self._receive()
        # A complete answer reads as a disconnect too; the handler may then still be tidying up.
        if not self._progress.is_complete:
            self._leave()
        return message

    def _leave(self) -> None:
        self.client_left = self._progress.client_left = True
        if self._handler is not None:
            self._handler.cancel()
