"""How much memory each backend was seen to hold, kept for the next start. Knows no worker.

A measurement counts for one configuration: engine, weights, options, context, concurrency and device. With another one
the engine's own estimate counts again.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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

    def known_of(self, spec: BackendSpec) -> int | None:
        """What was measured of a backend, if it was configured as `spec` says."""
        is_same = self._fingerprints.get(spec.id) == fingerprint(spec)
        return self.known.get(spec.id) if is_same else None

    def replace(self, spec: BackendSpec) -> None:
        """From now on what is told of the backend is of this configuration."""
        if self.known_of(spec) is None:
            self.known.pop(spec.id, None)
            self._changed.discard(spec.id)
        self._fingerprints[spec.id] = fingerprint(spec)

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
        rows = [self._row(backend_id) for backend_id in self._changed]
        self._changed.clear()
        if not rows:
            return
        try:
            await database.write(lambda connection: _write(connection, rows))
        except ServiceError as error:
            log_event("measurements.unstored", reason=error.message)
            self._changed |= {row["backend_id"] for row in rows} & self.known.keys()

    def _row(self, backend_id: str) -> dict[str, Any]:
        return {
            "backend_id": backend_id,
            "fingerprint": self._fingerprints[backend_id],
            "size_bytes": self.known[backend_id],
            "measured_at": utc_now(),
        }


def _write(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    ids = [row["backend_id"] for row in rows]
    connection.execute(delete(memory_peaks).where(memory_peaks.c.backend_id.in_(ids)))
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
