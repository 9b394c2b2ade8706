"""A worker is gone when all its processes are; what they hold is held until then."""

import asyncio
import sys
from collections.abc import Mapping

from server.workers.actions import StartWorker
from server.workers.backoff import RestartPolicy
from server.workers.ending import describe_exit, end_group, name_them, wait_for_survivors
from server.workers.ledger import Memory
from server.workers.proc import members, memory_by_group
from server.workers.scheduler import Scheduler
from tests.fakes.specs import make_spec
from tests.server.workers.scheduling import TIGHT, make_ready

FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"])
print(child.pid, flush=True)
child.wait()
"""


async def start_family() -> tuple[asyncio.subprocess.Process, int]:
    """A process that leads a group, and the id of its child in it."""
    leader = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FAMILY, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert leader.stdout is not None
    return leader, int(await leader.stdout.readline())


async def test_group_is_ended_with_children_that_ignore_what_they_may_ignore() -> None:
    leader, child = await start_family()
    before = set(members(leader.pid))

    left = await end_group(leader.pid, 10)
    await leader.wait()

    assert before == {leader.pid, child}
    assert left == {}
    assert not members(leader.pid)
    assert leader.pid not in memory_by_group()


async def test_who_outlives_the_kill_is_named() -> None:
    left = await end_group(2**22 + 1, 0.05, members_of=lambda group_id: {12: "EngineCore", 7: "python"})

    assert name_them(left) == "python (7), EngineCore (12)"


async def test_survivors_are_waited_for() -> None:
    looks: list[Mapping[int, str]] = [{12: "EngineCore"}, {12: "EngineCore"}, {}]

    await wait_for_survivors(1, 0, members_of=lambda group_id: looks.pop(0))

    assert looks == []


def test_what_survivors_hold_is_not_granted_to_others() -> None:
    specs = [make_spec("be_a", limits=TIGHT), make_spec("be_b", limits=TIGHT)]
    memory = Memory({"cpu": 100}, {"be_a": 60, "be_b": 60}, lambda spec: ("cpu",))
    scheduler = Scheduler(specs, RestartPolicy(), lambda: 0.0, 0.0, memory=memory)
    make_ready(scheduler, "be_a")
    scheduler.on_stop(1, "be_a")

    scheduler.on_survivors("be_a", 77, "EngineCore (12)")
    scheduler.on_exit(2, "be_a", None)
    waiting = scheduler.on_load(3, "be_b")
    detail = scheduler.records["be_b"].detail or ""
    starting = scheduler.on_survivors_gone(4, 77)

    assert waiting == []
    assert "held by be_a: EngineCore (12)" in detail
    assert starting == [StartWorker("be_b")]


def test_ends_are_told_in_words() -> None:
    assert describe_exit(None) == "could not be ended"
    assert describe_exit(3) == "ended with exit status 3"
    assert describe_exit(-9) == "ended by SIGKILL"
    assert describe_exit(-50) == "ended by signal 50"
