"""Which models a caller sees. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from engines.contract.errors import ErrorCode
from engines.contract.spec import BackendSpec, Frontend
from server.caller import Caller
from server.errors import ServiceError


class Model(NamedTuple):
    """A public name and the backends behind it, which differ in nothing but their devices."""

    frontend: Frontend
    replicas: tuple[BackendSpec, ...]

    @property
    def backend(self) -> BackendSpec:
        """What all replicas say."""
        return self.replicas[0]


def usable_models(backends: Iterable[BackendSpec], caller: Caller) -> list[Model]:
    """All models that `caller` may use, sorted by slug."""
    usable = (model for model in _models(backends) if caller.may_use_model(model.frontend.slug))
    return sorted(usable, key=lambda model: model.frontend.slug)


def find_model(backends: Iterable[BackendSpec], slug: str, caller: Caller) -> Model:
    """Raises ServiceError: MODEL_NOT_FOUND, MODEL_ACCESS_DENIED, in the gateway's words."""
    for model in _models(backends):
        if model.frontend.slug == slug:
            if not caller.may_use_model(slug):
                raise ServiceError(ErrorCode.MODEL_ACCESS_DENIED, "This key may not use this model")
            return model
    raise ServiceError(ErrorCode.MODEL_NOT_FOUND, "No model with this name is served here")


def _models(backends: Iterable[BackendSpec]) -> list[Model]:
    found: dict[str, Model] = {}
    for backend in backends:
        for frontend in backend.frontends:
            others = found[frontend.slug].replicas if frontend.slug in found else ()
            found[frontend.slug] = Model(frontend, (*others, backend))
    return list(found.values())
