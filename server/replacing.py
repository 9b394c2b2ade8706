"""Brings the new version of a backend up beside the old one: reads its file again, and has the workers swapped.

Everything that is made of a backend's spec changes in one call, at the moment when the traffic does. Knows no HTTP.
"""

import asyncio
import functools
from collections.abc import Callable

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from server.catalog import CatalogError, LiveCatalog
from server.catalog.live import Version
from server.errors import FieldProblem, ServiceError
from server.measurements import Measurements
from server.workers.devices import need_bytes
from server.workers.ledger import Need
from server.workers.supervisor import Supervisor


class Replacing:
    """`devices_of` says on which devices a backend computes."""

    def __init__(
        self,
        catalog: LiveCatalog,
        supervisor: Supervisor,
        measurements: Measurements,
        *,
        devices_of: Callable[[BackendSpec], tuple[str, ...]],
    ) -> None:
        self._catalog = catalog
        self._supervisor = supervisor
        self._measurements = measurements
        self._devices_of = devices_of

    async def begin(self, backend_id: str) -> None:
        """Returns as soon as the new version is on its way; the backend's status tells how it goes on.

        Raises ServiceError: VALIDATION_ERROR with the problems of the file; CONFLICT if a replacement is under way or
        there can be no room for both; SHUTTING_DOWN.
        """
        try:
            version = await asyncio.to_thread(self._catalog.read_again, backend_id)
            self._catalog.check(version)
        except CatalogError as error:
            raise _invalid(error) from error
        try:
            accept = functools.partial(self._accept, version)
            self._supervisor.replace(version.spec, self._need(version), accept)
        except EngineError as error:
            raise ServiceError.from_engine(error) from error

    def _need(self, version: Version) -> Need:
        measured = self._measurements.known_of(version.spec)
        reckoned = need_bytes(version.estimate, self._devices_of(version.spec))
        return Need(measured or reckoned, version.estimate.weights_bytes if version.estimate else 0)

    def _accept(self, version: Version) -> None:
        """Raises EngineError(CONFLICT) if another backend has taken a name of it since."""
        try:
            self._catalog.check(version)
        except CatalogError as error:
            raise EngineError(ErrorCode.CONFLICT, _invalid(error).message) from error
        self._catalog.put(version)


def _invalid(error: CatalogError) -> ServiceError:
    """Names file and key of each problem, not the folder."""
    details = tuple(
        FieldProblem(problem.path or "file", f"{problem.file.name}: {problem.message}")
        for problem in error.problems
    )
    first = error.problems[0]
    where = f"{first.file.name}: {first.path}" if first.path else first.file.name
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    message = f"{where}: {first.message}{more}"
    return ServiceError(ErrorCode.VALIDATION_ERROR, message, details=details)
