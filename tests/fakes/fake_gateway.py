"""A gateway without workers: remembers what it was asked and plays prepared batches."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from engines.contract.chat import Delta
from engines.contract.requests import Item, Request
from engines.contract.types import Priority, Usage
from server.caller import Caller
from server.errors import ServiceError
from server.running import RunningRequests

Batch = list[Item]


class FakeCall:
    """Like `server.gateway.Call`; an error among the batches is raised in its place."""

    def __init__(self, model: str, batches: list[Batch | ServiceError], *, can_stream: bool) -> None:
        self.model = model
        self.backend_id = "be_fake"
        self.can_stream = can_stream
        self.usage = Usage(3, 2)
        self._batches = iter(batches)

    async def next_batch(self) -> Batch | None:
        batch = next(self._batches, None)
        if isinstance(batch, ServiceError):
            raise batch
        return batch


class FakeGateway:
    """Answers every request with `batches`, or refuses it with `refusal`."""

    def __init__(self) -> None:
        self.batches: list[Batch | ServiceError] = [[Delta(0, "hi")], [Delta(0, "!", finish_reason="stop")]]
        self.refusal: ServiceError | None = None
        self.can_stream = True
        self.running = RunningRequests()
        self.asked: list[tuple[str, Request]] = []
        self.priorities: list[Priority] = []

    @asynccontextmanager
    async def run(
        self,
        model: str,
        request: Request,
        caller: Caller,
        priority: Priority = Priority.INTERACTIVE,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncIterator[FakeCall]:
        self.asked.append((model, request))
        self.priorities.append(priority)
        if self.refusal is not None:
            raise self.refusal
        if before_start is not None:
            await before_start()
        yield FakeCall(model, self.batches, can_stream=self.can_stream)

    def backend_of(self, model: str) -> str:
        return "be_fake"

    def batch_room(self, backend_id: str) -> int:
        return 3
