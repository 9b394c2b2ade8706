"""A batch that this server works on: what is left of it and why it stops. Knows no store."""

import asyncio
from datetime import datetime
from typing import Any

import msgspec

from server.batch.records import Batch
from server.batch.states import BatchState, Outcome
from server.caller import Caller


class Job:
    """`ending` says what becomes of lines that have not ended: none of them starts any more.

    `tasks` are its lines under way.
    """

    def __init__(self, batch: Batch, caller: Caller) -> None:
        self.batch = batch
        self.caller = caller
        self.ending: Outcome | None = None
        self.remaining = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        self._changed = asyncio.Event()
        self._fault: BaseException | None = None

    @property
    def is_open(self) -> bool:
        return self.ending is None

    def stop(self, outcome: Outcome) -> None:
        """For good; the first reason counts."""
        self.ending = self.ending or outcome
        self._changed.set()

    def break_off(self, fault: BaseException) -> None:
        """A bug of ours ended one of its lines: whoever waits for the job gets it, and takes the job up again."""
        self._fault = fault
        self._changed.set()

    def expect(self, num_lines: int) -> None:
        self.remaining = num_lines

    def end_line(self) -> None:
        self.remaining -= 1
        if self.remaining <= 0:
            self._changed.set()

    def enter(self, state: BatchState, **changes: Any) -> None:
        """What the store has been told already."""
        self.batch = msgspec.structs.replace(self.batch, state=state, **changes)

    def is_due(self, now: datetime) -> bool:
        return now >= self.batch.expires_at

    async def until_settled(self) -> None:
        """Until every line has ended, or none may start any more."""
        while self.remaining > 0 and self.ending is None:
            if self._fault is not None:
                raise self._fault
            self._changed.clear()
            await self._changed.wait()

    async def wind_up(self, grace_s: float) -> None:
        """Let the lines under way end; abort what takes longer."""
        if self.tasks:
            await asyncio.wait(set(self.tasks), timeout=grace_s)
        left = set(self.tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def nobody(key_id: str) -> Caller:
    """Stands in for a key that is gone."""
    return Caller(key_id, "", frozenset(), frozenset())
