"""Measures real engines that sleep and wake: memory of the process group, answers, times."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from engines.contract.frames import Asleep, Awake, Ready, Shutdown, Sleep, Wake
from engines.contract.requests import Item
from engines.contract.requests import Request as AnyRequest
from engines.contract.spec import BackendSpec
from engines.runtime.host_memory import group_members
from tests.engines.conftest import engines_python
from tests.engines.running_worker import Answer, Peer, RunningWorker

MIB = 1024 * 1024


class Rung(NamedTuple):
    """What a model held on each rung of the ladder, and how long the ways back took."""

    hot_bytes: int
    asleep_bytes: int
    awake_bytes: int
    cold_start_s: float
    sleep_s: float
    wake_s: float

    @property
    def freed_bytes(self) -> int:
        return self.hot_bytes - self.asleep_bytes

    def __str__(self) -> str:
        hot, asleep, awake = (size / MIB for size in self[:3])
        return (
            f"hot {hot:.0f} MiB, asleep {asleep:.0f}, awake {awake:.0f}; cold start {self.cold_start_s:.2f} s,"
            f" sleep {self.sleep_s:.3f} s, wake {self.wake_s:.3f} s: {self.cold_start_s / self.wake_s:.0f} times faster"
        )


class Subject:
    """One loaded worker under measurement."""

    def __init__(self, worker: RunningWorker, peer: Peer, cold_start_s: float) -> None:
        self.worker = worker
        self.peer = peer
        self.cold_start_s = cold_start_s

    def held_bytes(self) -> int:
        """RSS: other than PSS, it does not move when a stranger who maps the same libraries comes or goes."""
        return sum(map(_rss_bytes, group_members(self.worker.process.pid)))

    async def ask(self, request: AnyRequest) -> list[Item]:
        answer: Answer = await self.peer.ask(request)
        assert answer.usage, answer.end
        return answer.items

    async def sleep(self, level: int = 2) -> Asleep:
        self.peer.send(Sleep(level))
        asleep = await self.peer.next_residency()
        assert isinstance(asleep, Asleep), asleep
        return asleep

    async def wake(self) -> Awake:
        self.peer.send(Wake())
        awake = await self.peer.next_residency()
        assert isinstance(awake, Awake), (awake, self.worker.log.read_text()[-3000:])
        return awake

    async def climb(self) -> Rung:
        """Down to level 2 and up again."""
        hot_bytes = self.held_bytes()
        asleep = await self.sleep()
        asleep_bytes = self.held_bytes()
        awake = await self.wake()
        return Rung(
            hot_bytes, asleep_bytes, self.held_bytes(), self.cold_start_s, asleep.took_s, awake.took_s
        )


def _rss_bytes(process_id: int) -> int:
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def subject(folder: Path, spec: BackendSpec) -> AsyncIterator[Subject]:
    """The cold start is from the start of the process to its being ready."""
    started = time.monotonic()
    worker = RunningWorker(folder, engines_python())
    try:
        peer = await worker.supervise(spec)
        ready = await peer.wait_ready()
        assert isinstance(ready, Ready), (ready, worker.log.read_text()[-4000:])
        assert ready.sleep_levels == (2,)
        yield Subject(worker, peer, time.monotonic() - started)
        if worker.process.poll() is None:
            peer.send(Shutdown())
            await worker.exit_code()
    finally:
        await worker.aclose()
