"""Starts, leases, waiting and the drain, told with numbers for times: nothing here sleeps or runs."""

from engines.contract.errors import ErrorCode
from engines.contract.spec import Limits
from server.workers.actions import Grant, StartWorker
from server.workers.status import WorkerState
from tests.fakes.specs import make_spec
from tests.server.workers.scheduling import (
    make_ready,
    make_scheduler,
    refusals,
    request,
    state_of,
    tickets_granted,
)


class TestStarting:
    def test_many_requests_start_one_worker(self) -> None:
        scheduler = make_scheduler()

        actions = request(scheduler, 0, 1, 2, 3)

        assert actions == [StartWorker("be_a")]
        assert state_of(scheduler) is WorkerState.STARTING

    def test_load_is_idempotent(self) -> None:
        scheduler = make_scheduler()

        assert scheduler.on_load(0, "be_a") == [StartWorker("be_a")]
        assert scheduler.on_load(1, "be_a") == []

    def test_one_load_at_a_time_per_device_in_order_of_arrival(self) -> None:
        scheduler = make_scheduler(make_spec("be_a"), make_spec("be_b"), make_spec("be_c"))

        first = [scheduler.on_load(now, name) for now, name in enumerate(("be_b", "be_c", "be_a"))]
        second = scheduler.on_ready(10, "be_b")
        third = scheduler.on_exit(20, "be_c", "broken weights", permanent=True)

        assert first == [[StartWorker("be_b")], [], []]
        assert second == [StartWorker("be_c")]
        assert third == [StartWorker("be_a")]

    def test_devices_load_side_by_side(self) -> None:
        scheduler = make_scheduler(make_spec("be_a", device="cuda:0"), make_spec("be_b", device="cuda:1"))

        actions = scheduler.on_load(0, "be_a") + scheduler.on_load(0, "be_b")

        assert actions == [StartWorker("be_a"), StartWorker("be_b")]

    def test_backend_waiting_for_its_restart_does_not_block_its_device(self) -> None:
        scheduler = make_scheduler(make_spec("be_a"), make_spec("be_b"))
        scheduler.on_load(0, "be_a")
        scheduler.on_load(1, "be_b")

        actions = scheduler.on_exit(2, "be_a", "ended by SIGKILL")

        assert actions == [StartWorker("be_b")]
        assert state_of(scheduler, "be_a") is WorkerState.QUEUED

    def test_progress_shows_in_state_and_detail_only_while_coming_up(self) -> None:
        scheduler = make_scheduler()
        scheduler.on_load(0, "be_a")

        scheduler.on_progress(1, "be_a", WorkerState.LOADING, "half")
        while_loading = (state_of(scheduler), scheduler.records["be_a"].detail)
        scheduler.on_ready(2, "be_a")
        scheduler.on_progress(3, "be_a", WorkerState.LOADING, "late")

        assert while_loading == (WorkerState.LOADING, "half")
        assert (state_of(scheduler), scheduler.records["be_a"].detail) == (WorkerState.READY, None)


class TestLeases:
    def test_waiting_requests_get_leases_when_the_worker_is_ready(self) -> None:
        scheduler = make_scheduler()
        request(scheduler, 0, 1, 2, 3)

        actions = scheduler.on_ready(5, "be_a")

        assert actions == [Grant(1, "be_a"), Grant(2, "be_a")]

    def test_grants_up_to_max_concurrency_then_queues_then_refuses(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)

        actions = request(scheduler, 1, 1, 2, 3, 4, 5, 6)

        assert tickets_granted(actions) == [1, 2]
        assert refusals(actions) == [(6, ErrorCode.BACKEND_RATE_LIMITED, 1)]
        assert list(scheduler.records["be_a"].waiting) == [3, 4, 5]

    def test_released_lease_goes_to_the_longest_waiting(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        request(scheduler, 1, 1, 2, 3, 4)

        assert scheduler.on_leave(2, 2) == [Grant(3, "be_a")]
        assert scheduler.on_leave(2, 1) == [Grant(4, "be_a")]
        assert scheduler.on_leave(2, 3) == []

    def test_request_that_left_the_queue_gets_no_lease(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        request(scheduler, 1, 1, 2, 3, 4)

        assert scheduler.on_leave(2, 3) == []
        assert scheduler.on_leave(3, 1) == [Grant(4, "be_a")]

    def test_requests_that_leave_while_loading_are_forgotten(self) -> None:
        scheduler = make_scheduler()
        request(scheduler, 0, 1)

        scheduler.on_leave(1, 1)

        assert scheduler.on_ready(2, "be_a") == []
        assert scheduler.records["be_a"].leases == set()

    def test_leaving_twice_changes_nothing(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        request(scheduler, 1, 1, 2, 3)

        scheduler.on_leave(2, 1)

        assert scheduler.on_leave(2, 1) == []
        assert scheduler.records["be_a"].leases == {2, 3}

    def test_full_queue_refuses_also_while_loading(self) -> None:
        scheduler = make_scheduler()

        actions = request(scheduler, 0, 1, 2, 3, 4)

        assert refusals(actions) == [(4, ErrorCode.BACKEND_RATE_LIMITED, 1)]


class TestWaitingTimes:
    def test_wait_for_a_busy_worker_ends_after_the_queue_timeout(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        request(scheduler, 10, 1, 2, 3)

        before = scheduler.on_tick(39.9)
        after = scheduler.on_tick(40)

        assert scheduler.next_wake() is None
        assert (before, refusals(after)) == ([], [(3, ErrorCode.BACKEND_RATE_LIMITED, 1)])

    def test_wait_for_a_loading_worker_ends_after_the_load_timeout(self) -> None:
        limits = Limits(load_timeout_s=100)
        scheduler = make_scheduler(make_spec("be_a", limits=limits), make_spec("be_b"))
        scheduler.on_load(0, "be_b")
        request(scheduler, 10, 1)

        before = scheduler.on_tick(109.9)
        after = scheduler.on_tick(110)

        assert (before, refusals(after)) == ([], [(1, ErrorCode.MODEL_UNAVAILABLE, 10)])

    def test_deadline_starts_again_when_the_worker_is_ready(self) -> None:
        scheduler = make_scheduler()
        request(scheduler, 0, 1, 2, 3)
        scheduler.on_ready(90, "be_a")

        assert scheduler.on_tick(119.9) == []
        assert refusals(scheduler.on_tick(120)) == [(3, ErrorCode.BACKEND_RATE_LIMITED, 1)]

    def test_shorter_wait_of_a_later_request_is_not_slept_through(self) -> None:
        limits = Limits(max_concurrency=1, queue_timeout_s=500, load_timeout_s=5)
        scheduler = make_scheduler(make_spec(limits=limits))
        make_ready(scheduler)
        request(scheduler, 0, 1, 2)
        scheduler.on_exit(0, "be_a", "ended by SIGKILL")
        scheduler.on_tick(1)

        request(scheduler, 1, 3)

        assert scheduler.next_wake() == 6


class TestDrainOfTheServer:
    def test_refuses_those_who_wait_and_those_who_come(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        request(scheduler, 1, 1, 2, 3)

        waiting = scheduler.on_drain(2)
        coming = request(scheduler, 3, 4)

        assert refusals(waiting) == [(3, ErrorCode.SHUTTING_DOWN, 5)]
        assert refusals(coming) == [(4, ErrorCode.SHUTTING_DOWN, 5)]

    def test_running_requests_go_on(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        request(scheduler, 1, 1, 2)

        scheduler.on_drain(2)

        assert scheduler.records["be_a"].leases == {1, 2}
        assert scheduler.on_leave(3, 1) == []

    def test_nothing_starts_any_more(self) -> None:
        scheduler = make_scheduler(make_spec("be_a"), make_spec("be_b"), make_spec("be_c"))
        scheduler.on_load(0, "be_a")
        scheduler.on_load(0, "be_b")

        scheduler.on_drain(1)

        assert scheduler.on_load(2, "be_c") == []
        assert scheduler.on_exit(3, "be_a", "ended by SIGKILL") == []
        assert scheduler.on_tick(1000) == []

    def test_queued_start_leaves_no_wake_time_behind(self) -> None:
        scheduler = make_scheduler(make_spec("be_a"), make_spec("be_b"))
        scheduler.on_load(0, "be_a")
        scheduler.on_load(0, "be_b")
        scheduler.on_exit(1, "be_a", "ended by SIGKILL")

        scheduler.on_drain(1)
        scheduler.on_exit(2, "be_b", None)

        assert scheduler.next_wake() is None

    def test_crash_while_draining_leaves_no_wake_time_behind(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        scheduler.on_drain(1)

        scheduler.on_exit(2, "be_a", "ended by SIGKILL")

        assert scheduler.next_wake() is None
        assert state_of(scheduler) is WorkerState.STOPPED


def test_idle_scheduler_has_nothing_to_wake_for() -> None:
    scheduler = make_scheduler()
    before = scheduler.next_wake()

    make_ready(scheduler)
    request(scheduler, 1, 1)
    scheduler.on_leave(2, 1)

    assert (before, scheduler.next_wake()) == (None, None)
