"""A new version beside the old one: who serves when, who gets the memory, and what every bad end leads to."""

import pytest

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.contract.types import Priority
from server.workers.actions import Action, Grant, ProbeWorker, Refuse, StartWorker, StopWorker
from server.workers.backoff import RestartPolicy
from server.workers.ledger import GIB, Memory, Need
from server.workers.record import Stage
from server.workers.replacement_status import ReplacementState
from server.workers.replacements import Progress
from server.workers.scheduler import Scheduler
from server.workers.status import WorkerState
from tests.fakes.specs import make_spec
from tests.server.workers.scheduling import TIGHT, state_of, tickets_granted

BUDGET = 10 * GIB
NEEDS = {"be_a": 4 * GIB, "be_b": 5 * GIB}
NEWER = make_spec("be_a", limits=TIGHT, options={"token_delay_s": 1.0})


def make(*specs: BackendSpec) -> Scheduler:
    memory = Memory({"cpu": BUDGET}, NEEDS, lambda spec: ("cpu",))
    chosen = specs or (make_spec("be_a", limits=TIGHT), make_spec("be_b", limits=TIGHT))
    return Scheduler(chosen, RestartPolicy(), lambda: 0.0, 0.0, memory=memory)


def bring_up(scheduler: Scheduler, *names: str) -> None:
    for name in names:
        assert scheduler.on_load(0.0, name) == [StartWorker(name)]
        scheduler.on_ready(0.0, name, 5.0)


def begin(scheduler: Scheduler, now: float = 1.0, need_bytes: int = 4 * GIB) -> list[Action]:
    return scheduler.on_replace(now, NEWER, Need(need_bytes))


def make_probed(scheduler: Scheduler) -> None:
    """A new version of `be_a` has come up and is asked."""
    assert begin(scheduler) == [StartWorker("be_a.next")]
    assert scheduler.on_ready(2.0, "be_a.next", 5.0) == [ProbeWorker("be_a.next")]


def progress(scheduler: Scheduler) -> Progress:
    found = scheduler.replacements.progress("be_a")
    assert found is not None
    return found


def test_the_old_version_serves_until_the_new_one_has_answered() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    make_probed(scheduler)

    before = scheduler.on_request(3, 1, "be_a")
    scheduler.on_leave(3, 1)
    swapped = scheduler.on_probed(4, "be_a", None)
    after = scheduler.on_request(5, 2, "be_a")

    assert before == [Grant(1, "be_a")]
    assert swapped == [StopWorker("be_a.old")]
    assert after == [Grant(2, "be_a")]
    assert scheduler.records["be_a"].spec == NEWER
    assert state_of(scheduler) is WorkerState.READY


def test_running_requests_end_on_the_old_worker() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    scheduler.on_request(1, 1, "be_a")
    make_probed(scheduler)

    swapped = scheduler.on_probed(4, "be_a", None)
    state = progress(scheduler).state
    ended = scheduler.on_leave(5, 1)
    scheduler.on_exit(6, "be_a.old", None)

    assert swapped == []
    assert state is ReplacementState.DRAINING
    assert ended == [StopWorker("be_a.old")]
    assert progress(scheduler).state is ReplacementState.DONE
    assert list(scheduler.records) == ["be_b", "be_a"]


def test_who_waits_gets_a_place_of_the_new_version() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    for ticket in (1, 2, 3):
        scheduler.on_request(1, ticket, "be_a")
    scheduler.on_request(1, 4, "be_a", Priority.BATCH)
    make_probed(scheduler)

    swapped = scheduler.on_probed(4, "be_a", None)
    after_that = scheduler.on_leave(11, 3)

    assert tickets_granted(swapped) == [3]
    assert tickets_granted(after_that) == [4]
    assert scheduler.records["be_a.old"].leases == {1, 2}


def test_memory_is_held_under_the_id_of_whoever_holds_it() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    make_probed(scheduler)
    scheduler.on_measured(3, "be_a.next", {"cpu": 3 * GIB})

    scheduler.on_probed(4, "be_a", None)
    both = {name: scheduler.ledger.held_bytes("cpu", name) for name in ("be_a", "be_a.old")}
    scheduler.on_exit(5, "be_a.old", None)

    assert both == {"be_a": 3 * GIB, "be_a.old": 4 * GIB}
    assert scheduler.ledger.used_bytes("cpu") == 3 * GIB


def test_others_give_way_to_a_new_version_and_the_old_one_never() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a", "be_b")

    begun = begin(scheduler)
    started = scheduler.on_exit(2, "be_b", None)

    assert begun == [StopWorker("be_b")]
    assert started == [StartWorker("be_a.next")]
    assert state_of(scheduler) is WorkerState.READY


def test_neither_version_gives_way_to_others() -> None:
    scheduler = make(
        make_spec("be_a", limits=TIGHT, keep_alive=0, priority=-1), make_spec("be_b", limits=TIGHT)
    )
    scheduler.on_load(0, "be_a")
    scheduler.on_ready(0, "be_a", 5.0)
    make_probed(scheduler)

    assert scheduler.on_request(3, 1, "be_b") == []
    assert scheduler.on_tick(30) == []


def test_a_new_version_that_can_never_fit_beside_the_old_one_is_refused_with_numbers() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")

    with pytest.raises(EngineError) as caught:
        begin(scheduler, need_bytes=7 * GIB)

    assert caught.value.code is ErrorCode.CONFLICT
    assert "needs 7.00 GiB on cpu, whose budget is 10.00 GiB, beside 4.00 GiB" in caught.value.message
    assert "stop be_a first" in caught.value.message
    assert list(scheduler.records) == ["be_a", "be_b"]


def test_a_stopped_backend_waits_for_its_new_version() -> None:
    scheduler = make()

    begun = begin(scheduler, need_bytes=7 * GIB)
    asked = scheduler.on_request(2, 1, "be_a")
    detail = scheduler.records["be_a"].detail
    next_look = scheduler.next_wake()
    scheduler.on_ready(3, "be_a.next", 5.0)
    swapped = scheduler.on_probed(4, "be_a", None)

    assert begun == [StartWorker("be_a.next")]
    assert asked == []
    assert detail == "waits for its new version"
    assert next_look is not None
    assert next_look > 2
    assert swapped == [Grant(1, "be_a")]
    assert progress(scheduler).state is ReplacementState.DONE


def test_a_large_new_version_is_loaded_when_the_old_one_was_told_to_stop() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    scheduler.on_stop(1, "be_a")

    begun = begin(scheduler, 2, need_bytes=7 * GIB)
    asked = scheduler.on_request(3, 1, "be_a")
    started = scheduler.on_exit(4, "be_a", None)

    assert (begun, asked) == ([], [])
    assert started == [StartWorker("be_a.next")]


def test_if_the_new_version_fails_a_stopped_backend_loads_the_old_one() -> None:
    scheduler = make()
    begin(scheduler)
    scheduler.on_request(2, 1, "be_a")

    assert scheduler.on_exit(3, "be_a.next", "no such weights") == [StartWorker("be_a")]
    assert progress(scheduler).error == "no such weights"


@pytest.mark.parametrize("is_ready", [False, True])
def test_a_new_version_whose_worker_dies_is_not_tried_again(is_ready: bool) -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    begin(scheduler)
    if is_ready:
        scheduler.on_ready(2, "be_a.next", 5.0)

    ended = scheduler.on_exit(3, "be_a.next", "ended by SIGKILL")

    assert ended == []
    assert progress(scheduler) == Progress(1, ReplacementState.FAILED, None, 3, "ended by SIGKILL")
    assert list(scheduler.records) == ["be_a", "be_b"]
    assert scheduler.ledger.used_bytes("cpu") == 4 * GIB
    assert not scheduler.replacements.is_probed("be_a.next")


def test_a_failed_probe_ends_the_new_version_and_leaves_the_old_one() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    make_probed(scheduler)

    ended = scheduler.on_probed(4, "be_a", "no answer")
    served = scheduler.on_request(5, 1, "be_a")
    scheduler.on_exit(6, "be_a.next", None)

    assert ended == [StopWorker("be_a.next")]
    assert served == [Grant(1, "be_a")]
    assert progress(scheduler) == Progress(1, ReplacementState.FAILED, None, 4, "no answer")
    assert "be_a.next" not in scheduler.records


def test_a_new_version_that_loads_for_too_long_is_ended() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    begin(scheduler)

    late = scheduler.on_tick(1 + TIGHT.load_timeout_s)

    assert late == [StopWorker("be_a.next", "not ready within 100 s")]


def test_a_new_version_that_gets_no_memory_is_given_up() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a", "be_b")
    scheduler.on_request(1, 1, "be_b")
    begin(scheduler)

    scheduler.on_tick(30)
    wake_at = scheduler.next_wake()
    scheduler.on_tick(1 + TIGHT.load_timeout_s)

    assert wake_at == 1 + TIGHT.load_timeout_s
    assert progress(scheduler).state is ReplacementState.FAILED
    assert (progress(scheduler).error or "").startswith("got no memory: needs 4.00 GiB on cpu")
    assert list(scheduler.records) == ["be_a", "be_b"]


def test_there_are_never_two_replacements_of_one_backend() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    scheduler.on_request(1, 1, "be_a")
    make_probed(scheduler)

    with pytest.raises(EngineError, match="is on its way already"):
        begin(scheduler)
    scheduler.on_probed(4, "be_a", None)
    with pytest.raises(EngineError, match="still ends its requests"):
        begin(scheduler)
    scheduler.on_leave(5, 1)
    scheduler.on_exit(6, "be_a.old", None)

    assert begin(scheduler, 7) == [StartWorker("be_a.next")]
    assert progress(scheduler).number == 2


def test_stop_ends_both_versions() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    begin(scheduler)

    stopping = scheduler.on_stop(3, "be_a")
    scheduler.on_exit(4, "be_a.next", None)
    scheduler.on_exit(4, "be_a", None)

    assert stopping == [StopWorker("be_a.next"), StopWorker("be_a")]
    assert progress(scheduler).error == "stopped by an operator"
    assert state_of(scheduler) is WorkerState.STOPPED
    assert scheduler.ledger.used_bytes("cpu") == 0


def test_a_shutdown_ends_the_new_version_at_once() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    scheduler.on_request(1, 1, "be_a")
    make_probed(scheduler)

    draining = scheduler.on_drain(4)

    assert draining == [StopWorker("be_a.next")]
    assert not scheduler.replacements.is_probed("be_a.next")
    with pytest.raises(EngineError) as caught:
        begin(scheduler, 5)
    assert caught.value.code is ErrorCode.SHUTTING_DOWN


def test_an_old_worker_that_dies_meanwhile_is_back_only_if_the_new_version_fails() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    begin(scheduler)

    scheduler.on_exit(2, "be_a", "ended by SIGKILL")
    meanwhile = scheduler.on_tick(10)
    back = scheduler.on_exit(11, "be_a.next", "ended by SIGKILL")

    assert meanwhile == []
    assert back == [StartWorker("be_a")]


def test_an_old_worker_that_dies_while_it_drains_ends_the_replacement() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    scheduler.on_request(1, 1, "be_a")
    make_probed(scheduler)
    scheduler.on_probed(4, "be_a", None)

    died = scheduler.on_exit(5, "be_a.old", "ended by SIGKILL")

    assert died == []
    assert scheduler.on_leave(6, 1) == []
    assert progress(scheduler).state is ReplacementState.DONE


def test_counters_and_an_operators_pin_go_on() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    scheduler.on_exit(0.5, "be_a", "ended by SIGSEGV")
    scheduler.on_tick(2)
    scheduler.on_ready(2, "be_a", 5.0)
    scheduler.on_pin(2, "be_a", True)
    begin(scheduler, 3)
    scheduler.on_ready(4, "be_a.next", 5.0)

    scheduler.on_probed(5, "be_a", None)

    record = scheduler.records["be_a"]
    assert (record.restarts, record.is_pinned, record.stage) == (1, True, Stage.SERVING)


def test_a_request_that_leaves_while_both_are_there_is_forgotten() -> None:
    scheduler = make()
    bring_up(scheduler, "be_a")
    for ticket in (1, 2, 3):
        scheduler.on_request(1, ticket, "be_a")
    make_probed(scheduler)
    scheduler.on_leave(3, 3)

    swapped = scheduler.on_probed(4, "be_a", None)

    assert not any(isinstance(action, Grant | Refuse) for action in swapped)
