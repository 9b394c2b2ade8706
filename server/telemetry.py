"""What the server tells its operator: JSON-lines events and Prometheus metrics. Knows no request, only
fields.

An event is `noun.verb` with fields from an allow-list; never prompts, answers, keys, headers or query
strings.
"""

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from traceback import extract_tb
from types import MappingProxyType
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from engines.contract.types import Usage

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)

Field = str | int | float | bool | None

# fmt: off
LOGGED_FIELDS = frozenset(
    {
        "actor", "attempt", "backend", "backend_id", "backends", "client", "code", "count", "data_dir",
        "delay_s", "detail", "device", "duration_s", "engine", "error", "exit_code", "expires_at",
        "field", "file", "frames", "free_bytes", "frontend", "host", "in_flight", "key_id", "kind",
        "load_s", "method", "missing", "model", "models_dir", "name", "num_backends", "num_keys",
        "num_requests", "permissions", "phase", "pid", "port", "priority", "protocol", "reason",
        "restarts", "retry_after_s", "route", "rss_bytes", "settings", "signal", "size_bytes",
        "slug", "state", "status", "store", "stream", "timeout_s", "version", "waiting",
    }
)
# fmt: on
_MAX_TEXT = 500
_NO_LABEL = "none"
_UNKNOWN = "unknown"
_TENANT = "default"
_logger = logging.getLogger("hearth")


def log_event(
    event: str, *, level: int = logging.INFO, exception: BaseException | None = None, **fields: Field
) -> None:
    """One line for the operator. `exception` is told by type and place, never by its text: that may quote a
    prompt.
    """
    if _logger.isEnabledFor(level):
        _logger.log(level, event, extra={"fields": fields, "failure": exception})


def configure_logging(level: str = "info", stream: TextIO | None = None) -> None:
    """Send everything, also what libraries log, as JSON lines to `stream` (stderr). Replaces earlier
    handlers.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _logger.setLevel(level.upper())


class JsonLines(logging.Formatter):
    """Renders a record as one JSON object. Of a library's record only the template is kept, not its
    arguments.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] | None = getattr(record, "fields", None)
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": str(record.msg) if fields is not None else "library.message",
        }
        if (request_id := request_id_var.get()) is not None:
            line["request_id"] = request_id
        if fields is None:
            line |= {"logger": record.name, "template": _cut(str(record.msg).partition("\n")[0])}
        else:
            line |= _allowed(fields)
        failure = getattr(record, "failure", None) or (record.exc_info[1] if record.exc_info else None)
        if failure is not None:
            line |= _trace(failure)
        return json.dumps(line, default=str)


def _allowed(fields: dict[str, object]) -> dict[str, object]:
    kept = {name: _cut(value) for name, value in fields.items() if name in LOGGED_FIELDS}
    if len(kept) < len(fields):
        kept["dropped_fields"] = sorted(fields.keys() - LOGGED_FIELDS)
    return kept


def _cut(value: object) -> object:
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)[:_MAX_TEXT]


def _trace(failure: BaseException) -> dict[str, object]:
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(failure.__traceback__)]
    return {"exception": type(failure).__name__, "frames": frames[-20:]}


class Metrics:
    """Prometheus metrics on their own registry. Model and backend labels come from the given names only."""

    def __init__(self, models: Iterable[str] = (), backends: Iterable[str] = ()) -> None:
        self._models = frozenset(models)
        self._backends = frozenset(backends)
        self.registry = CollectorRegistry()
        self._requests = self._counter(
            "scaigrid_requests_total", "Requests ended", "model", "status", "protocol"
        )
        self._durations = self._histogram(
            "scaigrid_request_duration_seconds",
            "From the request's head to the last byte",
            "model",
            "backend",
        )
        self._tokens = self._counter(
            "scaigrid_tokens_total", "Tokens read and made", "model", "direction", "tenant_id"
        )
        self._first_tokens = self._histogram(
            "scaigrid_time_to_first_token_seconds", "From the request's head to the first token", "model"
        )
        self._health = self._gauge("scaigrid_backend_health", "1 if the backend answers", "backend_id")
        self._in_flight = self._gauge(
            "scaigrid_backend_inflight_requests", "Requests running in the backend", "backend_id"
        )
        self._breaker = self._gauge(
            "scaigrid_circuit_breaker_state",
            "1 if the backend is given up after repeated failures",
            "backend_id",
        )
        self._states = self._gauge(
            "hearth_backend_state", "1 for the state that the backend is in", "backend_id", "state"
        )
        self._last_states: dict[str, str] = {}
        self._waiting = self._gauge(
            "hearth_backend_waiting_requests", "Requests waiting for the backend", "backend_id"
        )
        self._load_seconds = self._gauge(
            "hearth_backend_load_seconds", "What the last load took", "backend_id"
        )
        self._wake_seconds = self._gauge(
            "hearth_backend_wake_seconds", "What the last wake took", "backend_id"
        )
        self._restarts = self._counter("hearth_worker_restarts_total", "Workers started again", "backend_id")
        self._seen: dict[tuple[Counter, *tuple[str, ...]], int] = {}
        self._sizes = self._gauge("hearth_backend_memory_bytes", "Memory held by the backend", "backend_id")
        self._evictions = self._counter(
            "hearth_evictions_total",
            "Idle backends stopped to make room or by their time",
            "backend_id",
            "cause",
        )
        self._budgets = self._gauge("hearth_device_budget_bytes", "What models may hold together", "device")
        self._used = self._gauge("hearth_device_used_bytes", "What models hold, or were granted", "device")
        self._disconnects = self._counter(
            "hearth_disconnects_total", "Clients that left before their answer ended"
        )
        self._batches = self._gauge("hearth_batches", "Batches by state", "state")
        self._lines = self._counter("hearth_batch_lines_total", "Lines of batches ended", "model", "outcome")
        self._line_durations = self._histogram(
            "hearth_batch_line_seconds", "From the start of a line's last attempt to its outcome", "model"
        )
        self._batch_paused = self._gauge("hearth_batch_paused", "1 while batches pause for want of disk")
        self._commits = self._counter("hearth_store_commits_total", "Transactions committed to the store")
        self._webhooks = self._counter("hearth_webhooks_total", "Deliveries tried", "outcome")

    def know(self, models: Iterable[str]) -> None:
        """Further names that may be labels."""
        self._models |= frozenset(models)

    def observe_request(
        self, *, model: str | None, backend: str | None, status: int, protocol: str, duration_s: float
    ) -> None:
        model = _bounded(model, self._models)
        self._requests.labels(model, str(status), protocol).inc()
        self._durations.labels(model, _bounded(backend, self._backends)).observe(duration_s)

    def count_tokens(self, model: str, usage: Usage) -> None:
        model = _bounded(model, self._models)
        self._tokens.labels(model, "input", _TENANT).inc(usage.prompt_tokens)
        self._tokens.labels(model, "output", _TENANT).inc(usage.completion_tokens)

    def observe_first_token(self, model: str, seconds: float) -> None:
        self._first_tokens.labels(_bounded(model, self._models)).observe(seconds)

    def set_backend(
        self,
        backend_id: str,
        *,
        is_healthy: bool,
        in_flight: int,
        is_given_up: bool,
        restarts: int,
        state: str,
        waiting: int = 0,
        load_s: float | None = None,
        wake_s: float | None = None,
        size_bytes: int = 0,
        evictions: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """How a backend is now; `restarts` and `evictions` (by cause) are numbers since the server's start."""
        backend_id = _bounded(backend_id, self._backends)
        self._set_state(backend_id, state)
        self._waiting.labels(backend_id).set(waiting)
        if load_s is not None:
            self._load_seconds.labels(backend_id).set(load_s)
        if wake_s is not None:
            self._wake_seconds.labels(backend_id).set(wake_s)
        self._health.labels(backend_id).set(is_healthy)
        self._in_flight.labels(backend_id).set(in_flight)
        self._breaker.labels(backend_id).set(is_given_up)
        self._count_up(self._restarts, restarts, backend_id)
        self._sizes.labels(backend_id).set(size_bytes)
        for cause, number in evictions.items():
            self._count_up(self._evictions, number, backend_id, cause)

    def _set_state(self, backend_id: str, state: str) -> None:
        before = self._last_states.get(backend_id)
        if before is not None:
            self._states.labels(backend_id, before).set(0)
        self._states.labels(backend_id, state).set(1)
        self._last_states[backend_id] = state

    def set_device(self, device: str, *, budget_bytes: int, used_bytes: int) -> None:
        self._budgets.labels(device).set(budget_bytes)
        self._used.labels(device).set(used_bytes)

    def count_disconnect(self) -> None:
        self._disconnects.inc()

    def set_batches(self, counts: Mapping[str, int]) -> None:
        """How many batches are in each state now; states that are not named have none."""
        self._batches.clear()
        for state, count in counts.items():
            self._batches.labels(state).set(count)

    def count_line(self, model: str | None, outcome: str, duration_s: float | None = None) -> None:
        """A line of a batch has ended; `duration_s` is None if it never reached a model."""
        model = _bounded(model, self._models)
        self._lines.labels(model, outcome).inc()
        if duration_s is not None:
            self._line_durations.labels(model).observe(duration_s)

    def set_batch_paused(self, is_paused: bool) -> None:
        self._batch_paused.set(is_paused)

    def count_commit(self) -> None:
        self._commits.inc()

    def count_webhook(self, outcome: str) -> None:
        self._webhooks.labels(outcome).inc()

    def render(self) -> bytes:
        """The text that GET /metrics answers."""
        return generate_latest(self.registry)

    def _count_up(self, counter: Counter, total: int, *labels: str) -> None:
        """`total` is the number since the server's start, read as often as one likes."""
        counter.labels(*labels).inc(total - self._seen.get((counter, *labels), 0))
        self._seen[counter, *labels] = total

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=_BUCKETS_S)


_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


def _bounded(name: str | None, known: frozenset[str]) -> str:
    return _NO_LABEL if name is None else name if name in known else _UNKNOWN
