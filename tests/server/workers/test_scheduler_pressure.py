"""Models that hold more than they were granted, and devices of which others take a part."""

from engines.contract.spec import BackendSpec
from server.workers.actions import Action, Grant, StartWorker, StopWorker
from server.workers.backoff import RestartPolicy
from server.workers.ledger import CPU, GIB, Memory
from server.workers.scheduler import Scheduler
from server.workers.status import WorkerState
from tests.fakes.specs import make_spec
from tests.server.workers.scheduling import state_of

NEEDS = {"be_a": 4 * GIB, "be_b": 3 * GIB, "be_c": 2 * GIB}
BUDGET = 10 * GIB


def make(*specs: BackendSpec) -> Scheduler:
    memory = Memory({CPU: BUDGET}, NEEDS, lambda spec: (CPU,))
    return Scheduler(
        specs or [make_spec(name) for name in NEEDS], RestartPolicy(), lambda: 0.0, 0.0, memory=memory
    )


def make_ready(scheduler: Scheduler, *names: str) -> None:
    for name in names:
        scheduler.on_load(0, name)
        scheduler.on_ready(0, name, 1.0)
        measure(scheduler, name, NEEDS[name] / GIB)


def measure(scheduler: Scheduler, name: str, size_gib: float, now: float = 1) -> list[Action]:
    return scheduler.on_measured(now, name, {CPU: int(size_gib * GIB)})


def test_idle_model_that_grew_over_the_budget_is_stopped_and_no_other() -> None:
    scheduler = make()
    make_ready(scheduler, "be_a", "be_b", "be_c")

    actions = measure(scheduler, "be_b", 5)

    assert actions == [StopWorker("be_b")]
    record = scheduler.records["be_b"]
    assert record.detail == "holds 5.00 GiB of cpu, was granted 3.00 GiB"
    assert record.evictions == {"pressure": 1}
    assert measure(scheduler, "be_a", 4) == [], "it leaves by itself"


def test_growth_within_the_budget_is_nobodys_business() -> None:
    scheduler = make()
    make_ready(scheduler, "be_a", "be_b")

    assert measure(scheduler, "be_b", 6) == []


def test_pinned_model_that_grew_comes_back_at_once() -> None:
    scheduler = make(make_spec("be_a"), make_spec("be_b", pinned=True), make_spec("be_c"))
    make_ready(scheduler, "be_a", "be_b", "be_c")

    assert measure(scheduler, "be_b", 5) == [StopWorker("be_b")]
    scheduler.on_exit(2, "be_b", None)

    assert state_of(scheduler, "be_b") in (WorkerState.QUEUED, WorkerState.STARTING)


def test_busy_model_that_grew_is_told_and_restarted_when_it_is_idle() -> None:
    scheduler = make()
    make_ready(scheduler, "be_a", "be_b")
    assert scheduler.on_request(1, 1, "be_a") == [Grant(1, "be_a")]
    scheduler.on_pin(1, "be_b", True)

    told = measure(scheduler, "be_a", 8)

    record = scheduler.records["be_a"]
    assert told == []
    assert record.detail == "holds 8.00 GiB of cpu, was granted 4.00 GiB, restarts when idle"
    assert state_of(scheduler) is WorkerState.READY
    assert scheduler.on_leave(2, 1) == [StopWorker("be_a")]


def test_a_model_that_shrinks_again_is_told_no_longer() -> None:
    scheduler = make()
    make_ready(scheduler, "be_a", "be_b")
    scheduler.on_request(1, 1, "be_a")
    scheduler.on_pin(1, "be_b", True)
    measure(scheduler, "be_a", 8)

    measure(scheduler, "be_a", 6)

    assert scheduler.records["be_a"].detail is None
    assert scheduler.on_leave(2, 1) == []


def test_far_beyond_the_budget_a_busy_model_is_killed_and_no_other_request_gets_it() -> None:
    scheduler = make()
    make_ready(scheduler, "be_a")
    scheduler.on_request(1, 1, "be_a")

    actions = measure(scheduler, "be_a", 13)

    assert actions == [StopWorker("be_a", "holds 13.00 GiB of cpu, was granted 4.00 GiB")]
    assert scheduler.on_request(1, 2, "be_a") == []
    assert measure(scheduler, "be_a", 13) == [], "once is enough"


def test_what_a_model_took_beyond_its_device_is_not_what_it_needs() -> None:
    """A leak must not keep its model out for ever: it is let in with the whole device."""
    scheduler = make()
    make_ready(scheduler, "be_a")
    measure(scheduler, "be_a", 12)
    scheduler.on_exit(2, "be_a", None)

    assert scheduler.records["be_a"].needs[CPU] == BUDGET
    assert scheduler.on_load(3, "be_a") == [StartWorker("be_a")]


def test_load_that_takes_more_than_its_grant_displaces_idle_models() -> None:
    scheduler = make()
    make_ready(scheduler, "be_a", "be_b")
    scheduler.on_load(1, "be_c")

    assert measure(scheduler, "be_c", 5) == [StopWorker("be_a")]


def test_device_that_shrank_lets_loads_wait_until_it_grows() -> None:
    """Others hold so much of it that nothing is free, whatever the budget leaves; what is loaded stays."""
    scheduler = make()
    make_ready(scheduler, "be_a")
    scheduler.on_request(1, 1, "be_a")
    scheduler.on_free(1, {CPU: 2 * GIB})

    waits = scheduler.on_load(1, "be_b")

    assert waits == []
    assert scheduler.records["be_b"].detail == (
        "needs 3.00 GiB on cpu, 2.00 GiB are free; held by be_a 4.00 GiB"
    )
    assert state_of(scheduler) is WorkerState.READY
    assert scheduler.on_free(2, {CPU: 3 * GIB}) == [StartWorker("be_b")]


def test_device_that_shrank_lets_idle_models_give_way() -> None:
    scheduler = make()
    make_ready(scheduler, "be_a")
    scheduler.on_free(1, {CPU: 1 * GIB})

    assert scheduler.on_load(1, "be_b") == [StopWorker("be_a")]


def test_budget_that_is_lowered_is_kept_at_the_next_look() -> None:
    scheduler = make()
    make_ready(scheduler, "be_a", "be_b", "be_c")
    scheduler.ledger.budgets[CPU] = 7 * GIB

    assert measure(scheduler, "be_b", 3) == [StopWorker("be_a")]
