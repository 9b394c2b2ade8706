"""How long each backend took to load, kept for plans. Knows no worker.

As with measured memory, a time counts for one configuration; with another one it is forgotten.
"""

import asyncio
from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from engines.contract.spec import BackendSpec
from server.clock import utc_now
from server.errors import ServiceError
from server.measurements import fingerprint
from server.store import Store
from server.store.database import Database
from server.store.schema import load_times
from server.telemetry import log_event

WRITE_EVERY_S = 30.0


class LoadTimes:
    """`tell` adds what was seen, `run` stores it from time to time."""

    def __init__(self, store: Store) -> None:
        """Blocks. Raises SQLAlchemyError."""
        with store.reading() as connection:
            rows = connection.execute(select(load_times)).mappings().all()
        self._known = {row["backend_id"]: (row["fingerprint"], row["seconds"]) for row in rows}
        self._changed: set[str] = set()

    def of(self, specs: Iterable[BackendSpec]) -> dict[str, float]:
        """The last load of each as it is configured now, by backend id, in seconds."""
        found = ((spec, self._known.get(spec.id)) for spec in specs)
        return {spec.id: seen[1] for spec, seen in found if seen and seen[0] == fingerprint(spec)}

    def tell(self, spec: BackendSpec, seconds: float) -> None:
        self._known[spec.id] = (fingerprint(spec), seconds)
        self._changed.add(spec.id)

    async def run(self, database: Database) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.store(database)

    async def store(self, database: Database) -> None:
        rows = [self._row(backend_id) for backend_id in self._changed]
        if not rows:
            return
        self._changed.clear()
        try:
            await database.write(lambda connection: _write(connection, rows))
        except ServiceError as error:
            log_event("load_times.unstored", reason=error.message)
            self._changed |= {str(row["backend_id"]) for row in rows}

    def _row(self, backend_id: str) -> dict[str, object]:
        written, seconds = self._known[backend_id]
        return {
            "backend_id": backend_id,
            "fingerprint": written,
            "seconds": seconds,
            "measured_at": utc_now(),
        }


def _write(connection: Connection, rows: list[dict[str, object]]) -> None:
    names = [row["backend_id"] for row in rows]
    connection.execute(delete(load_times).where(load_times.c.backend_id.in_(names)))
    connection.execute(insert(load_times), rows)
