"""Memory of a process group as Linux tells it."""

import subprocess
import sys
from pathlib import Path

from engines.runtime.host_memory import group_bytes, group_members, process_bytes
from tests.fakes.ballast import MIB

ROOT = Path(__file__).resolve().parents[3]

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


_METER = """
import asyncio
from engines.runtime.host_memory import HostMeter
from tests.fakes.ballast import Ballast

async def look():
    meter, ballast = HostMeter(), Ballast()
    seen = [await meter.look()]
    ballast.take(64)
    seen.append(await meter.look())
    ballast.drop()
    print(*seen, await meter.look())

asyncio.run(look())
"""


def test_meter_sees_what_was_taken_and_dropped() -> None:
    """In a group of its own, where nothing else comes and goes."""
    told = subprocess.run(
        [sys.executable, "-c", _METER], process_group=0, cwd=ROOT, capture_output=True, text=True, check=True
    )

    before, taken, dropped = map(int, told.stdout.split())
    assert abs(taken - before - 64 * MIB) < 8 * MIB
    assert abs(dropped - before) < 8 * MIB
