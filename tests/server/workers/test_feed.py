"""Listeners hear every state once, then every change, and never hold up whoever tells."""

import asyncio
import datetime

from server.workers.feed import MAX_UNREAD, Feed
from server.workers.status import StateChange, WorkerState

SINCE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class World:
    def __init__(self) -> None:
        self.states = {"be_a": WorkerState.STOPPED, "be_b": WorkerState.READY}
        self.feed = Feed(
            lambda: [StateChange(name, state, None, SINCE) for name, state in self.states.items()]
        )


async def test_a_listener_is_told_every_state_first_then_changes() -> None:
    world = World()

    with world.feed.listening() as listener:
        first = [await listener.next(), await listener.next()]
        world.states["be_a"] = WorkerState.LOADING
        world.feed.tell()
        world.feed.tell()
        change = await listener.next()

        assert [(told.backend_id, told.state) for told in first] == list(World().states.items())
        assert (change.backend_id, change.state) == ("be_a", WorkerState.LOADING)
        assert listener._unread.empty()


async def test_silence_is_told_too() -> None:
    told = []
    async with asyncio.timeout(5):
        async for change in World().feed.changes(0.01):
            told.append(change)
            if change is None:
                break

    assert [None if one is None else one.backend_id for one in told] == ["be_a", "be_b", None]


async def test_a_listener_that_reads_nothing_keeps_the_newest() -> None:
    world = World()

    with world.feed.listening() as listener:
        for number in range(MAX_UNREAD):
            world.states["be_a"] = WorkerState.READY if number % 2 else WorkerState.FAILED
            world.feed.tell()

        assert listener._unread.qsize() == MAX_UNREAD
