"""The server's side of sleeping: orders to a worker, here the real runtime with a fake engine, and its answers."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from engines.contract.frames import Asleep, Awake, Progress, Ready, ResidencyFailed, Stats
from server.workers.channel import ResidencyFrame
from server.workers.process import LaunchPlan, Timeouts, WorkerProcess
from tests.fakes.ballast import MIB
from tests.fakes.specs import make_spec
from tests.fakes.workers import ROOT

BALLAST = 48
SLACK = 8 * MIB


class Running:
    """A worker that runs, and what its listeners were told."""

    def __init__(self, folder: Path, timeouts: Timeouts, options: dict[str, Any]) -> None:
        plan = LaunchPlan(
            command=(sys.executable, "-m", "engines.runtime"),
            environment={"PYTHONPATH": str(ROOT), "PATH": os.environ.get("PATH", "")},
            socket=folder / "worker.sock",
            log=folder / "worker.log",
        )
        spec = make_spec(options={"ballast_mib": BALLAST} | options)
        self.worker = WorkerProcess(spec, plan, timeouts, residency=self)
        self.ready = asyncio.Event()
        self.answers: asyncio.Queue[ResidencyFrame] = asyncio.Queue()
        self.error: str | None = None
        self.task = asyncio.create_task(self.worker.run(self))

    def on_progress(self, worker: WorkerProcess, frame: Progress) -> None: ...

    def on_ready(self, worker: WorkerProcess, frame: Ready) -> None:
        self.ready.set()

    def on_hang_up(self, worker: WorkerProcess) -> None: ...

    def on_residency(self, worker: WorkerProcess, frame: ResidencyFrame) -> None:
        self.answers.put_nowait(frame)

    def on_exit(self, worker: WorkerProcess, error: str | None, permanent: bool) -> None:
        self.error = error

    async def answer(self) -> ResidencyFrame:
        return await asyncio.wait_for(self.answers.get(), 10)


@contextlib.asynccontextmanager
async def run_worker(
    folder: Path, timeouts: Timeouts | None = None, **options: Any
) -> AsyncIterator[Running]:
    running = Running(folder, timeouts or Timeouts(), options)
    try:
        await asyncio.wait_for(running.ready.wait(), 20)
        yield running
    finally:
        running.worker.stop()
        await asyncio.wait({running.task}, timeout=20)


async def test_worker_sleeps_and_wakes_and_its_answers_are_events(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        assert running.worker.sleep_levels == (2,)

        running.worker.sleep(2)
        asleep = await running.answer()
        running.worker.wake()
        awake = await running.answer()

        assert isinstance(asleep, Asleep)
        assert abs(asleep.freed_host_bytes - BALLAST * MIB) < SLACK
        assert isinstance(awake, Awake)
    assert running.error is None


async def test_stats_tell_the_memory_of_the_process_group(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        async with asyncio.timeout(10):
            while not (stats := running.worker.stats) or stats.host_bytes < BALLAST * MIB:  # noqa: ASYNC110 no event
                await asyncio.sleep(0.01)

        assert isinstance(stats, Stats)


async def test_refusal_leaves_the_worker_alone(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        running.worker.sleep(1)

        refused = await running.answer()

        assert isinstance(refused, ResidencyFailed)
        assert not refused.is_fatal
        assert not running.task.done()


async def test_wake_that_hangs_ends_the_worker_with_the_reason(tmp_path: Path) -> None:
    async with run_worker(tmp_path, Timeouts(wake_s=0.05), wake_fault="hang") as running:
        running.worker.sleep(2)
        await running.answer()

        running.worker.wake()
        await asyncio.wait({running.task}, timeout=20)

    assert running.error == "waking took longer than 0.05 s"


async def test_stop_reaches_a_sleeping_worker(tmp_path: Path) -> None:
    async with run_worker(tmp_path) as running:
        running.worker.sleep(2)
        await running.answer()

        running.worker.stop()
        await asyncio.wait({running.task}, timeout=20)

    assert running.error is None
