"""Batch requests fill what is idle: held back, bounded, and never in anybody's way."""

import pytest

from engines.contract.errors import ErrorCode
from engines.contract.spec import Limits
from engines.contract.types import Priority
from server.workers.actions import Action, StartWorker
from server.workers.record import batch_room
from server.workers.scheduler import Scheduler
from server.workers.status import WorkerState
from tests.fakes.specs import make_spec
from tests.server.workers.scheduling import (
    crash_until_failed,
    make_ready,
    make_scheduler,
    refusals,
    request,
    state_of,
    tickets_granted,
)

EIGHT = Limits(max_concurrency=8, max_queue=2, queue_timeout_s=30, load_timeout_s=100)
ONE = Limits(max_concurrency=1, max_queue=2, queue_timeout_s=30, load_timeout_s=100)


def ready(limits: Limits = EIGHT) -> Scheduler:
    scheduler = make_scheduler(make_spec(limits=limits))
    make_ready(scheduler)
    return scheduler


def batch(scheduler: Scheduler, now: float, *tickets: int) -> list[Action]:
    return [a for t in tickets for a in scheduler.on_request(now, t, "be_a", Priority.BATCH)]


@pytest.mark.parametrize(("places", "room"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 6), (64, 48)])
def test_a_quarter_of_the_places_is_kept_free(places: int, room: int) -> None:
    assert batch_room(make_spec(limits=Limits(max_concurrency=places))) == room


def test_batch_fills_its_room_and_the_reserve_stays_for_others() -> None:
    scheduler = ready()

    granted = tickets_granted(batch(scheduler, 0, *range(1, 9)))

    assert granted == [1, 2, 3, 4, 5, 6]
    assert tickets_granted(request(scheduler, 0, 11, 12)) == [11, 12]


def test_batch_gives_way_by_one_place_for_each_other_request_that_runs() -> None:
    scheduler = ready()
    batch(scheduler, 0, *range(1, 9))
    request(scheduler, 0, 11)

    after_first = tickets_granted(scheduler.on_leave(1, 1))
    after_second = tickets_granted(scheduler.on_leave(1, 2))

    assert (after_first, after_second) == ([], [7])


def test_batch_comes_after_all_who_wait() -> None:
    scheduler = ready(ONE)
    request(scheduler, 0, 1)
    batch(scheduler, 0, 2)
    request(scheduler, 1, 3)

    assert tickets_granted(scheduler.on_leave(2, 1)) == [3]
    assert tickets_granted(scheduler.on_leave(3, 3)) == [2]


def test_waiting_batches_take_no_place_in_the_queue_of_others() -> None:
    scheduler = ready(ONE)
    request(scheduler, 0, 1)
    batch(scheduler, 0, 2, 3)

    assert refusals(request(scheduler, 0, 4, 5)) == []


def test_batch_queue_is_bounded() -> None:
    scheduler = ready(ONE)
    request(scheduler, 0, 1)

    actions = batch(scheduler, 0, 2, 3, 4)

    assert refusals(actions) == [(4, ErrorCode.BACKEND_RATE_LIMITED, 1)]


def test_batch_waits_without_a_deadline() -> None:
    scheduler = ready(ONE)
    request(scheduler, 0, 1)
    batch(scheduler, 0, 2)

    assert scheduler.next_wake() is None
    assert scheduler.on_tick(1_000_000) == []


def test_batch_brings_a_stopped_backend_up_and_is_served_after_others() -> None:
    scheduler = make_scheduler(make_spec(limits=ONE))

    started = batch(scheduler, 0, 1)
    request(scheduler, 1, 2)

    assert started == [StartWorker("be_a")]
    assert tickets_granted(scheduler.on_ready(2, "be_a")) == [2]


def test_batch_goes_on_waiting_over_a_restart() -> None:
    scheduler = make_scheduler()
    batch(scheduler, 0, 1)

    scheduler.on_exit(1, "be_a", "ended by SIGKILL")
    scheduler.on_tick(scheduler.records["be_a"].not_before)

    assert tickets_granted(scheduler.on_ready(5, "be_a")) == [1]


def test_failed_backend_refuses_batch_with_a_time_to_come_back() -> None:
    scheduler = make_scheduler()
    now = crash_until_failed(scheduler)

    assert refusals(batch(scheduler, now, 1)) == [(1, ErrorCode.MODEL_UNAVAILABLE, 600)]


def test_stop_and_drain_refuse_batches_that_wait() -> None:
    scheduler = make_scheduler()
    batch(scheduler, 0, 1)

    stopped = refusals(scheduler.on_stop(1, "be_a"))
    batch(scheduler, 2, 2)
    drained = refusals(scheduler.on_drain(3))

    assert stopped == [(1, ErrorCode.MODEL_UNAVAILABLE, 10)]
    assert drained == [(2, ErrorCode.SHUTTING_DOWN, 5)]
    assert refusals(batch(scheduler, 4, 3)) == [(3, ErrorCode.SHUTTING_DOWN, 5)]


def test_batch_that_came_while_draining_brings_the_backend_back() -> None:
    scheduler = ready(ONE)
    request(scheduler, 0, 1)
    scheduler.on_stop(1, "be_a")
    batch(scheduler, 2, 2)
    scheduler.on_leave(3, 1)

    scheduler.on_exit(4, "be_a", None)

    assert state_of(scheduler) is WorkerState.STARTING


def test_batch_that_leaves_is_forgotten() -> None:
    scheduler = ready(ONE)
    batch(scheduler, 0, 1, 2)

    scheduler.on_leave(1, 2)
    scheduler.on_leave(1, 1)

    record = scheduler.records["be_a"]
    assert (record.leases, record.batch_leases, record.batch_waiting) == (set(), set(), {})
