"""Crashes, load timeouts and stops: how workers end, and what then."""

import pytest

from engines.contract.errors import ErrorCode
from server.workers.actions import Grant, Refuse, StartWorker, StopWorker
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


class TestCrashes:
    def test_crashed_worker_is_started_again_after_a_doubling_delay(self) -> None:
        scheduler = make_scheduler()
        scheduler.on_load(0, "be_a")
        delays: list[float] = []

        for now in (0.0, 100.0, 200.0, 290.0):
            assert scheduler.on_exit(now, "be_a", "ended by SIGKILL") == []
            delays.append((scheduler.next_wake() or 0.0) - now)
            assert scheduler.on_tick(now + delays[-1]) == [StartWorker("be_a")]

        assert delays == [1, 2, 4, 8]

    def test_jitter_spreads_restarts(self) -> None:
        scheduler = make_scheduler(jitter=1.0)
        scheduler.on_load(0, "be_a")

        scheduler.on_exit(10, "be_a", "ended by SIGKILL")

        assert scheduler.next_wake() == 10.8

    def test_waiting_requests_survive_a_restart(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        request(scheduler, 0, 1, 2, 3)

        scheduler.on_exit(1, "be_a", "ended by SIGKILL")
        scheduler.on_leave(1, 1)
        scheduler.on_leave(1, 2)
        scheduler.on_tick(2)

        assert scheduler.on_ready(3, "be_a") == [Grant(3, "be_a")]

    def test_ten_healthy_minutes_clear_the_record(self) -> None:
        scheduler = make_scheduler()
        scheduler.on_load(0, "be_a")
        for now in (0.0, 10.0, 20.0, 30.0):
            scheduler.on_exit(now, "be_a", "ended by SIGKILL")
            scheduler.on_tick(now + 10)
        scheduler.on_ready(40, "be_a")

        scheduler.on_exit(640, "be_a", "ended by SIGKILL")

        assert scheduler.next_wake() == 641

    def test_five_deaths_in_five_minutes_fail_the_backend(self) -> None:
        scheduler = make_scheduler()
        request(scheduler, 0, 1)

        for now in (0.0, 50.0, 100.0, 150.0):
            assert refusals(scheduler.on_exit(now, "be_a", "ended by SIGKILL")) == []
            scheduler.on_leave(now, 1)
            request(scheduler, now, 1)
            scheduler.on_tick(now + 10)
        actions = scheduler.on_exit(200, "be_a", "ended by SIGKILL")

        assert refusals(actions) == [(1, ErrorCode.MODEL_UNAVAILABLE, 600)]
        assert state_of(scheduler) is WorkerState.FAILED
        assert scheduler.next_wake() is None

    def test_permanent_load_failure_fails_the_backend_at_once(self) -> None:
        scheduler = make_scheduler()
        request(scheduler, 0, 1, 2)

        actions = scheduler.on_exit(1, "be_a", "no such weights", permanent=True)

        assert refusals(actions) == [
            (1, ErrorCode.MODEL_UNAVAILABLE, 600),
            (2, ErrorCode.MODEL_UNAVAILABLE, 600),
        ]
        assert scheduler.records["be_a"].last_error == "no such weights"
        assert scheduler.records["be_a"].restarts == 0

    def test_clients_are_told_of_a_failure_in_words_for_them(self) -> None:
        scheduler = make_scheduler()
        request(scheduler, 0, 1)

        actions = scheduler.on_exit(
            1, "be_a", "/models/a: no such file", permanent=True, told_error="it could not be loaded"
        )

        (refused,) = actions
        assert isinstance(refused, Refuse)
        assert refused.error.message == "The model failed and is tried again in 600 s: it could not be loaded"
        assert scheduler.records["be_a"].last_error == "/models/a: no such file"

    def test_who_waits_too_long_for_a_restart_is_told_why_there_is_one(self) -> None:
        scheduler = make_scheduler()
        request(scheduler, 0, 1)
        scheduler.on_exit(99.5, "be_a", "ended by SIGKILL", told_error="ended by SIGKILL")

        (refused,) = [action for action in scheduler.on_tick(100) if isinstance(action, Refuse)]

        assert refused.error.message == "The model is starting again after a failure: ended by SIGKILL"

    def test_failed_backend_refuses_until_its_time_then_starts_again(self) -> None:
        scheduler = make_scheduler()
        failed_at = crash_until_failed(scheduler)

        early = request(scheduler, failed_at + 100.5, 1)
        late = request(scheduler, failed_at + 600, 2)

        assert refusals(early) == [(1, ErrorCode.MODEL_UNAVAILABLE, 500)]
        assert late == [StartWorker("be_a")]

    def test_operator_may_load_a_failed_backend_at_once(self) -> None:
        scheduler = make_scheduler()
        failed_at = crash_until_failed(scheduler)

        assert scheduler.on_load(failed_at + 1, "be_a") == [StartWorker("be_a")]

    def test_nobody_gets_a_lease_between_hang_up_and_restart(self) -> None:
        """A grant in between would fail a request that could have waited."""
        scheduler = make_scheduler()
        make_ready(scheduler)
        request(scheduler, 0, 1, 2, 3)

        scheduler.on_hang_up("be_a")
        meanwhile = scheduler.on_leave(1, 1) + request(scheduler, 1, 4)
        scheduler.on_exit(2, "be_a", "ended by SIGKILL")
        scheduler.on_leave(2, 2)
        scheduler.on_tick(3)

        assert meanwhile == []
        assert tickets_granted(scheduler.on_ready(4, "be_a")) == [3, 4]

    def test_crash_of_one_backend_leaves_the_others_alone(self) -> None:
        scheduler = make_scheduler(make_spec("be_a"), make_spec("be_b"))
        make_ready(scheduler, "be_a")
        make_ready(scheduler, "be_b")
        scheduler.on_request(1, 1, "be_b")

        scheduler.on_exit(2, "be_a", "ended by SIGKILL")

        assert state_of(scheduler, "be_b") is WorkerState.READY
        assert scheduler.records["be_b"].leases == {1}


class TestLoadTimeout:
    def test_slow_load_is_ended_once(self) -> None:
        scheduler = make_scheduler()
        scheduler.on_load(0, "be_a")

        first = scheduler.on_tick(100)
        second = scheduler.on_tick(101)

        assert first == [StopWorker("be_a", "not ready within 100 s")]
        assert second == []
        assert scheduler.next_wake() is None

    def test_phases_share_one_load_timeout(self) -> None:
        scheduler = make_scheduler()
        scheduler.on_load(0, "be_a")
        scheduler.on_progress(60, "be_a", WorkerState.LOADING, "weights")
        scheduler.on_progress(90, "be_a", WorkerState.WARMING, "")

        assert scheduler.on_tick(100) == [StopWorker("be_a", "not ready within 100 s")]

    def test_ready_after_the_end_was_decided_grants_nothing(self) -> None:
        scheduler = make_scheduler()
        request(scheduler, 50, 1)
        scheduler.on_load(0, "be_a")
        scheduler.on_tick(150)

        assert scheduler.on_ready(150.1, "be_a") == []

    def test_timed_out_load_counts_as_a_death(self) -> None:
        scheduler = make_scheduler()
        scheduler.on_load(0, "be_a")
        scheduler.on_tick(100)

        scheduler.on_exit(101, "be_a", "not ready within 100 s")

        assert scheduler.next_wake() == 102
        assert scheduler.on_tick(102) == [StartWorker("be_a")]
        assert scheduler.on_ready(103, "be_a") == []
        assert state_of(scheduler) is WorkerState.READY


class TestStopping:
    def test_stop_waits_for_running_requests(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        request(scheduler, 1, 1, 2)

        assert scheduler.on_stop(2, "be_a") == []
        assert scheduler.on_leave(3, 1) == []
        assert scheduler.on_leave(4, 2) == [StopWorker("be_a")]
        assert scheduler.on_exit(5, "be_a", None) == []
        assert state_of(scheduler) is WorkerState.STOPPED

    def test_stop_ends_an_idle_worker_at_once(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)

        assert scheduler.on_stop(2, "be_a") == [StopWorker("be_a")]

    @pytest.mark.parametrize("is_ready", [False, True])
    def test_stop_refuses_those_who_wait(self, is_ready: bool) -> None:
        scheduler = make_scheduler()
        request(scheduler, 0, 1, 2, 3)
        if is_ready:
            scheduler.on_ready(1, "be_a")

        actions = scheduler.on_stop(2, "be_a")

        assert [ticket for ticket, _, _ in refusals(actions)] == ([3] if is_ready else [1, 2, 3])

    def test_stopped_backend_stays_down_after_its_waiting_requests_were_refused(self) -> None:
        scheduler = make_scheduler()
        request(scheduler, 0, 1)

        scheduler.on_stop(1, "be_a")

        assert scheduler.on_exit(2, "be_a", None) == []
        assert state_of(scheduler) is WorkerState.STOPPED

    def test_stop_takes_a_queued_backend_out_of_the_queue(self) -> None:
        scheduler = make_scheduler(make_spec("be_a"), make_spec("be_b"))
        scheduler.on_load(0, "be_b")
        request(scheduler, 0, 1)

        actions = scheduler.on_stop(1, "be_a")

        assert refusals(actions) == [(1, ErrorCode.MODEL_UNAVAILABLE, 10)]
        assert scheduler.on_ready(2, "be_b") == []

    def test_stop_forgives_failures(self) -> None:
        scheduler = make_scheduler()
        now = crash_until_failed(scheduler)

        scheduler.on_stop(now, "be_a")

        assert request(scheduler, now, 1) == [StartWorker("be_a")]

    def test_request_while_draining_starts_the_worker_again(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        request(scheduler, 1, 1)
        scheduler.on_stop(2, "be_a")

        while_draining = request(scheduler, 3, 2)
        scheduler.on_leave(4, 1)
        after_exit = scheduler.on_exit(5, "be_a", None)

        assert (while_draining, after_exit) == ([], [StartWorker("be_a")])

    def test_load_while_draining_starts_the_worker_again(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        scheduler.on_stop(2, "be_a")

        while_draining = scheduler.on_load(3, "be_a")
        after_exit = scheduler.on_exit(4, "be_a", None)
        scheduler.on_ready(5, "be_a")
        scheduler.on_stop(6, "be_a")

        assert (while_draining, after_exit) == ([], [StartWorker("be_a")])
        assert scheduler.on_exit(7, "be_a", None) == []

    def test_crash_while_draining_is_no_failure(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        scheduler.on_stop(1, "be_a")

        scheduler.on_exit(2, "be_a", "ended by SIGKILL")

        assert state_of(scheduler) is WorkerState.STOPPED
        assert scheduler.next_wake() is None

    def test_someone_who_gives_up_waiting_does_not_stop_the_worker_twice(self) -> None:
        scheduler = make_scheduler()
        make_ready(scheduler)
        scheduler.on_stop(1, "be_a")
        request(scheduler, 2, 1)

        assert scheduler.on_leave(3, 1) == []
