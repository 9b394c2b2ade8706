"""The only internal way to run a request: frontend name in, events of a worker out. Knows no HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engines.contract.chat import ChatRequest, Delta, GenerateRequest
from engines.contract.types import Priority, Usage
from server.caller import Caller


class Call:
    """An admitted request that a worker has accepted.

    `batches()` yields, as often as the worker moves, the list of all deltas not yet seen; after its end `usage` is set.
    A failure in the middle is raised from `batches()` as ServiceError.
    """

    model: str
    backend_id: str
    usage: Usage

    def batches(self) -> AsyncIterator[list[Delta]]:
        raise NotImplementedError


class Gateway:
    """Resolves, admits, leases, runs."""

    @asynccontextmanager
    async def run(
        self,
        model: str,
        request: ChatRequest | GenerateRequest,
        caller: Caller,
        priority: Priority = Priority.INTERACTIVE,
    ) -> AsyncIterator[Call]:
        """Enter: the worker accepted the request. Leave: the request has ended or is cancelled, the lease returned.

        Raises ServiceError: MODEL_NOT_FOUND, MODEL_ACCESS_DENIED, MODEL_UNAVAILABLE, BACKEND_RATE_LIMITED,
        VALIDATION_ERROR (what only the engine can check), BACKEND_ERROR, BACKEND_TIMEOUT.
        """
        raise NotImplementedError
        yield
