"""Finds the backends behind a public model name; pure."""

from collections.abc import Iterable

from engines.contract.errors import ErrorCode
from engines.contract.spec import BackendSpec
from server.errors import ServiceError

Replicas = tuple[BackendSpec, ...]


class Router:
    """An index of all frontends. Backends with the same public name are replicas of each other: the catalog has seen to
    it that they differ in nothing but their devices.
    """

    def __init__(self, backends: Iterable[BackendSpec]) -> None:
        self.frontends: dict[str, Replicas] = {}
        for backend in backends:
            for frontend in backend.frontends:
                self.frontends[frontend.slug] = (*self.frontends.get(frontend.slug, ()), backend)
        self._by_id = {backend.id: group for group in self.frontends.values() for backend in group}

    def resolve(self, slug: str) -> Replicas:
        """Raises ServiceError(MODEL_NOT_FOUND)."""
        found = self.frontends.get(slug)
        if found is None:
            raise ServiceError(ErrorCode.MODEL_NOT_FOUND, "No model with this name is served here")
        return found

    def replicas_of(self, backend_id: str) -> Replicas:
        """The backend and all others of the same model. Raises KeyError for an unknown id."""
        return self._by_id[backend_id]
