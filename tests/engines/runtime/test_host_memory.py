"""Memory of a process group as Linux tells it."""

import os
import subprocess
import sys

from engines.runtime.host_memory import HostMeter, group_bytes, group_members, process_bytes
from tests.fakes.ballast import MIB, Ballast

_PARENT = r"""
import os, sys, mmap
shared = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE)
for page in range(0, len(shared), 4096):
    shared[page] = 1
for _ in range(3):
    if os.fork() == 0:
        break
os.write(1, b"%d\n" % os.getpid())
sys.stdin.read()
"""


def test_members_of_a_group_are_found_and_shared_pages_count_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        process_group=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        ids = {int(parent.stdout.readline()) for _ in range(4)}

        members = set(group_members(parent.pid))
        taken = group_bytes(parent.pid)
        parent.kill()

    assert members == ids
    assert 64 * MIB < taken < 2 * 64 * MIB


def test_process_that_is_gone_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

        assert process_bytes(process.pid) == 0


async def test_meter_sees_what_was_taken_and_dropped() -> None:
    meter, ballast = HostMeter(), Ballast()
    before = await meter.look()

    ballast.take(64)
    taken = await meter.look()
    ballast.drop()
    dropped = await meter.look()

    assert abs(taken - before - 64 * MIB) < 8 * MIB
    assert abs(dropped - before) < 8 * MIB
    assert os.getpgrp() in set(group_members(os.getpgrp()))
