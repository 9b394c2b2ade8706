"""How much memory each backend was seen to hold, kept for the next start. Knows no worker.

A measurement counts for one configuration: engine, weights, options, context, concurrency and device. With another one
the engine's own estimate counts again.
"""

import asyncio
import hashlib
from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, delete, insert, select

from engines.contract.spec import BackendSpec
from server.clock import utc_now
from server.errors import ServiceError
from server.store import Store
from server.store.database import Database
from server.store.schema import memory_peaks
from server.telemetry import log_event

WRITE_EVERY_S = 30.0
NOTABLE_GROWTH = 1.02  # less is not worth a write


class Measurements:
    """`known` has what is stored of these backends; `tell` adds to it, `run` stores it from time to time."""

    def __init__(self, store: Store, specs: Iterable[BackendSpec]) -> None:
        """Blocks. Raises SQLAlchemyError."""
        self._fingerprints = {spec.id: fingerprint(spec) for spec in specs}
        with store.reading() as connection:
            rows = connection.execute(select(memory_peaks)).mappings().all()
        self.known: dict[str, int] = {
            row["backend_id"]: row["size_bytes"]
            for row in rows
            if self._fingerprints.get(row["backend_id"]) == row["fingerprint"]
        }
        self._changed: set[str] = set()

    def tell(self, backend_id: str, size_bytes: int) -> None:
        """A peak. Smaller ones than before are not remembered."""
        if size_bytes > self.known.get(backend_id, 0) * NOTABLE_GROWTH:
            self.known[backend_id] = size_bytes
            self._changed.add(backend_id)

    async def run(self, database: Database) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.store(database)

    async def store(self, database: Database) -> None:
        changed, self._changed = self._changed, set()
        if not changed:
            return
        try:
            await database.write(lambda connection: self._write(connection, changed))
        except ServiceError as error:
            log_event("measurements.unstored", reason=error.message)
            self._changed |= changed

    def _write(self, connection: Connection, changed: set[str]) -> None:
        connection.execute(delete(memory_peaks).where(memory_peaks.c.backend_id.in_(changed)))
        rows = [
            {
                "backend_id": backend_id,
                "fingerprint": self._fingerprints[backend_id],
                "size_bytes": self.known[backend_id],
                "measured_at": utc_now(),
            }
            for backend_id in changed
        ]
        connection.execute(insert(memory_peaks), rows)


def fingerprint(spec: BackendSpec) -> str:
    """Changes with whatever may change how much memory the backend takes."""
    parts = (
        spec.engine,
        spec.weights,
        spec.device,
        spec.context_window,
        spec.limits.max_concurrency,
        sorted(spec.options.items()),
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
