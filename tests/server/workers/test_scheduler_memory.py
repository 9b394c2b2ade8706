"""Loads by the ledger: what fits starts, what does not makes room, waits its turn, or is refused with numbers."""

from engines.contract.errors import ErrorCode
from engines.contract.types import Priority
from server.workers.actions import StartWorker, StopWorker
from server.workers.admission import BATCH_PATIENCE_S
from server.workers.backoff import RestartPolicy
from server.workers.ledger import GIB, Memory
from server.workers.planning import Plan, plan
from server.workers.scheduler import Scheduler
from server.workers.status import WorkerState
from tests.fakes.specs import make_spec
from tests.server.workers.scheduling import TIGHT, refusals, state_of, tickets_granted

BUDGET = 10 * GIB
NEEDS = {"be_a": 4 * GIB, "be_b": 5 * GIB, "be_c": 6 * GIB, "be_huge": 20 * GIB}


def make(*names: str, **spec: object) -> Scheduler:
    specs = [make_spec(name, limits=TIGHT, **spec) for name in names]  # type: ignore[arg-type]  # a test's
    memory = Memory({"cpu": BUDGET}, NEEDS, lambda spec: ("cpu",))
    return Scheduler(specs, RestartPolicy(), lambda: 0.0, 0.0, memory=memory)


def bring_up(scheduler: Scheduler, *names: str, now: float = 0.0) -> None:
    for name in names:
        assert scheduler.on_load(now, name) == [StartWorker(name)]
        scheduler.on_ready(now, name, 5.0)


def test_what_fits_starts_beside_what_is_there() -> None:
    scheduler = make("be_a", "be_b")
    bring_up(scheduler, "be_a", "be_b")

    assert scheduler.ledger.used_bytes("cpu") == 9 * GIB


def test_an_idle_model_gives_way() -> None:
    scheduler = make("be_a", "be_b", "be_c")
    bring_up(scheduler, "be_a", "be_b")

    stopping = scheduler.on_request(100, 1, "be_c")
    starting = scheduler.on_exit(101, "be_b", None)

    assert stopping == [StopWorker("be_b")]
    assert scheduler.records["be_b"].evictions == {"memory": 1}
    assert starting == [StartWorker("be_c")]
    assert state_of(scheduler, "be_a") is WorkerState.READY


def test_a_model_with_running_requests_never_gives_way() -> None:
    scheduler = make("be_b", "be_c")
    bring_up(scheduler, "be_b")
    scheduler.on_request(1, 1, "be_b")

    waiting = scheduler.on_request(2, 2, "be_c")
    detail = scheduler.records["be_c"].detail
    after_it_ended = scheduler.on_leave(3, 1)

    assert waiting == []
    assert detail == "needs 6.00 GiB on cpu, 5.00 GiB are free; held by be_b 5.00 GiB"
    assert after_it_ended == [StopWorker("be_b")]


def test_a_pinned_model_never_gives_way_until_it_is_unpinned() -> None:
    scheduler = make("be_b", "be_c")
    bring_up(scheduler, "be_b")
    scheduler.on_pin(1, "be_b", True)

    assert scheduler.on_request(2, 1, "be_c") == []
    assert scheduler.on_pin(3, "be_b", False) == [StopWorker("be_b")]


def test_a_model_that_can_never_fit_is_refused_with_numbers() -> None:
    scheduler = make("be_a", "be_huge")
    bring_up(scheduler, "be_a")

    refused = scheduler.on_request(1, 1, "be_huge")

    assert refusals(refused) == [(1, ErrorCode.MODEL_UNAVAILABLE, 600)]
    assert "needs 20.00 GiB on cpu, whose budget is 10.00 GiB" in (scheduler.records["be_huge"].detail or "")
    assert state_of(scheduler, "be_a") is WorkerState.READY


def test_nothing_overtakes_the_model_that_waits_for_memory() -> None:
    scheduler = make("be_a", "be_b", "be_c")
    bring_up(scheduler, "be_b")
    scheduler.on_request(1, 1, "be_b")
    scheduler.on_request(2, 2, "be_c")

    later = scheduler.on_request(3, 3, "be_a")

    assert later == []
    assert scheduler.records["be_a"].detail == "waits for its turn to load, place 2"


def test_many_first_requests_are_one_load() -> None:
    scheduler = make("be_a")

    actions = [action for ticket in range(1, 4) for action in scheduler.on_request(0, ticket, "be_a")]
    granted = scheduler.on_ready(1, "be_a")

    assert actions == [StartWorker("be_a")]
    assert tickets_granted(granted) == [1, 2]


def test_memory_is_free_when_the_processes_are_gone_not_before() -> None:
    scheduler = make("be_b", "be_c")
    bring_up(scheduler, "be_b")
    scheduler.on_request(1, 1, "be_c")

    assert scheduler.on_tick(2) == []
    assert scheduler.ledger.used_bytes("cpu") == 5 * GIB
    assert scheduler.on_exit(3, "be_b", None) == [StartWorker("be_c")]


def test_a_measured_need_replaces_the_reckoned_one() -> None:
    scheduler = make("be_a", "be_c")
    bring_up(scheduler, "be_a")
    scheduler.on_measured(1, "be_a", {"cpu": 2 * GIB})
    scheduler.on_measured(2, "be_a", {"cpu": 1 * GIB})

    assert scheduler.records["be_a"].need_bytes == 2 * GIB
    assert scheduler.ledger.used_bytes("cpu") == 1 * GIB
    assert scheduler.on_load(3, "be_c") == [StartWorker("be_c")]


def test_a_look_from_before_the_model_was_there_shows_growth_only() -> None:
    scheduler = make("be_a")
    bring_up(scheduler, "be_a")

    scheduler.on_measured(1, "be_a", {"cpu": 1 * GIB}, is_whole=False)
    kept = scheduler.ledger.used_bytes("cpu")
    scheduler.on_measured(1, "be_a", {"cpu": 5 * GIB}, is_whole=False)

    assert kept == 4 * GIB
    assert scheduler.ledger.used_bytes("cpu") == 5 * GIB
    assert not scheduler.records["be_a"].is_measured


def test_what_a_load_held_at_its_peak_is_what_the_next_one_needs() -> None:
    scheduler = make("be_a")
    scheduler.on_load(0, "be_a")
    scheduler.on_measured(1, "be_a", {"cpu": 5 * GIB})
    scheduler.on_ready(2, "be_a", 5.0)

    scheduler.on_measured(3, "be_a", {"cpu": 3 * GIB})

    assert scheduler.ledger.used_bytes("cpu") == 3 * GIB
    assert scheduler.records["be_a"].need_bytes == 5 * GIB


def test_a_load_that_takes_more_than_its_grant_is_seen() -> None:
    scheduler = make("be_a", "be_c")
    scheduler.on_load(0, "be_a")
    scheduler.on_measured(1, "be_a", {"cpu": 1 * GIB})
    kept = scheduler.ledger.used_bytes("cpu")
    scheduler.on_measured(2, "be_a", {"cpu": 5 * GIB})

    assert kept == 4 * GIB
    assert scheduler.ledger.used_bytes("cpu") == 5 * GIB


def test_somebody_who_waits_goes_before_batches_that_hold_the_memory() -> None:
    scheduler = make("be_b", "be_c")
    bring_up(scheduler, "be_b")
    scheduler.on_request(1, 1, "be_b", Priority.BATCH)
    scheduler.on_request(1, 2, "be_b", Priority.BATCH)

    scheduler.on_request(2, 3, "be_c")
    ended = scheduler.on_leave(3, 1)
    starting = scheduler.on_exit(4, "be_b", None)

    assert ended == [StopWorker("be_b")]
    assert starting == [StartWorker("be_c")]
    assert state_of(scheduler, "be_b") is WorkerState.QUEUED  # its other line waits for its turn


def test_a_batch_waits_until_a_model_has_been_idle_for_a_while() -> None:
    scheduler = make("be_b", "be_c")
    bring_up(scheduler, "be_b")

    assert scheduler.on_request(1, 1, "be_c", Priority.BATCH) == []
    assert scheduler.next_wake() == BATCH_PATIENCE_S
    assert scheduler.on_tick(BATCH_PATIENCE_S) == [StopWorker("be_b")]


def test_a_batch_that_no_longer_waits_wakes_nobody() -> None:
    scheduler = make("be_b", "be_c")
    bring_up(scheduler, "be_b")
    scheduler.on_request(1, 1, "be_c", Priority.BATCH)

    scheduler.on_stop(2, "be_c")
    scheduler.on_tick(BATCH_PATIENCE_S)

    assert scheduler.next_wake() is None


def test_an_idle_model_is_stopped_when_its_time_is_over() -> None:
    scheduler = make("be_a", keep_alive="5m")
    bring_up(scheduler, "be_a")
    scheduler.on_request(10, 1, "be_a")
    assert scheduler.next_wake() is None
    scheduler.on_leave(20, 1)

    assert scheduler.next_wake() == 320
    assert scheduler.on_tick(319) == []
    assert scheduler.on_tick(320) == [StopWorker("be_a")]
    assert scheduler.records["be_a"].evictions == {"idle": 1}


def test_a_pinned_model_is_not_stopped_for_being_idle() -> None:
    scheduler = make("be_a", keep_alive=0, pinned=True)
    bring_up(scheduler, "be_a")

    assert scheduler.next_wake() is None
    assert scheduler.on_tick(1e6) == []


def test_blocked_loads_do_not_wake_anybody() -> None:
    scheduler = make("be_b", "be_c")
    bring_up(scheduler, "be_b")
    scheduler.on_request(1, 1, "be_b")
    scheduler.on_load(2, "be_c")

    assert scheduler.next_wake() is None


def plan_for(scheduler: Scheduler, name: str, now: float = 1.0) -> Plan:
    return plan(scheduler.records[name], scheduler.records.values(), scheduler.ledger, now)


def test_a_plan_tells_what_a_load_would_do_and_does_nothing() -> None:
    scheduler = make("be_a", "be_b", "be_c", "be_huge")
    bring_up(scheduler, "be_a", "be_b")
    free = plan_for(make("be_a"), "be_a")
    loaded, evicting, never = (plan_for(scheduler, name) for name in ("be_a", "be_c", "be_huge"))
    scheduler.on_request(1, 1, "be_b")
    scheduler.on_request(1, 2, "be_a")
    waiting = plan_for(scheduler, "be_c")

    assert (free.verdict, free.need_bytes, free.is_measured) == ("fits", 4 * GIB, False)
    assert (loaded.verdict, loaded.load_s) == ("loaded", 5.0)
    assert (evicting.verdict, evicting.evicts) == ("evicts", ("be_b",))
    assert never.verdict == "never"
    assert waiting.verdict == "waits"
    assert "held by be_b 5.00 GiB, be_a 4.00 GiB" in (waiting.detail or "")
    assert state_of(scheduler, "be_c") is WorkerState.STOPPED
