"""Leases on real processes of a small fake worker program."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec, Limits
from engines.contract.types import Priority
from server.workers.backoff import RestartPolicy
from server.workers.ledger import Memory
from server.workers.process import LaunchPlan, Timeouts
from server.workers.status import BackendStatus, WorkerState
from server.workers.supervisor import Supervisor
from tests.fakes.specs import make_spec
from tests.fakes.worker_script import Script
from tests.fakes.workers import FakeLauncher, say

A, B = make_spec("be_a"), make_spec("be_b", device="cuda:0")
POLICY = RestartPolicy(first_delay_s=0.05)


@pytest.fixture
def launcher(tmp_path: Path) -> FakeLauncher:
    return FakeLauncher(tmp_path)


def make_supervisor(launcher: FakeLauncher, *specs: BackendSpec) -> Supervisor:
    return Supervisor(specs or (A, B), launcher.plan, policy=POLICY, timeouts=Timeouts(shutdown_s=2))


def status_of(supervisor: Supervisor, backend_id: str = "be_a") -> BackendStatus:
    return next(status for status in supervisor.snapshot() if status.backend_id == backend_id)


async def wait_for_state(supervisor: Supervisor, state: WorkerState, backend_id: str = "be_a") -> None:
    async with asyncio.timeout(10):
        while status_of(supervisor, backend_id).state is not state:  # noqa: ASYNC110 as any monitor does
            await asyncio.sleep(0.01)


async def ask(supervisor: Supervisor, text: str, backend_id: str = "be_a") -> str:
    words: list[str] = []
    async with asyncio.timeout(10), supervisor.lease(backend_id) as channel:
        stream = channel.start(say(text), Priority.DEFAULT)
        try:
            while batch := await stream.next_batch():
                words += [delta.content for delta in batch]
        finally:
            stream.close()
    return " ".join(words).strip()


@contextlib.asynccontextmanager
async def asking(
    supervisor: Supervisor, text: str, backend_id: str = "be_a"
) -> AsyncIterator[asyncio.Task[str]]:
    """A request that holds its lease."""
    task = asyncio.create_task(ask(supervisor, text, backend_id))
    async with asyncio.timeout(10):
        while not status_of(supervisor, backend_id).in_flight:  # noqa: ASYNC110 as any monitor does
            await asyncio.sleep(0.01)
    yield task
    task.cancel()
    await asyncio.wait({task})


async def test_concurrent_leases_start_one_process(launcher: FakeLauncher) -> None:
    async with make_supervisor(launcher) as supervisor:
        answers = await asyncio.gather(*(ask(supervisor, f"number {n}") for n in range(20)))

        assert answers == [f"number {n}" for n in range(20)]
        assert launcher.num_launches == 1
        assert status_of(supervisor).in_flight == 0


async def test_crash_fails_its_own_requests_and_the_next_lease_waits_for_the_restart(
    launcher: FakeLauncher,
) -> None:
    async with make_supervisor(launcher) as supervisor:
        await ask(supervisor, "up", "be_b")
        async with asking(supervisor, "!hang", "be_b") as untouched, asking(supervisor, "!hang") as failing:
            os.kill(status_of(supervisor).pid or 0, signal.SIGKILL)
            with pytest.raises(EngineError) as caught:
                await asyncio.wait_for(failing, 1)

            answer = await ask(supervisor, "back again")
            await ask(supervisor, "!release", "be_b")

            assert caught.value.code is ErrorCode.BACKEND_ERROR
            assert answer == "back again"
            assert await untouched == ""
            assert (status_of(supervisor).restarts, status_of(supervisor, "be_b").restarts) == (1, 0)


async def test_snapshot_shows_the_worker_coming_up_and_ready(launcher: FakeLauncher, tmp_path: Path) -> None:
    launcher = FakeLauncher(tmp_path, {"be_a": [Script(load_delay_s=0.3)]})
    async with make_supervisor(launcher) as supervisor:
        before = status_of(supervisor)
        lease = asyncio.create_task(ask(supervisor, "hi"))
        await wait_for_state(supervisor, WorkerState.LOADING)
        loading = status_of(supervisor)
        await lease
        ready = status_of(supervisor)

    assert (before.state, before.pid) == (WorkerState.STOPPED, None)
    assert (loading.detail, loading.waiting, loading.in_flight) == ("pretending", 1, 0)
    assert (ready.state, ready.waiting, ready.load_s) == (WorkerState.READY, 0, 0.3)
    assert (ready.rss_bytes or 0) > 1_000_000


async def test_leaving_ends_every_process(launcher: FakeLauncher) -> None:
    async with make_supervisor(launcher) as supervisor:
        await ask(supervisor, "hi")
        supervisor.load("be_b")
        await wait_for_state(supervisor, WorkerState.READY, "be_b")
        pids = [status.pid or 0 for status in supervisor.snapshot()]

    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert [status.state for status in supervisor.snapshot()] == [WorkerState.STOPPED] * 2


async def test_leaving_while_a_worker_loads_ends_it(tmp_path: Path) -> None:
    launcher = FakeLauncher(tmp_path, {"be_a": [Script(never_listen=True)]})
    async with make_supervisor(launcher) as supervisor:
        waiting = asyncio.create_task(ask(supervisor, "hi"))
        await wait_for_state(supervisor, WorkerState.STARTING)

    with pytest.raises(EngineError) as caught:
        await waiting
    assert caught.value.code is ErrorCode.SHUTTING_DOWN


async def test_lease_that_is_cancelled_while_loading_leaves_nothing_behind(tmp_path: Path) -> None:
    launcher = FakeLauncher(tmp_path, {"be_a": [Script(load_delay_s=0.2)]})
    async with make_supervisor(launcher) as supervisor:
        lease = asyncio.create_task(ask(supervisor, "hi"))
        await wait_for_state(supervisor, WorkerState.LOADING)
        lease.cancel()
        await asyncio.wait({lease})

        await wait_for_state(supervisor, WorkerState.READY)

        status = status_of(supervisor)
        assert (status.waiting, status.in_flight) == (0, 0)


async def test_lease_is_returned_when_its_user_fails(launcher: FakeLauncher) -> None:
    spec = make_spec(limits=Limits(max_concurrency=1))
    async with make_supervisor(launcher, spec) as supervisor:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with supervisor.lease("be_a"):
                    raise ZeroDivisionError

        assert await ask(supervisor, "free") == "free"


async def test_wait_for_a_lease_ends_with_its_timeout(launcher: FakeLauncher) -> None:
    spec = make_spec(limits=Limits(max_concurrency=1, queue_timeout_s=0.05))
    async with make_supervisor(launcher, spec) as supervisor, asking(supervisor, "!hang"):
        with pytest.raises(EngineError) as caught:
            await ask(supervisor, "no room")

    assert caught.value.code is ErrorCode.BACKEND_RATE_LIMITED


async def test_launch_that_cannot_be_planned_fails_the_backend(tmp_path: Path) -> None:
    def refuse(spec: BackendSpec) -> LaunchPlan:
        raise EngineError(ErrorCode.MODEL_UNAVAILABLE, "no interpreter for this engine")

    async with Supervisor([A], refuse) as supervisor:
        with pytest.raises(EngineError) as caught:
            await ask(supervisor, "hi")

        assert caught.value.code is ErrorCode.MODEL_UNAVAILABLE
        assert status_of(supervisor).state is WorkerState.FAILED
        assert status_of(supervisor).last_error == "no interpreter for this engine"


async def test_permanent_load_failure_refuses_all_who_wait(tmp_path: Path) -> None:
    launcher = FakeLauncher(tmp_path, {"be_a": [Script(load_failure="permanent")]})
    async with make_supervisor(launcher) as supervisor:
        results = await asyncio.gather(*(ask(supervisor, "hi") for _ in range(5)), return_exceptions=True)

        assert {getattr(result, "code", None) for result in results} == {ErrorCode.MODEL_UNAVAILABLE}
        assert (launcher.num_launches, status_of(supervisor).last_error) == (1, "told to fail")


async def test_passing_load_failure_is_tried_again(tmp_path: Path) -> None:
    launcher = FakeLauncher(tmp_path, {"be_a": [Script(load_failure="passing"), Script()]})
    async with make_supervisor(launcher) as supervisor:
        assert await ask(supervisor, "second try") == "second try"


async def test_slow_load_is_ended_and_tried_again(tmp_path: Path) -> None:
    launcher = FakeLauncher(tmp_path, {"be_a": [Script(load_delay_s=60), Script()]})
    spec = make_spec(limits=Limits(load_timeout_s=0.6))
    async with make_supervisor(launcher, spec) as supervisor:
        supervisor.load("be_a")
        await wait_for_state(supervisor, WorkerState.READY)

        assert (launcher.num_launches, status_of(supervisor).restarts) == (2, 1)


async def test_stop_lets_the_running_request_end(launcher: FakeLauncher) -> None:
    async with make_supervisor(launcher) as supervisor:
        async with supervisor.lease("be_a") as channel:
            supervisor.stop("be_a")
            draining = status_of(supervisor).state
            stream = channel.start(say("last words"), Priority.DEFAULT)
            words = await asyncio.wait_for(stream.next_batch(), 5)
        await wait_for_state(supervisor, WorkerState.STOPPED)

    assert draining is WorkerState.DRAINING
    assert words is not None


async def test_preloaded_backends_start_with_the_server(launcher: FakeLauncher) -> None:
    async with make_supervisor(launcher, make_spec(preload=True)) as supervisor:
        await wait_for_state(supervisor, WorkerState.READY)


async def test_cut_ends_running_requests_with_shutting_down(launcher: FakeLauncher) -> None:
    async with make_supervisor(launcher) as supervisor, asking(supervisor, "!hang") as running:
        supervisor.cut()

        with pytest.raises(EngineError) as caught:
            await asyncio.wait_for(running, 1)
    assert caught.value.code is ErrorCode.SHUTTING_DOWN


async def test_drain_refuses_new_leases(launcher: FakeLauncher) -> None:
    async with make_supervisor(launcher) as supervisor:
        supervisor.drain()

        with pytest.raises(EngineError) as caught:
            await ask(supervisor, "too late")
    assert caught.value.code is ErrorCode.SHUTTING_DOWN


async def test_load_waits_for_what_other_programs_hold(launcher: FakeLauncher) -> None:
    free = {"cpu": 5}
    memory = Memory({"cpu": 100}, {"be_a": 10}, lambda spec: ("cpu",))
    supervisor = Supervisor([A], launcher.plan, memory=memory, read_free=lambda: dict(free))
    async with supervisor, asyncio.timeout(10):
        while supervisor.devices()[0].free_bytes != 5:  # noqa: ASYNC110 as any monitor does
            await asyncio.sleep(0.01)

        supervisor.load("be_a")
        waiting = status_of(supervisor)
        free["cpu"] = 50
        await wait_for_state(supervisor, WorkerState.READY)

    assert waiting.state is WorkerState.QUEUED
    assert "0.00 GiB are free" in (waiting.detail or "")


async def test_probe_asks_a_ready_model_and_no_other(launcher: FakeLauncher) -> None:
    async with make_supervisor(launcher) as supervisor:
        before = await supervisor.probe("be_a", 5)
        await ask(supervisor, "hello")
        idle_since = status_of(supervisor).idle_s

        answered = await supervisor.probe("be_a", 5)

        assert (before.outcome, status_of(supervisor, "be_b").state) == ("not_ready", WorkerState.STOPPED)
        assert (answered.outcome, answered.is_healthy) == ("answered", True)
        assert (status_of(supervisor).idle_s or 0) > (idle_since or 0), "a probe is no use"
        health = supervisor.health("be_a")
        assert health.last_answer is not None
        assert (health.is_ready, health.last_answer.source) == (True, "request")
