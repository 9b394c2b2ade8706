"""One worker's process, with a small fake program in the engine's place. Waits on real events only."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.frames import Progress, Ready
from engines.contract.types import Priority
from server.workers.channel import RequestStream
from server.workers.process import LaunchPlan, Timeouts, WorkerProcess
from tests.fakes.specs import make_spec
from tests.fakes.worker_script import Script
from tests.fakes.workers import ROOT, FakeLauncher, say

QUICK = Timeouts(connect_s=5, heartbeat_s=0.5, stall_s=100, shutdown_s=2)


class Running:
    """A worker that runs, and all that its listener was told."""

    def __init__(self, worker: WorkerProcess) -> None:
        self.worker = worker
        self.progress: list[str] = []
        self.ready = asyncio.Event()
        self.survivors: dict[int, str] = {}
        self.exits: list[tuple[str | None, bool]] = []
        self.task = asyncio.create_task(worker.run(self))

    def on_progress(self, worker: WorkerProcess, frame: Progress) -> None:
        self.progress.append(frame.phase)

    def on_ready(self, worker: WorkerProcess, frame: Ready) -> None:
        self.ready.set()

    def on_hang_up(self, worker: WorkerProcess) -> None: ...

    def on_survivors(self, worker: WorkerProcess, survivors: Mapping[int, str]) -> None:
        assert not self.exits
        self.survivors = dict(survivors)

    def on_exit(self, worker: WorkerProcess, error: str | None, permanent: bool) -> None:
        self.exits.append((error, permanent))

    async def exit(self) -> tuple[str | None, bool]:
        """What the one `on_exit` said."""
        await asyncio.wait_for(self.task, 10)
        (end,) = self.exits
        return end

    def start(self, text: str) -> RequestStream:
        assert self.worker.channel is not None
        return self.worker.channel.start(say(text), Priority.DEFAULT)

    async def ask(self, text: str) -> str:
        stream, words = self.start(text), []
        while (batch := await asyncio.wait_for(stream.next_batch(), 5)) is not None:
            words += [delta.content for delta in batch]
        return " ".join(words).strip()


async def has_died_with(stream: RequestStream) -> bool:
    with pytest.raises(EngineError) as caught:
        await read_to_the_end(stream)
    return caught.value.worker_died


async def read_to_the_end(stream: RequestStream) -> None:
    while await stream.next_batch() is not None:
        pass


@contextlib.asynccontextmanager
async def run_worker(
    folder: Path,
    script: Script | None = None,
    *,
    timeouts: Timeouts = QUICK,
    plan: Callable[[LaunchPlan], LaunchPlan] = lambda plan: plan,
    is_ready: bool = True,
) -> AsyncIterator[Running]:
    launcher = FakeLauncher(folder, {"be_a": [script or Script()]})
    spec = make_spec()
    running = Running(WorkerProcess(spec, plan(launcher.plan(spec)), timeouts))
    try:
        if is_ready:
            await asyncio.wait_for(running.ready.wait(), 10)
        yield running
    finally:
        running.task.cancel()
        await asyncio.wait({running.task}, timeout=10)


async def wait_until_gone(pid: int) -> None:
    """A zombie counts as gone: its parent is the init process by then, which may be slow to reap."""
    async with asyncio.timeout(5):
        while is_alive(pid):  # noqa: ASYNC110 nobody tells when a process of someone else's ends
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_worker_comes_up_answers_and_reports_its_state(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        answer = await running.ask("hello world")
        running.worker.stop()
        end = await running.exit()

    assert (running.progress, answer, end) == (["loading"], "hello world", (None, False))
    assert running.worker.stats is not None
    assert "1.sock" not in os.listdir(tmp_path)


async def test_killed_worker_is_reported_by_its_signal_and_fails_its_streams_at_once(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        stream = running.start("a !hang")
        await stream.next_batch()
        killed_at = time.monotonic()
        os.kill(running.worker.pid or 0, signal.SIGKILL)

        with pytest.raises(EngineError) as caught:
            await asyncio.wait_for(stream.next_batch(), 5)
        waited_s = time.monotonic() - killed_at

        assert caught.value.code is ErrorCode.BACKEND_ERROR
        assert waited_s < 1
        assert await running.exit() == ("ended by SIGKILL", False)


async def test_streams_fail_at_once_although_a_child_still_holds_the_socket(tmp_path: Path) -> None:
    """The kernel closes a socket with its last holder: a child of the worker may have inherited it."""
    async with run_worker(tmp_path, timeouts=Timeouts(heartbeat_s=60)) as running:
        child = int(await running.ask("!fork"))
        stream = running.start("!hang")
        await stream.accepted()
        os.kill(running.worker.pid or 0, signal.SIGKILL)

        with pytest.raises(EngineError):
            await asyncio.wait_for(stream.next_batch(), 1)
        assert await running.exit() == ("ended by SIGKILL", False)
        await wait_until_gone(child)


async def test_children_are_gone_after_an_orderly_stop(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        child = int(await running.ask("!fork"))

        running.worker.stop()

        assert await running.exit() == (None, False)
        await wait_until_gone(child)


async def test_death_in_the_middle_keeps_what_was_said_before(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        stream = running.start("a b !die")
        words: list[str] = []

        with contextlib.suppress(EngineError):
            while batch := await asyncio.wait_for(stream.next_batch(), 5):
                words += [delta.content for delta in batch]

        assert words == ["a", "b"]
        assert await running.exit() == ("ended with exit status 9", False)


@pytest.mark.parametrize("die_at", ["start", "loading"])
async def test_death_while_coming_up_is_reported_by_its_status(tmp_path: Path, die_at: str) -> None:
    script = Script(die_at="start" if die_at == "start" else "loading")
    async with run_worker(tmp_path, script, is_ready=False) as running:
        assert await running.exit() == ("ended with exit status 9", False)


@pytest.mark.parametrize("kind", ["permanent", "passing", "lingering"])
async def test_load_failure_is_reported_in_the_workers_words(tmp_path: Path, kind: str) -> None:
    script = Script(load_failure="permanent" if kind == "permanent" else "passing")
    if kind == "lingering":
        script = Script(load_failure="lingering")
    async with run_worker(tmp_path, script, is_ready=False) as running:
        assert await running.exit() == ("told to fail", kind == "permanent")


async def test_stopped_worker_process_is_killed_for_its_silence(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        stream = running.start("!hang")
        await stream.accepted()
        os.kill(running.worker.pid or 0, signal.SIGSTOP)

        with pytest.raises(EngineError):
            await asyncio.wait_for(stream.next_batch(), 5)
        assert await running.exit() == ("no sign of life for 0.5 s", False)


async def test_worker_that_is_silent_from_its_first_moment_is_killed(tmp_path: Path) -> None:
    async with run_worker(tmp_path, Script(mute_after_ready=True)) as running:
        assert await running.exit() == ("no sign of life for 0.5 s", False)


async def test_worker_that_stops_while_it_loads_is_killed_for_its_silence(tmp_path: Path) -> None:
    timeouts = Timeouts(load_heartbeat_s=0.3)
    async with run_worker(tmp_path, Script(load_delay_s=60), timeouts=timeouts, is_ready=False) as running:
        assert await running.exit() == ("no sign of life for 0.3 s", False)


async def test_worker_that_gives_itself_up_says_why(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        stream = running.start("!dying")

        assert await running.exit() == ("the device failed", False)
        assert await has_died_with(stream)
        assert running.worker.told_error == "the device failed"


async def test_an_engines_words_about_its_load_are_not_for_clients(tmp_path: Path) -> None:
    async with run_worker(tmp_path, Script(load_failure="passing"), is_ready=False) as running:
        assert await running.exit() == ("told to fail", False)
        assert running.worker.told_error == "it could not be loaded"


async def test_answers_and_signs_of_life_are_dated(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        channel = running.worker.channel
        assert channel is not None
        assert channel.last_answer is None

        await running.ask("hello")

        assert channel.last_answer is not None
        ready_at = running.worker.ready_at or 0
        assert running.worker.started_at < ready_at < channel.last_answer.at < time.monotonic()
        assert 0 < channel.last_answer.took_s < 5
        assert running.worker.heard_at >= ready_at


async def test_slow_load_is_not_silence(tmp_path: Path) -> None:
    async with run_worker(tmp_path, Script(load_delay_s=0.8)) as running:
        assert running.ready.is_set()
        assert running.exits == []


async def test_pause_of_the_server_is_not_the_workers_silence(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        time.sleep(0.8)  # noqa: ASYNC251 the pause of the event loop is the case under test

        assert await running.ask("still there") == "still there"


async def test_worker_over_a_stuck_engine_is_killed(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        stream = running.start("!stall !hang")

        assert await running.exit() == ("a request made no progress for 1000 s", False)
        assert await has_died_with(stream)


async def test_worker_that_breaks_the_protocol_is_killed(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        stream = running.start("!garbage !hang")

        error, permanent = await running.exit()

        with pytest.raises(EngineError):
            await stream.next_batch()
        assert (error or "").startswith("sent no proper frame")
        assert not permanent


async def test_worker_that_never_listens_is_killed(tmp_path: Path) -> None:
    timeouts = Timeouts(connect_s=0.3)
    async with run_worker(tmp_path, Script(never_listen=True), timeouts=timeouts, is_ready=False) as running:
        assert await running.exit() == ("did not listen within 0.3 s", False)


async def test_worker_that_closes_is_not_called_silent(tmp_path: Path) -> None:
    """vLLM takes seconds to close on a busy machine, and meanwhile nothing beats."""
    script, timeouts = (
        Script(ignore_shutdown=True, mute_after_ready=True),
        Timeouts(heartbeat_s=0.3, shutdown_s=1),
    )
    async with run_worker(tmp_path, script, timeouts=timeouts) as running:
        running.worker.stop()

        assert await running.exit() == (None, False)


async def test_worker_that_ignores_the_shutdown_is_killed_in_the_end(tmp_path: Path) -> None:
    timeouts = Timeouts(shutdown_s=0.3)
    async with run_worker(tmp_path, Script(ignore_shutdown=True), timeouts=timeouts) as running:
        stream = running.start("!hang")
        running.worker.stop()

        assert await running.exit() == (None, False)
        assert not await has_died_with(stream)


async def test_stop_before_the_worker_listens_ends_it(tmp_path: Path) -> None:
    async with run_worker(tmp_path, Script(never_listen=True), is_ready=False) as running:
        running.worker.stop()

        assert await running.exit() == (None, False)


async def test_missing_interpreter_is_a_permanent_failure(tmp_path: Path) -> None:
    def without_interpreter(plan: LaunchPlan) -> LaunchPlan:
        return LaunchPlan(("/no/such/python",), plan.environment, plan.socket, plan.log)

    async with run_worker(tmp_path, plan=without_interpreter, is_ready=False) as running:
        end = await running.exit()

    assert end == ("could not start /no/such/python: No such file or directory", True)
    assert running.worker.told_error == "its process could not be started"


async def test_cancelled_run_leaves_no_process_and_no_descriptor(tmp_path: Path) -> None:
    num_open = len(os.listdir("/proc/self/fd"))
    async with run_worker(tmp_path) as running:
        pid = running.worker.pid or 0

    await wait_until_gone(pid)
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == num_open


PARENT = """
    import asyncio, pathlib, sys
    from server.workers.process import Timeouts, WorkerProcess
    from tests.fakes.specs import make_spec
    from tests.fakes.workers import FakeLauncher

    class Listener:
        def on_progress(self, worker, frame): ...
        def on_hang_up(self, worker): ...
        def on_exit(self, worker, error, permanent): ...
        def on_ready(self, worker, frame):
            print(worker.pid, flush=True)

    spec = make_spec()
    plan = FakeLauncher(pathlib.Path(sys.argv[1])).plan(spec)
    asyncio.run(WorkerProcess(spec, plan, Timeouts()).run(Listener()))
"""


async def test_worker_sees_the_end_of_a_killed_server_through_its_lifeline(tmp_path: Path) -> None:
    program = textwrap.dedent(PARENT)
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout is not None
    worker_pid = int(await asyncio.wait_for(parent.stdout.readline(), 30))

    parent.kill()
    await parent.wait()

    await wait_until_gone(worker_pid)
    assert (tmp_path / "be_a.log").read_text() == "lifeline closed\n"


async def test_processes_that_outlive_the_kill_are_told_before_the_exit(tmp_path: Path) -> None:
    """No process can be made to, so the look into the system is faked."""
    spec, timeouts = make_spec(), Timeouts(gone_s=0.05)
    plan = FakeLauncher(tmp_path).plan(spec)
    running = Running(WorkerProcess(spec, plan, timeouts, members_of=lambda group_id: {12: "EngineCore"}))
    await asyncio.wait_for(running.ready.wait(), 30)

    running.worker.stop()

    assert await running.exit() == (None, False)
    assert running.survivors == {12: "EngineCore"}
