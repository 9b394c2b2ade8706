"""What must happen in the store: tried again for as long as it cannot. Knows no table."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import Connection

from server.batch.verdicts import STORAGE, wait_s
from server.errors import ServiceError
from server.store.database import Database
from server.telemetry import log_event

_T = TypeVar("_T")


async def persist(database: Database, write: Callable[[Connection], _T]) -> _T:
    """Waits while the disk is full or the store away: a batch pauses then, and nothing of it is lost.

    A commit whose end is unknown is tried again too, so `write` must do no harm when it finds its work done.
    """
    return await insist(lambda: database.write(write))


async def insist(call: Callable[[], Awaitable[_T]]) -> _T:
    """What `call` returns once the store can serve it. Raises whatever else it raises."""
    num_tries = 0
    while True:
        try:
            return await call()
        except ServiceError as error:
            if error.code not in STORAGE:
                raise
            log_event("batch.paused", code=error.code, attempt=num_tries)
            delay_s = wait_s(error, num_tries)
        await asyncio.sleep(delay_s)
        num_tries += 1
