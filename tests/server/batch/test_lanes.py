"""A lane keeps its backend busy, serves batches in turn, and isolates lines that workers may have died of."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from engines.contract.errors import ErrorCode
from server.batch.job import Job
from server.batch.lanes import Lane
from server.errors import ServiceError
from tests.server.batch.stages import HeldWork, ListSource, job, line, settle


@asynccontextmanager
async def running(lane: Lane) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(lane.run())
    await settle()
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def room(number: int) -> Callable[[], int]:
    return lambda: number


async def test_as_many_lines_as_there_is_room_are_under_way() -> None:
    work, first = HeldWork(), job()
    lane = Lane(work, room(2))
    lane.add(first, ListSource(*map(line, range(5))))

    async with running(lane):
        work.end(0)
        await settle()

        assert work.begun == [("batch_a", 0), ("batch_a", 1), ("batch_a", 2)]
        assert work.most_at_once == 2


async def test_batches_take_turns() -> None:
    work = HeldWork()
    lane = Lane(work, room(4))
    lane.add(job("batch_a"), ListSource(line(1), line(2), line(3)))
    lane.add(job("batch_b"), ListSource(line(11), line(12), line(13)))

    async with running(lane):
        assert [number for _, number in work.begun] == [1, 11, 2, 12]


async def test_it_ends_when_nothing_is_left() -> None:
    work = HeldWork()
    lane = Lane(work, room(4))
    lane.add(job(), ListSource(line(1)))

    async with running(lane) as task:
        work.end(1)
        await settle()

        assert task.done()
        assert lane.is_idle


async def test_a_line_in_flight_at_a_death_runs_again_alone() -> None:
    work = HeldWork()
    lane = Lane(work, room(3))
    lane.add(job(), ListSource(*map(line, range(1, 8))))

    async with running(lane):
        for number in (1, 2, 3):  # the worker died under all three
            work.end(number, line(number, deaths=1))
        await settle()
        assert list(work.under_way) == [1]

        work.end(1)
        await settle()
        assert list(work.under_way) == [2]

        work.end(2)
        await settle()
        work.end(3)
        await settle()
        assert list(work.under_way) == [4, 5, 6]


async def test_a_line_that_was_in_flight_at_a_death_before_a_restart_runs_alone() -> None:
    work = HeldWork()
    lane = Lane(work, room(3))
    lane.add(job(), ListSource(line(1), line(2, deaths=1), line(3)))

    async with running(lane):
        work.end(1)
        await settle()

        assert list(work.under_way) == [2]


async def test_no_line_of_a_dropped_batch_starts() -> None:
    work, dropped = HeldWork(), job("batch_a")
    lane = Lane(work, room(2))
    lane.add(dropped, ListSource(*map(line, range(9))))
    lane.add(job("batch_b"), ListSource(line(21)))

    async with running(lane):
        lane.drop(dropped)
        work.end(0)
        await settle()

        assert work.begun == [("batch_a", 0), ("batch_b", 21)]


async def test_a_bug_in_a_line_reaches_whoever_waits_for_its_batch() -> None:
    class Broken:
        async def carry_out(self, job: Job, loaded: object) -> None:
            raise KeyError("told to crash")

    broken = job()
    broken.expect(1)
    lane = Lane(Broken(), room(2))
    lane.add(broken, ListSource(line(1)))

    async with running(lane):
        with pytest.raises(KeyError):
            await broken.until_settled()


async def test_aborting_a_lane_aborts_its_lines() -> None:
    work = HeldWork()
    lane = Lane(work, room(2))
    lane.add(job(), ListSource(line(1), line(2)))

    async with running(lane):
        assert len(work.under_way) == 2

    assert work.under_way == {}


async def test_a_source_that_cannot_be_read_does_not_hold_up_the_others() -> None:
    class Away:
        def __init__(self, failures: Iterator[Exception]) -> None:
            self._failures = failures

        async def next(self) -> None:
            for failure in self._failures:
                raise failure
            return None

    work = HeldWork()
    lane = Lane(work, room(2), retry_s=0)
    away = Away(iter([ServiceError(ErrorCode.STORAGE_UNAVAILABLE, "away"), FileNotFoundError()]))
    lane.add(job("batch_a"), away)
    lane.add(job("batch_b"), ListSource(line(1)))

    async with running(lane):
        await settle()

        assert work.begun == [("batch_b", 1)]
