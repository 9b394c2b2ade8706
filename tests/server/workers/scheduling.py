"""Short words for tests of the scheduler."""

from collections.abc import Sequence

from engines.contract.errors import ErrorCode
from engines.contract.spec import BackendSpec, Limits
from server.workers.actions import Action, Grant, Refuse, StartWorker
from server.workers.backoff import RestartPolicy
from server.workers.scheduler import Scheduler
from server.workers.status import WorkerState
from tests.fakes.specs import make_spec

TIGHT = Limits(max_concurrency=2, max_queue=3, queue_timeout_s=30, load_timeout_s=100, request_timeout_s=600)


def make_scheduler(*specs: BackendSpec, jitter: float = 0.0) -> Scheduler:
    return Scheduler(specs or (make_spec(limits=TIGHT),), RestartPolicy(), lambda: jitter, 0.0)


def make_ready(scheduler: Scheduler, backend_id: str = "be_a", now: float = 0.0) -> list[Action]:
    return scheduler.on_load(now, backend_id) + scheduler.on_ready(now, backend_id)


def state_of(scheduler: Scheduler, backend_id: str = "be_a") -> WorkerState:
    return scheduler.records[backend_id].state


def request(scheduler: Scheduler, now: float, *tickets: int) -> list[Action]:
    return [action for ticket in tickets for action in scheduler.on_request(now, ticket, "be_a")]


def tickets_granted(actions: Sequence[Action]) -> list[int]:
    return [action.ticket for action in actions if isinstance(action, Grant)]


def refusals(actions: Sequence[Action]) -> list[tuple[int, ErrorCode, int | None]]:
    return [(a.ticket, a.error.code, a.error.retry_after_s) for a in actions if isinstance(a, Refuse)]


def crash_until_failed(scheduler: Scheduler, now: float = 0.0) -> float:
    """Five deaths, each at once after the restart; returns the time of the last."""
    scheduler.on_load(now, "be_a")
    for _ in range(4):
        scheduler.on_exit(now, "be_a", "ended by SIGSEGV")
        now = scheduler.records["be_a"].not_before
        assert scheduler.on_tick(now) == [StartWorker("be_a")]
    scheduler.on_exit(now, "be_a", "ended by SIGSEGV")
    return now
