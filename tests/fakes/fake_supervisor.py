"""A supervisor without workers: shows prepared states and remembers what it was told."""

import datetime

from server.errors import ServiceError
from server.workers.health import BackendHealth, Crashes, LastAnswer, Outcome, WorkerHealth
from server.workers.ledger import Holding
from server.workers.planning import Plan
from server.workers.replacement_status import ReplacementState, ReplacementStatus
from server.workers.status import BackendStatus, DeviceStatus, WorkerState

SINCE = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def backend_status(backend_id: str, state: WorkerState, **fields: object) -> BackendStatus:
    values: dict[str, object] = {
        "detail": None,
        "since": SINCE,
        "in_flight": 0,
        "waiting": 0,
        "restarts": 0,
        "last_error": None,
    }
    return BackendStatus(backend_id=backend_id, state=state, **(values | fields))  # type: ignore[arg-type]  # a test's


class FakeSupervisor:
    """`told` holds the commands in order."""

    def __init__(self, *states: BackendStatus) -> None:
        self.states = {state.backend_id: state for state in states}
        self.told: list[tuple[str, str]] = []
        self.outcome = Outcome("answered", 0.25)

    def snapshot(self) -> list[BackendStatus]:
        return list(self.states.values())

    def state(self, backend_id: str) -> WorkerState:
        return self.states[backend_id].state

    def health(self, backend_id: str) -> BackendHealth:
        status = self.states[backend_id]
        is_ready = status.state is WorkerState.READY
        return BackendHealth(
            backend_id,
            is_ready,
            status.state,
            status.detail,
            SINCE,
            status.in_flight,
            status.waiting,
            status.restarts,
            last_error=status.last_error,
            last_answer=LastAnswer(SINCE, 1.5, 0.25, "request") if is_ready else None,
            worker=WorkerHealth(123, 60.0, 0.5) if is_ready else None,
            crashes=Crashes(2, 5, 300.0, False, None, SINCE, "ended by SIGKILL"),
        )

    async def probe(self, backend_id: str, limit_s: float) -> Outcome:
        self.told.append((f"probe for {limit_s:g} s", backend_id))
        return self.outcome

    def devices(self) -> list[DeviceStatus]:
        return [DeviceStatus("cpu", 1000, 400, ("be_b",), (Holding("be_a", 400, is_measured=True),), 600)]

    def plan(self, backend_id: str) -> Plan:
        return Plan(backend_id, "evicts", ("cpu",), 500, True, ("be_b",))

    def sleep(self, backend_id: str) -> bool:
        self.told.append(("sleep", backend_id))
        return self.states[backend_id].state is WorkerState.READY

    def pin(self, backend_id: str, is_pinned: bool) -> None:
        self.told.append(("pin" if is_pinned else "unpin", backend_id))

    def load(self, backend_id: str) -> None:
        self.told.append(("load", backend_id))
        self.states[backend_id] = backend_status(backend_id, WorkerState.STARTING)

    def stop(self, backend_id: str) -> None:
        self.told.append(("stop", backend_id))
        self.states[backend_id] = backend_status(backend_id, WorkerState.DRAINING)


class FakeReplacing:
    """Begins replacements that never end; `refusal` is raised instead."""

    def __init__(self, supervisor: FakeSupervisor) -> None:
        self.refusal: ServiceError | None = None
        self._supervisor = supervisor

    async def begin(self, backend_id: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self._supervisor.told.append(("replace", backend_id))
        status = ReplacementStatus(backend_id, 1, ReplacementState.STARTING, None, SINCE)
        state = self._supervisor.states[backend_id].state
        self._supervisor.states[backend_id] = backend_status(backend_id, state, replacement=status)
