"""Finds the backend behind a public model name; pure."""

from collections.abc import Iterable

from engines.contract.errors import ErrorCode
from engines.contract.spec import BackendSpec, Frontend
from server.errors import ServiceError


class Router:
    """An index of all frontends. Slugs are unique over all backends: the catalog has seen to that."""

    def __init__(self, backends: Iterable[BackendSpec]) -> None:
        self.index(backends)

    def index(self, backends: Iterable[BackendSpec]) -> None:
        """From now on these are all the backends there are."""
        self.frontends: dict[str, tuple[Frontend, BackendSpec]] = {
            frontend.slug: (frontend, backend) for backend in backends for frontend in backend.frontends
        }

    def resolve(self, slug: str) -> BackendSpec:
        """Raises ServiceError(MODEL_NOT_FOUND)."""
        found = self.frontends.get(slug)
        if found is None:
            raise ServiceError(ErrorCode.MODEL_NOT_FOUND, "No model with this name is served here")
        return found[1]
