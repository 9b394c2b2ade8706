"""Which models a caller sees. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from engines.contract.errors import ErrorCode
from engines.contract.spec import BackendSpec, Frontend
from server.caller import Caller
from server.errors import ServiceError


class Model(NamedTuple):
    """A public name and what is behind it."""

    frontend: Frontend
    backend: BackendSpec


def usable_models(backends: Iterable[BackendSpec], caller: Caller) -> list[Model]:
    """All models that `caller` may use, sorted by slug."""
    models = (Model(frontend, backend) for backend in backends for frontend in backend.frontends)
    usable = (model for model in models if caller.may_use_model(model.frontend.slug))
    return sorted(usable, key=lambda model: model.frontend.slug)


def find_model(backends: Iterable[BackendSpec], slug: str, caller: Caller) -> Model:
    """Raises ServiceError: MODEL_NOT_FOUND, MODEL_ACCESS_DENIED, in the gateway's words."""
    for backend in backends:
        for frontend in backend.frontends:
            if frontend.slug == slug:
                if not caller.may_use_model(slug):
                    raise ServiceError(ErrorCode.MODEL_ACCESS_DENIED, "This key may not use this model")
                return Model(frontend, backend)
    raise ServiceError(ErrorCode.MODEL_NOT_FOUND, "No model with this name is served here")
