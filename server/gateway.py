"""The only internal way to run a request: frontend name in, events of a worker out. Knows no HTTP."""

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec

from engines.contract.chat import ChatRequest, GenerateRequest
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.image import ImageProgress
from engines.contract.requests import KINDS, Item, Request
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority, Usage
from server.caller import Caller
from server.capabilities import check_capabilities
from server.errors import ServiceError
from server.placing import Accepted, Order, accepted, accepted_by_one
from server.replicas import joint_batch_room, joint_state
from server.router import Replicas, Router
from server.running import RunningRequest, RunningRequests
from server.telemetry import Metrics, request_id_var
from server.workers.channel import RequestStream
from server.workers.status import WorkerState
from server.workers.supervisor import Supervisor


class Call:
    """An admitted request that a worker has accepted. A failure in its middle is raised as ServiceError."""

    def __init__(self, model: str, spec: BackendSpec, stream: RequestStream, running: RunningRequest) -> None:
        self.model = model
        self.backend_id = spec.id
        self.can_stream = spec.capabilities.stream
        self.first_item_at: float | None = None
        self._stream = stream
        self._running = running

    async def next_batch(self) -> list[Item] | None:
        """All items since the last call, at least one, as often as the worker moves; None at the end."""
        try:
            batch = await self._stream.next_batch()
        except EngineError as error:
            raise ServiceError.from_engine(error) from error
        if self.first_item_at is None:
            self.first_item_at = time.monotonic()
        if batch and isinstance(batch[-1], ImageProgress):
            self._running.progress = batch[-1]
        return batch

    @property
    def usage(self) -> Usage:
        """Only after the end."""
        if self._stream.usage is None:
            raise RuntimeError("usage is known only after the last batch")
        return self._stream.usage


class Gateway:
    """Resolves, admits, leases, runs. `salt` makes this server's cache keys unguessable."""

    def __init__(self, router: Router, supervisor: Supervisor, metrics: Metrics, salt: bytes) -> None:
        self._router = router
        self._supervisor = supervisor
        self._metrics = metrics
        self._salt = salt
        self.running = RunningRequests()

    @asynccontextmanager
    async def run(
        self,
        model: str,
        request: Request,
        caller: Caller,
        priority: Priority = Priority.INTERACTIVE,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncIterator[Call]:
        """Enter: the worker accepted the request. Leave: the request has ended, the lease is returned.

        `before_start` is awaited with the lease in hand, before the worker hears of the request; what it raises
        ends the request unheard. A ServiceError's `worker_died` tells deaths of the worker from other failures.

        Raises ServiceError: MODEL_NOT_FOUND, MODEL_ACCESS_DENIED, MODEL_UNAVAILABLE, BACKEND_RATE_LIMITED,
        VALIDATION_ERROR (what only the engine can check), BACKEND_ERROR, BACKEND_TIMEOUT, SHUTTING_DOWN.
        """
        replicas = self._router.resolve(model)
        if not caller.may_use_model(model):
            raise ServiceError(ErrorCode.MODEL_ACCESS_DENIED, "This key may not use this model")
        check_capabilities(replicas[0], request)
        if isinstance(request, ChatRequest | GenerateRequest):
            request = msgspec.structs.replace(request, cache_salt=self._cache_salt(caller))
        running = self.running.begin(
            request_id_var.get() or "", caller.key_id, model, KINDS[type(request)].modality
        )
        try:
            order = Order(request, priority, before_start)
            async with self._accepted(replicas, order) as (spec, stream):
                running.is_accepted = True
                call = Call(model, spec, stream, running)
                yield call
                self._observe(call, running.begun_at, stream.usage)
        except EngineError as error:
            raise ServiceError.from_engine(error) from error
        finally:
            self.running.end(running)

    def _accepted(self, replicas: Replicas, order: Order) -> AbstractAsyncContextManager[Accepted]:
        if len(replicas) == 1:
            return accepted(self._supervisor, replicas[0], order)
        return accepted_by_one(self._supervisor, replicas, order)

    def backend_of(self, model: str) -> str:
        """The id of the backend that serves `model`, of several the first. Raises ServiceError: MODEL_NOT_FOUND."""
        return self._router.resolve(model)[0].id

    def state_of(self, backend_id: str) -> WorkerState:
        """Of a backend and its replicas: that of the one which is nearest to serving."""
        return joint_state(self._supervisor.state(one.id) for one in self._router.replicas_of(backend_id))

    def batch_room(self, backend_id: str) -> int:
        """How many requests of batches a backend and its replicas may run at once."""
        replicas = self._router.replicas_of(backend_id)
        return joint_batch_room([self._supervisor.occupancy(one.id) for one in replicas])

    def _cache_salt(self, caller: Caller) -> str:
        """Prompt caches are shared within a key, never between keys: none can time another's prompts."""
        return hashlib.blake2b(caller.key_id.encode(), key=self._salt, digest_size=16).hexdigest()

    def _observe(self, call: Call, started_at: float, usage: Usage | None) -> None:
        if call.first_item_at is not None:
            self._metrics.observe_first_token(call.model, call.first_item_at - started_at)
        if usage is not None:
            self._metrics.count_tokens(call.model, usage)
