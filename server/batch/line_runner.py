"""Runs one line of a batch: reads it, asks the gateway, renders the answer. Knows no store and no other line."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple

from engines.contract.errors import ErrorCode
from engines.contract.types import Priority
from server.batch.line_answer import LineAnswer
from server.batch.line_input import LineInput, LineProblem, read_line
from server.batch.line_order import LineOrder
from server.batch.plans import Plan
from server.batch.sound_source import SoundSource
from server.batch.spoken_file import SpokenFiles
from server.clock import utc_now
from server.envelope import to_json
from server.errors import ServiceError
from server.files import FileStore
from server.gateway import Gateway
from server.http.uploads import Spool
from server.media import MediaStore
from server.remote import RemoteFiles
from server.streaming import JSON, Running, collect
from server.telemetry import request_id_var
from server.wire.publishing import publishing
from server.wire.transcribe_body import SoundFile

BeforeStart = Callable[[], Awaitable[None]]
Call = AbstractAsyncContextManager[Running]


class LineRunner:
    """Holds nothing between two lines; any number may run at once."""

    def __init__(
        self,
        gateway: Gateway,
        files: FileStore,
        media: MediaStore,
        *,
        remote: RemoteFiles,
        uploads: Spool,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._gateway = gateway
        self._files = files
        self._media = media
        self._remote = remote
        self._spool = uploads
        self._spoken = SpokenFiles(files)
        self._now = now

    async def run(self, raw: bytes, order: LineOrder, before_start: BeforeStart) -> LineAnswer:
        """The answer of a line that succeeds. `before_start` is the gateway's: awaited just before the request goes to
        a worker.

        Raises ServiceError for every refusal and failure, and what `before_start` raises. Cancelled, it stops the
        request. Nothing temporary is left.
        """
        token = request_id_var.set(order.request_id)
        sounds = SoundSource(order.caller.key_id, self._files, self._spool)
        try:
            return await self._run(_read(raw, order.line_no), order, before_start, sounds)
        finally:
            sounds.discard()
            request_id_var.reset(token)

    async def _run(
        self, line: LineInput, order: LineOrder, before_start: BeforeStart, sounds: SoundSource
    ) -> LineAnswer:
        plan = await line.endpoint.plan(line.body, _Desk(order.request_id, self._remote, sounds))
        call = self._call(plan, order, before_start)
        if plan.spoken is None:
            return await _whole(call, plan, order.request_id)
        return await self._spoken.answer(
            call, plan.renderer, line, suffix=plan.spoken, order=order, now=self._now()
        )

    def _call(self, plan: Plan, order: LineOrder, before_start: BeforeStart) -> Call:
        call: Call = self._gateway.run(
            plan.model, plan.request, order.caller, Priority.BATCH, before_start=before_start
        )
        if plan.links is None:
            return call
        ttl_s = (order.kept_until - self._now()).total_seconds()
        return publishing(call, self._media, order.base_url, plan.links, ttl_s=ttl_s)


class _Desk(NamedTuple):
    request_id: str
    remote: RemoteFiles
    sounds: SoundSource

    async def sound(self, reference: object) -> SoundFile:
        return await self.sounds.open(reference)


def _read(raw: bytes, line_no: int) -> LineInput:
    try:
        return read_line(raw)
    except LineProblem as problem:  # it was none when the batch was accepted
        message = f"line {line_no} was changed after the batch was accepted: {problem.message}"
        raise ServiceError(ErrorCode.INTERNAL_ERROR, message) from None


async def _whole(call: Call, plan: Plan, request_id: str) -> LineAnswer:
    async with call as running:
        items = await collect(running)
        usage = running.usage
    body = plan.renderer.whole(items, usage)  # the lease is returned by now
    if plan.renderer.whole_type != JSON:  # a file of text
        body = to_json(body.decode())
    return LineAnswer(200, request_id, body, usage)
