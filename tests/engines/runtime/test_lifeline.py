"""No process of a worker outlives the server or the worker, however they die."""

import asyncio
import os
from pathlib import Path

from tests.engines.running_worker import RunningWorker
from tests.engines.runtime.conftest import Worker


def group_of(worker: RunningWorker) -> set[int]:
    """Processes in the worker's process group that still run."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == worker.process.pid and fields[0] != "Z":
                found.add(int(entry.name))
    return found


async def is_gone(worker: RunningWorker) -> bool:
    """Waits until nothing is left of the group."""
    async with asyncio.timeout(5):
        while group_of(worker):
            worker.process.poll()
            await asyncio.sleep(0.02)
    return True


async def test_worker_and_watcher_share_a_process_group(worker: Worker) -> None:
    running_worker, _ = worker

    assert os.getpgid(running_worker.process.pid) == running_worker.process.pid
    assert len(group_of(running_worker)) == 2


async def test_group_dies_when_the_lifeline_is_cut(worker: Worker) -> None:
    running_worker, _ = worker

    running_worker.cut_lifeline()

    assert await is_gone(running_worker)
    assert await running_worker.exit_code() == -9  # which a thread may delay after the process looks dead


async def test_group_dies_after_a_killed_worker(worker: Worker) -> None:
    running_worker, _ = worker

    running_worker.process.kill()

    assert await is_gone(running_worker)


async def test_group_dies_also_while_the_worker_is_stopped(worker: Worker) -> None:
    running_worker, _ = worker
    os.kill(running_worker.process.pid, 19)  # SIGSTOP

    running_worker.cut_lifeline()

    assert await is_gone(running_worker)
