"""What a route may ask for: the services behind the app, the caller, the request id. Constructs nothing."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request

from engines.contract.errors import ErrorCode
from engines.contract.spec import BackendSpec
from server.batch.intake import Intake
from server.batch.runner import BatchRunner
from server.batch.service import Batches
from server.batch.upkeep import Upkeep
from server.caller import Caller, Permission
from server.disk import DiskGuard
from server.errors import ServiceError
from server.files import FileStore
from server.gateway import Gateway
from server.http.readiness import Readiness
from server.http.uploads import Spool
from server.idempotency import Idempotency
from server.keys import KeyRing
from server.load_times import LoadTimes
from server.measurements import Measurements
from server.media import MediaStore
from server.remote import RemoteFiles
from server.replacing import Replacing
from server.settings import Settings
from server.store.backup import Backups
from server.store.database import Database
from server.telemetry import Metrics

if TYPE_CHECKING:
    from server.catalog import LiveCatalog
    from server.workers.status import BackendStatus
    from server.workers.supervisor import Supervisor


@dataclass(frozen=True)
class Services:
    """Everything that routes use, put together in `app.py`."""

    settings: Settings
    catalog: "LiveCatalog"
    gateway: Gateway
    supervisor: "Supervisor"
    keys: KeyRing
    media: MediaStore
    metrics: Metrics
    remote: RemoteFiles
    uploads: Spool
    database: Database
    idempotency: Idempotency
    disk: DiskGuard
    files: FileStore
    intake: Intake
    batches: Batches
    runner: BatchRunner
    upkeep: Upkeep
    measurements: Measurements
    load_times: LoadTimes
    replacing: Replacing
    backups: Backups
    readiness: Readiness = field(default_factory=Readiness)


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


def caller(request: Request) -> Caller:
    """The owner of the key; on public paths there is none and asking is a bug."""
    found: Caller = request.scope["state"]["caller"]
    return found


def request_id(request: Request) -> str:
    found: str = request.scope["state"]["request_id"]
    return found


def base_url(request: Request) -> str:
    """What absolute links begin with. A Host that is not the operator's has been refused before."""
    settings = services(request).settings
    if settings.public_url is not None:
        return settings.public_url
    return f"{'https' if settings.behind_tls_proxy else 'http'}://{request.headers['host']}"


def backend_states(hub: Services) -> dict[str, "BackendStatus"]:
    """The state of every backend now, by its id."""
    return {status.backend_id: status for status in hub.supervisor.snapshot()}


def put_to_sleep(hub: Services, *specs: BackendSpec) -> None:
    """All that can. Raises ServiceError(CONFLICT) if none of the backends is ready and can sleep."""
    if not any([hub.supervisor.sleep(spec.id) for spec in specs]):
        raise ServiceError(
            ErrorCode.CONFLICT,
            f"{specs[0].id} is not ready, or cannot sleep: it would free next to nothing,"
            " its file says `sleep_for: 0`, or sleeping models hold all that they may",
        )


def require(request: Request, permission: Permission) -> Caller:
    """The caller, if the key carries `permission`. Raises ServiceError(AUTHZ_PERMISSION_DENIED)."""
    found = caller(request)
    if not found.may(permission):
        raise ServiceError(ErrorCode.AUTHZ_PERMISSION_DENIED, f"this needs the permission {permission}")
    return found
