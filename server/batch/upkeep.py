"""Tells webhooks about ended batches, and forgets batches in time. Knows no HTTP."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from server.batch import tables
from server.batch.records import Batch
from server.batch.validation import clear_lines
from server.clock import utc_now
from server.errors import ServiceError
from server.failpoints import reach
from server.store.database import Database
from server.telemetry import log_event

TELL_EVERY_S = 5.0
SWEEP_EVERY_S = 60.0
MAX_AT_ONCE = 20
ORPHANED_AFTER = timedelta(seconds=60)  # then another server tells what its runner did not


class Teller(Protocol):
    """Tells one ended batch to whoever wants to know."""

    async def tell(self, batch: Batch, attempts: int) -> str:
        """`told`, `due` to be asked again, or `given_up`."""

    def next_try_s(self, attempts: int) -> float:
        """How long after the end of a batch its next try is due."""


class Upkeep:
    """`run` is for the lifespan; `wake` when a batch has ended."""

    def __init__(
        self,
        runner_id: str,
        database: Database,
        teller: Teller | None,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._runner_id = runner_id
        self._database = database
        self._teller = teller
        self._now = now
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """For ever."""
        swept_at = -SWEEP_EVERY_S
        clock = asyncio.get_running_loop().time
        while True:
            self._wake.clear()
            try:
                if self._teller is not None:
                    await self._tell_all(self._teller)
                if clock() - swept_at >= SWEEP_EVERY_S:
                    await self.sweep()
                    swept_at = clock()
            except ServiceError as error:
                log_event("batch.upkeep_failed", code=error.code)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TELL_EVERY_S):
                    await self._wake.wait()

    async def sweep(self) -> None:
        """Forget batches that are kept no longer, and lines whose files are published."""
        for batch_id in await self._database.read(tables.ended_with_lines):
            await clear_lines(self._database, batch_id)
        moment = self._now()
        if await self._database.write(lambda connection: tables.delete_old(connection, moment)):
            reach("sweep.deleted")

    async def _tell_all(self, teller: Teller) -> None:
        before = self._now() - ORPHANED_AFTER
        due = await self._database.read(
            lambda connection: tables.to_tell(connection, self._runner_id, before, MAX_AT_ONCE)
        )
        await asyncio.gather(*(self._tell(teller, batch) for batch in due if self._is_due(teller, batch)))

    def _is_due(self, teller: Teller, batch: Batch) -> bool:
        ended_at = batch.ended_at or self._now()
        return (self._now() - ended_at).total_seconds() >= teller.next_try_s(batch.webhook_attempts)

    async def _tell(self, teller: Teller, batch: Batch) -> None:
        attempts = batch.webhook_attempts + 1
        state = await teller.tell(batch, attempts)
        await self._database.write(lambda connection: tables.set_told(connection, batch.id, state, attempts))
