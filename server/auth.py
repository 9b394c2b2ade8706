"""Who calls: a pure ASGI layer that lets nothing through without a key but a literal set of paths and media links.

Decides on `scope["path"]` and the Authorization header alone, before a byte of the body is read. Knows no
permission.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from engines.contract.errors import ErrorCode
from server.caller import Caller
from server.envelope import send_error
from server.errors import ServiceError
from server.keys import KeyRing
from server.media import PUBLIC_PATH as MEDIA_PATH
from server.settings import Settings

PUBLIC_PATHS = frozenset({"/health", "/health/live", "/health/ready"})
DOCS_PATHS = frozenset({"/docs", "/openapi.json"})
METRICS_PATH = "/metrics"
_SCHEME = b"bearer "


def public_paths(settings: Settings) -> frozenset[str]:
    """The paths that need no key under these settings."""
    paths = PUBLIC_PATHS
    if settings.docs_open:
        paths |= DOCS_PATHS
    if settings.metrics_public:
        paths |= {METRICS_PATH}
    return paths


class Authentication:
    """Answers 401, or sets `scope["state"]["caller"]` and goes on.

    Besides the literal paths, a path that is a media link as a whole needs no key: its token is the proof.
    """

    def __init__(self, app: ASGIApp, *, keys: KeyRing, public_paths: frozenset[str]) -> None:
        self._app = app
        self._keys = keys
        self._public_paths = public_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and self._is_public(scope)):
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        try:
            scope["state"]["caller"] = await self._identify(scope)
        except ServiceError as refusal:
            return await send_error(scope, send, refusal)
        await self._app(scope, receive, send)

    def _is_public(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path in self._public_paths:
            return True
        return scope["method"] in ("GET", "HEAD") and MEDIA_PATH.fullmatch(path) is not None

    async def _identify(self, scope: Scope) -> Caller:
        """Raises ServiceError: AUTH_TOKEN_MISSING, AUTH_TOKEN_INVALID."""
        values = [value for name, value in scope["headers"] if name == b"authorization"]
        if not values:
            raise ServiceError(ErrorCode.AUTH_TOKEN_MISSING, "send an API key as `Authorization: Bearer ...`")
        if len(values) == 1 and values[0][:7].lower() == _SCHEME:
            secret = values[0][7:].decode("latin-1")
            caller = self._keys.verify(secret) or await self._keys.verify_fresh(secret)
            if caller is not None:
                return caller
        raise ServiceError(ErrorCode.AUTH_TOKEN_INVALID, "the API key is not valid")
