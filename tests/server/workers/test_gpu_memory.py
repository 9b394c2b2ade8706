"""Memory on GPUs belongs to process groups: a worker and the engine's processes below it count as one."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.contract.types import Priority
from server.workers.gpu_memory import ByGroup, gpu_bytes_by_group, held_on
from server.workers.ledger import Memory
from server.workers.supervisor import Supervisor
from tests.fakes.specs import make_spec
from tests.fakes.workers import FakeLauncher

GIB = 1024**3


def test_processes_of_a_group_are_added_up_and_unknown_ones_left_out() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, process_group=0)
    try:
        ours, theirs, gone = os.getpid(), child.pid, 2**22 + 1

        found = gpu_bytes_by_group(lambda: {"cuda:0": {ours: 3, theirs: 5, gone: 7}, "cuda:1": {theirs: 9}})

        assert found == {"cuda:0": {os.getpgid(0): 3, theirs: 5}, "cuda:1": {theirs: 9}}
    finally:
        child.communicate(b"\n")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"cuda:0": {7: 10}, "cuda:1": {7: 30, 8: 99}}, 30),
        ({"cuda:0": {8: 99}, "cuda:1": {}}, 20),
        ({}, 20),
    ],
)
def test_driver_counts_more_than_the_engines_word(seen: ByGroup, expected: int) -> None:
    held = held_on(["cuda:0", "cuda:1"], 7, seen, told_bytes=40)

    assert held == {"cuda:0": expected, "cuda:1": expected}


async def test_ledger_holds_what_the_driver_tells_of_a_worker(tmp_path: Path) -> None:
    held: dict[str, dict[int, int]] = {"cuda:0": {}, "cuda:1": {}}

    def read() -> ByGroup:
        return held

    launcher = FakeLauncher(tmp_path)
    memory = Memory({}, {}, lambda spec: ("cuda:0", "cuda:1"))
    supervisor = Supervisor([make_spec(device="cuda:0,1")], launcher.plan, memory=memory, read_gpus=read)
    async with supervisor, asyncio.timeout(20), supervisor.lease("be_a", Priority.DEFAULT):
        pid = supervisor.snapshot()[0].pid
        assert pid is not None
        held |= {"cuda:0": {pid: 2 * GIB}, "cuda:1": {pid: 3 * GIB, 1: GIB}}

        while supervisor.snapshot()[0].need_bytes != 3 * GIB:  # noqa: ASYNC110 as any monitor does
            await asyncio.sleep(0.05)
        assert supervisor.snapshot()[0].device_bytes == 6 * GIB
