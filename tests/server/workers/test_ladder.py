"""Hot, asleep, stopped: who falls how far, what that frees, and the way back."""

from engines.contract.spec import BackendSpec
from server.workers.actions import SleepWorker, StartWorker, StopWorker, WakeWorker
from server.workers.backoff import RestartPolicy
from server.workers.ledger import GIB, Memory
from server.workers.moves import POSTPONED_S
from server.workers.scheduler import Scheduler
from server.workers.status import WorkerState
from tests.fakes.specs import make_spec
from tests.server.workers.scheduling import TIGHT, refusals, state_of, tickets_granted

GPU = "cuda:0"
NEEDS = {"be_a": 4 * GIB, "be_b": 5 * GIB, "be_c": 6 * GIB}


def make(
    *names: str,
    ram: int = 40 * GIB,
    gpu: int = 11 * GIB,
    sleep_budget: int | None = None,
    specs: tuple[BackendSpec, ...] = (),
) -> Scheduler:
    """Models on one GPU, whose workers take 1 GiB of the host's memory each."""
    specs = specs or tuple(make_spec(name, limits=TIGHT) for name in names)
    memory = Memory({"cpu": ram, GPU: gpu}, NEEDS, lambda spec: (GPU,), GIB, sleep_budget=sleep_budget)
    return Scheduler(specs, RestartPolicy(), lambda: 0.0, 0.0, memory=memory)


def bring_up(scheduler: Scheduler, *names: str, levels: tuple[int, ...] = (1, 2)) -> None:
    for name in names:
        assert scheduler.on_load(0, name) == [StartWorker(name)]
        scheduler.on_ready(0, name, 20.0, levels)


def put_to_sleep(scheduler: Scheduler, name: str, *, moved: int = 0, freed: int, now: float = 1) -> None:
    assert [type(action) for action in scheduler.on_sleep(now, name)] == [SleepWorker]
    scheduler.on_asleep(now, name, {"cpu": -moved, GPU: freed})


def test_an_idle_model_falls_asleep_where_that_is_enough() -> None:
    scheduler = make("be_a", "be_b", "be_c")
    bring_up(scheduler, "be_a", "be_b")

    sleeping = scheduler.on_request(100, 1, "be_c")
    too_little = scheduler.on_asleep(101, "be_b", {GPU: 3 * GIB, "cpu": -3 * GIB})
    enough = scheduler.on_asleep(102, "be_a", {GPU: 3 * GIB, "cpu": -3 * GIB})

    assert sleeping == [SleepWorker("be_b", 1)]
    assert scheduler.records["be_b"].evictions == {"memory": 1}
    assert state_of(scheduler, "be_b") is WorkerState.ASLEEP
    assert too_little == [SleepWorker("be_a", 1)]  # be_b kept more of the card than was reckoned
    assert enough == [StartWorker("be_c")]


def test_a_load_waits_until_the_memory_is_back() -> None:
    scheduler = make("be_a", "be_b", "be_c")
    bring_up(scheduler, "be_a", "be_b")
    scheduler.on_request(100, 1, "be_c")

    assert scheduler.on_tick(100.5) == []
    assert scheduler.ledger.used_bytes(GPU) == 9 * GIB
    assert scheduler.on_asleep(101, "be_b", {GPU: 5 * GIB, "cpu": -5 * GIB}) == [StartWorker("be_c")]
    assert scheduler.ledger.held_bytes("cpu", "be_b") == 6 * GIB
    assert scheduler.ledger.used_bytes(GPU) == 10 * GIB  # be_a and be_c


def test_a_request_wakes_a_model_that_is_asleep() -> None:
    scheduler = make("be_a")
    bring_up(scheduler, "be_a")
    put_to_sleep(scheduler, "be_a", freed=3 * GIB, moved=3 * GIB)

    waking = scheduler.on_request(2, 1, "be_a")
    granted_bytes = scheduler.ledger.held_bytes(GPU, "be_a")
    served = scheduler.on_awake(3, "be_a", 0.4)

    assert waking == [WakeWorker("be_a")]
    assert granted_bytes == 4 * GIB
    assert tickets_granted(served) == [1]
    assert scheduler.records["be_a"].wake_s == 0.4


def test_a_wake_waits_for_its_turn_like_a_load() -> None:
    scheduler = make("be_a", "be_b")
    bring_up(scheduler, "be_a")
    put_to_sleep(scheduler, "be_a", freed=4 * GIB)
    scheduler.on_load(2, "be_b")

    waiting = scheduler.on_request(3, 1, "be_a")
    detail = scheduler.records["be_a"].detail
    after_the_load = scheduler.on_ready(4, "be_b", 20.0)

    assert (waiting, detail) == ([], "waits for its turn to load, place 1")
    assert after_the_load == [WakeWorker("be_a")]


def test_a_wake_makes_room_like_a_load() -> None:
    scheduler = make("be_b", "be_c", gpu=7 * GIB)
    bring_up(scheduler, "be_b")
    put_to_sleep(scheduler, "be_b", freed=5 * GIB, moved=5 * GIB)
    scheduler.on_load(2, "be_c")
    scheduler.on_ready(2, "be_c", 20.0)

    displacing = scheduler.on_request(3, 1, "be_b")
    stopped = scheduler.on_exit(4, "be_c", None)

    assert displacing == [StopWorker("be_c")]
    assert stopped == [WakeWorker("be_b")]


def test_level_two_where_the_host_has_no_room_for_the_weights() -> None:
    scheduler = make("be_a", sleep_budget=2 * GIB)
    bring_up(scheduler, "be_a")

    assert scheduler.on_sleep(1, "be_a") == [SleepWorker("be_a", 2)]


def test_no_level_where_sleeping_models_hold_all_that_they_may() -> None:
    scheduler = make("be_a", "be_b", sleep_budget=GIB)
    bring_up(scheduler, "be_a", "be_b")
    put_to_sleep(scheduler, "be_a", freed=4 * GIB)

    assert not scheduler.can_sleep("be_b")
    assert scheduler.on_sleep(2, "be_b") == []


def test_sleeping_models_stop_for_host_memory() -> None:
    scheduler = make("be_a", "be_b", ram=int(5.5 * GIB))
    bring_up(scheduler, "be_a")
    put_to_sleep(scheduler, "be_a", freed=4 * GIB, moved=4 * GIB)

    assert scheduler.on_load(2, "be_b") == [StopWorker("be_a")]
    assert scheduler.on_exit(3, "be_a", None) == [StartWorker("be_b")]


def test_keep_alive_leads_to_sleep_and_sleep_for_to_the_stop() -> None:
    spec = make_spec("be_a", limits=TIGHT, keep_alive="1m", sleep_for="1h")
    scheduler = make(specs=(spec,))
    bring_up(scheduler, "be_a")

    assert scheduler.next_wake() == 60
    assert scheduler.on_tick(60) == [SleepWorker("be_a", 1)]
    scheduler.on_asleep(61, "be_a", {GPU: 4 * GIB})
    assert scheduler.next_wake() == 61 + 3600
    assert scheduler.on_tick(61 + 3600) == [StopWorker("be_a")]
    assert scheduler.records["be_a"].evictions == {"idle": 2}


def test_sleep_for_zero_is_the_stop_at_once() -> None:
    scheduler = make(specs=(make_spec("be_a", limits=TIGHT, keep_alive=0, sleep_for=0),))
    bring_up(scheduler, "be_a")

    assert scheduler.on_tick(1) == [StopWorker("be_a")]


def test_nobody_falls_asleep_for_being_idle_while_another_loads_on_the_card() -> None:
    specs = (make_spec("be_a", limits=TIGHT, keep_alive=10), make_spec("be_b", limits=TIGHT))
    scheduler = make(specs=specs)
    bring_up(scheduler, "be_a")
    scheduler.on_load(9, "be_b")

    assert scheduler.on_tick(10) == []
    assert scheduler.next_wake() == 10 + POSTPONED_S
    scheduler.on_ready(10.5, "be_b", 1.0)
    assert scheduler.on_tick(11) == [SleepWorker("be_a", 1)]


def test_running_requests_end_before_the_model_falls_asleep() -> None:
    scheduler = make("be_a")
    bring_up(scheduler, "be_a")
    scheduler.on_request(1, 1, "be_a")

    ordered = scheduler.on_sleep(2, "be_a")
    waits = scheduler.on_request(3, 2, "be_a")
    falling = scheduler.on_leave(4, 1)
    waking = scheduler.on_asleep(5, "be_a", {GPU: 4 * GIB})

    assert (ordered, waits) == ([], [])
    assert falling == [SleepWorker("be_a", 1)]
    assert waking == [WakeWorker("be_a")]


def test_a_model_that_keeps_its_memory_is_stopped_and_not_asked_again() -> None:
    scheduler = make("be_a")
    bring_up(scheduler, "be_a")
    scheduler.on_sleep(1, "be_a")

    stopping = scheduler.on_asleep(2, "be_a", {GPU: GIB // 8})
    reason = scheduler.records["be_a"].last_error or ""
    scheduler.on_exit(3, "be_a", None)
    bring_up(scheduler, "be_a", levels=(1,))

    assert stopping == [StopWorker("be_a")]
    assert reason == "kept 3.88 GiB of 4.00 GiB of cuda:0 when it slept"
    assert not scheduler.can_sleep("be_a")


def test_a_refused_sleep_becomes_a_stop() -> None:
    scheduler = make("be_a")
    bring_up(scheduler, "be_a")
    scheduler.on_sleep(1, "be_a")

    assert scheduler.on_sleep_refused(2, "be_a", "requests are in flight") == [StopWorker("be_a")]
    assert state_of(scheduler, "be_a") is WorkerState.DRAINING


def test_the_death_of_a_sleeping_model_brings_it_back_only_if_somebody_waits() -> None:
    scheduler = make("be_a", "be_b")
    bring_up(scheduler, "be_a", "be_b")
    put_to_sleep(scheduler, "be_a", freed=4 * GIB)
    scheduler.on_exit(2, "be_a", "ended by SIGKILL")
    scheduler.on_sleep(2, "be_b")
    scheduler.on_request(2, 1, "be_b")
    scheduler.on_exit(2, "be_b", "ended by SIGKILL")

    assert state_of(scheduler, "be_a") is WorkerState.STOPPED
    assert scheduler.records["be_a"].last_error == "ended by SIGKILL"
    assert state_of(scheduler, "be_b") is WorkerState.QUEUED
    assert scheduler.ledger.used_bytes(GPU) == scheduler.ledger.used_bytes("cpu") == 0


def test_a_wake_that_hangs_is_killed_and_the_model_loaded_again() -> None:
    scheduler = make("be_a")
    bring_up(scheduler, "be_a")
    put_to_sleep(scheduler, "be_a", freed=4 * GIB)
    scheduler.on_load(2, "be_a")

    killed = scheduler.on_tick(2 + TIGHT.load_timeout_s)
    scheduler.on_exit(103, "be_a", "not ready within 100 s")

    assert killed == [StopWorker("be_a", "not ready within 100 s")]
    assert state_of(scheduler, "be_a") is WorkerState.QUEUED


def test_an_operator_stops_a_sleeping_model() -> None:
    scheduler = make("be_a")
    bring_up(scheduler, "be_a")
    put_to_sleep(scheduler, "be_a", freed=4 * GIB)

    assert scheduler.on_stop(2, "be_a") == [StopWorker("be_a")]


def test_a_pinned_model_stays_hot() -> None:
    specs = (make_spec("be_b", limits=TIGHT, pinned=True), make_spec("be_c", limits=TIGHT))
    scheduler = make(specs=specs, gpu=10 * GIB)
    bring_up(scheduler, "be_b")

    assert scheduler.on_request(1, 1, "be_c") == []


def test_a_sleeping_model_that_has_become_too_large_is_refused_and_stopped() -> None:
    scheduler = make("be_a")
    bring_up(scheduler, "be_a")
    scheduler.on_measured(0, "be_a", {GPU: 12 * GIB})
    put_to_sleep(scheduler, "be_a", freed=12 * GIB)

    actions = scheduler.on_request(2, 1, "be_a")

    assert [retry_after_s for _, _, retry_after_s in refusals(actions)] == [600]
    assert StopWorker("be_a") in actions


def test_what_was_measured_asleep_is_not_what_a_load_needs() -> None:
    scheduler = make("be_a")
    bring_up(scheduler, "be_a")
    scheduler.on_measured(0, "be_a", {GPU: 3 * GIB, "cpu": 2 * GIB})
    put_to_sleep(scheduler, "be_a", freed=2 * GIB)
    scheduler.on_measured(3, "be_a", {GPU: GIB // 2})

    assert scheduler.records["be_a"].needs == {GPU: 3 * GIB, "cpu": 2 * GIB}
    assert scheduler.ledger.held_bytes(GPU, "be_a") == GIB // 2
