"""The store, the address and the models, as `hearth serve` would find them. Opens the store for reading only."""

import errno
import fcntl
import socket
from pathlib import Path

import httpx
from sqlalchemy.exc import SQLAlchemyError

from server.catalog import CatalogError, read_catalog
from server.doctor.facts import PortState, Serving, StoreState, Weights
from server.doctor.gathering.engines import server_mismatches
from server.settings import Settings
from server.store import StoreError, path_of, reach
from server.store.sqlite_file import is_whole

PROBE_TIMEOUT_S = 3.0


def look_at_serving(settings: Settings) -> Serving:
    store_state, store_detail = _look_at_store(settings.store_url)
    port_state, port_detail = _look_at_port(settings)
    problems, weights = _look_at_models(settings.models_dir)
    return Serving(
        store=settings.redacted_url,
        store_state=store_state,
        store_detail=store_detail,
        address=f"{settings.host} port {settings.port}",
        port_state=port_state,
        port_detail=port_detail,
        model_problems=problems,
        weights=weights,
        server_mismatches=server_mismatches(),
    )


def _look_at_store(url: str) -> tuple[StoreState, str | None]:
    path = path_of(url)
    try:
        if path is None:
            reach(url)
            return StoreState.WHOLE, None
        if not path.exists():
            return StoreState.ABSENT, None
        if is_locked(path.resolve().with_name(f"{path.resolve().name}.lock")):
            return StoreState.IN_USE, None
        return (StoreState.WHOLE if is_whole(path) else StoreState.DAMAGED), None
    except (StoreError, SQLAlchemyError, OSError) as error:
        return StoreState.UNREACHABLE, str(error) if isinstance(error, StoreError) else type(error).__name__


def is_locked(lock: Path) -> bool:
    """Whether a running server holds it."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _look_at_port(settings: Settings) -> tuple[PortState, str | None]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host.strip("[]"), settings.port), family=family).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return PortState.FORBIDDEN, error.strerror
        is_ours = is_locked(settings.data_dir / "server.lock") and _answers_as_hearth(settings)
        return (PortState.OURS if is_ours else PortState.TAKEN), None
    return PortState.FREE, None


def _answers_as_hearth(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    address = f"[{host}]" if ":" in host else host
    try:
        with httpx.Client(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
            return bool(
                client.get(f"http://{address}:{settings.port}/health/live").json() == {"status": "ok"}
            )
    except (httpx.HTTPError, ValueError):
        return False


def _look_at_models(models_dir: Path) -> tuple[tuple[str, ...], tuple[Weights, ...]]:
    try:
        catalog = read_catalog(models_dir)
    except CatalogError as error:
        return tuple(map(str, error.problems)), ()
    return (), tuple(
        Weights(spec.id, spec.weights, _has_content(Path(spec.weights))) for spec in catalog.backends.values()
    )


def _has_content(path: Path) -> bool:
    try:
        return any(path.iterdir()) if path.is_dir() else path.stat().st_size > 0
    except OSError:
        return False
