"""The backends that are served now, each replaceable by what its file says later. Knows no worker.

The one owner of their specs: whoever keeps something made of them asks to be told, and is told in the same call.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from engines.contract.engine import MemoryEstimate
from engines.contract.spec import BackendSpec
from server.catalog.problems import CatalogError, Problem
from server.catalog.reader import Catalog, read_files
from server.catalog.replicas import expand


class Version(msgspec.Struct, frozen=True):
    """A backend as its file describes it at one time; `estimate` is None where its engine cannot reckon."""

    spec: BackendSpec
    estimate: MemoryEstimate | None


class LiveCatalog:
    """`backends` and `estimates` by id: read them, never write them. `put` is the only way they change."""

    def __init__(
        self, catalog: Catalog, reckon: Callable[[Iterable[BackendSpec]], dict[str, MemoryEstimate]]
    ) -> None:
        """`reckon` estimates by id, from sizes of weights."""
        self._reckon = reckon
        self.backends = dict(catalog.backends)
        self.estimates = reckon(catalog.backends.values())
        self._files = dict(catalog.files)
        self._listeners: list[Callable[[BackendSpec], None]] = []

    def on_change(self, listener: Callable[[BackendSpec], None]) -> None:
        self._listeners.append(listener)

    def read_again(self, backend_id: str) -> Version:
        """What the file of a known backend says now. Blocks. Raises CatalogError with every problem of the file."""
        file = self._files[backend_id]
        specs, problems = read_files([file])
        if problems:
            raise CatalogError(problems)
        found = {replica.id: replica for spec in specs.values() for replica in expand(spec)}
        if backend_id not in found:
            message = (
                f"and `replicas` must make `{backend_id}` again: a new backend needs a start of the server"
            )
            raise CatalogError([Problem(file, "id", message)])
        spec = found[backend_id]
        return Version(spec, self._reckon([spec]).get(spec.id))

    def check(self, version: Version) -> None:
        """Raises CatalogError if `version` cannot be served beside the backends of other files."""
        if problems := list(self._clashes(version.spec)):
            raise CatalogError(problems)

    def put(self, version: Version) -> None:
        """From now on the backend is served as `version` says."""
        spec = version.spec
        self.backends[spec.id] = spec
        self.estimates.pop(spec.id, None)
        if version.estimate is not None:
            self.estimates[spec.id] = version.estimate
        for listener in self._listeners:
            listener(spec)

    def _clashes(self, spec: BackendSpec) -> Iterator[Problem]:
        file = self._files[spec.id]
        owners = {
            frontend.slug: other.id
            for other in self.backends.values()
            if self._files[other.id] != file
            for frontend in other.frontends
        }
        for number, frontend in enumerate(spec.frontends):
            if frontend.slug in owners:
                message = f"`{frontend.slug}` is already taken by {owners[frontend.slug]}"
                yield Problem(file, f"frontends[{number}]", message)
