"""The health of one backend as an answer: what is known of it, and whether it is well. Decides nothing else."""

import msgspec

from engines.contract.errors import ErrorCode
from server.envelope import Json, error_body, success
from server.errors import ServiceError
from server.workers.health import BackendHealth, Outcome

PROBE_S = 10.0
MAX_PROBE_S = 600.0


def health_answer(health: BackendHealth, probe: Outcome | None, request_id: str) -> Json:
    """`probe` is None if none was asked for; then the state decides."""
    data: dict[str, object] = msgspec.structs.asdict(health) | {"probe": probe}
    is_well = health.is_ready if probe is None else probe.is_healthy
    if is_well:
        return Json(success(data, request_id))
    retry_in_s = health.crashes.retry_in_s
    error = ServiceError(
        ErrorCode.MODEL_UNAVAILABLE,
        _reason(health, probe),
        retry_after_s=None if retry_in_s is None else max(1, round(retry_in_s)),
    )
    headers = {"Retry-After": str(error.retry_after_s)}
    return Json(error_body(error, request_id) | {"data": data}, status_code=error.status, headers=headers)


def _reason(health: BackendHealth, probe: Outcome | None) -> str:
    if probe is not None and probe.outcome == "timed_out":
        return f"{health.backend_id} did not answer within {probe.took_s:g} s"
    if probe is not None and probe.outcome == "failed":
        return f"{health.backend_id} did not answer: {probe.message}"
    why = health.detail or health.last_error
    return f"{health.backend_id} is {health.state}" + (f": {why}" if why else "")
