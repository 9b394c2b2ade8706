"""Ends a process group and sees that nobody of it is left, because memory is free only then."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping

from server.workers.proc import members

POLL_S = 0.02
Members = Callable[[int], Mapping[int, str]]


async def end_group(group_id: int, timeout_s: float, *, members_of: Members = members) -> Mapping[int, str]:
    """Kill every process of the group until none is left; returns those that survived `timeout_s`, by id.

    A process survives SIGKILL only inside a call of the kernel that does not return, as of a driver that hangs.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        kill_group(group_id)
        left = await asyncio.to_thread(members_of, group_id)
        if not left or asyncio.get_running_loop().time() >= deadline:
            return left
        await asyncio.sleep(POLL_S)


async def wait_for_survivors(group_id: int, poll_s: float, *, members_of: Members = members) -> None:
    """Until the last of them is gone, however long that takes."""
    while await asyncio.to_thread(members_of, group_id):  # noqa: ASYNC110 the system tells no event
        await asyncio.sleep(poll_s)


def kill_group(group_id: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group_id, signal.SIGKILL)


def name_them(survivors: Mapping[int, str]) -> str:
    """For people: which processes outlived SIGKILL."""
    return ", ".join(f"{name} ({process_id})" for process_id, name in sorted(survivors.items()))


def describe_exit(status: int | None) -> str:
    """`status` as asyncio tells it; None of a process that survived."""
    if status is None:
        return "could not be ended"
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:  # most real-time signals have no name
        return f"ended by signal {-status}"
