"""Jobs of different requests in common batches: chosen together, answered apart, dropped when nobody waits."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from engines.runtime.batcher import Batcher, Job
from engines.runtime.blocking import ComputeThread

StringJob = Job[str, str]


class Press:
    """Computes upper case; `gate` holds a batch back until it is set."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.has_begun = threading.Event()

    def compute(self, jobs: list[StringJob]) -> Sequence[str | BaseException]:
        self.batches.append([job.work for job in jobs])
        self.has_begun.set()
        self.gate.wait(10)
        if any(job.work == "explode" for job in jobs):
            raise RuntimeError("all of them")
        for job in jobs:
            job.tell_progress(1, 2)
        return [ValueError(job.work) if job.work == "bad" else job.work.upper() for job in jobs]


def at_most_three(waiting: Sequence[StringJob]) -> list[StringJob]:
    return list(waiting[:3])


@pytest.fixture
def press() -> Press:
    return Press()


@pytest.fixture
async def batcher(press: Press) -> AsyncIterator[Batcher[str, str]]:
    thread = ComputeThread("test")
    yield Batcher(thread, choose=at_most_three, compute=press.compute)
    thread.close()


async def hold(batcher: Batcher[str, str], press: Press) -> "asyncio.Task[str]":
    """Keep the compute thread busy with a first job until the gate is opened."""
    press.gate.clear()
    first = asyncio.create_task(batcher.run("first", 0))
    await asyncio.to_thread(press.has_begun.wait, 10)
    return first


async def test_jobs_of_one_turn_share_a_batch(batcher: Batcher[str, str], press: Press) -> None:
    answers = await asyncio.gather(*(batcher.run(text, 0) for text in "abcd"))

    assert answers == ["A", "B", "C", "D"]
    assert press.batches == [["a", "b", "c"], ["d"]]
    assert batcher.steps == 2


async def test_urgent_jobs_go_first(batcher: Batcher[str, str], press: Press) -> None:
    first = await hold(batcher, press)
    rest = [
        asyncio.create_task(batcher.run(f"{number}", priority))
        for number, priority in enumerate((9, 9, 0, 5))
    ]
    await asyncio.sleep(0)

    press.gate.set()
    await asyncio.gather(first, *rest)

    assert press.batches == [["first"], ["2", "3", "0"], ["1"]]


async def test_job_cancelled_while_it_waits_is_never_computed(
    batcher: Batcher[str, str], press: Press
) -> None:
    first = await hold(batcher, press)
    unwanted, wanted = (asyncio.create_task(batcher.run(text, 0)) for text in ("unwanted", "wanted"))
    await asyncio.sleep(0)

    unwanted.cancel()
    press.gate.set()
    await asyncio.gather(first, unwanted, wanted, return_exceptions=True)

    assert press.batches == [["first"], ["wanted"]]


async def test_failed_job_fails_alone(batcher: Batcher[str, str], press: Press) -> None:
    good, bad = await asyncio.gather(batcher.run("good", 0), batcher.run("bad", 0), return_exceptions=True)

    assert good == "GOOD"
    assert isinstance(bad, ValueError)


async def test_error_of_the_computation_reaches_every_job_and_the_next_batch_runs(
    batcher: Batcher[str, str], press: Press
) -> None:
    outcomes = await asyncio.gather(
        batcher.run("explode", 0), batcher.run("other", 0), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [RuntimeError, RuntimeError]
    assert await batcher.run("again", 0) == "AGAIN"


async def test_progress_arrives_on_the_event_loop(batcher: Batcher[str, str], press: Press) -> None:
    told: list[tuple[int, int]] = []

    await batcher.run("a", 0, lambda step, num_steps: told.append((step, num_steps)))

    assert told == [(1, 2)]


async def test_pieces_of_one_request_are_answered_in_order(batcher: Batcher[str, str], press: Press) -> None:
    assert await batcher.run_all(list("abcd"), 0) == ["A", "B", "C", "D"]
    assert press.batches == [["a", "b", "c"], ["d"]]


async def test_cancelled_request_leaves_no_piece_to_compute(batcher: Batcher[str, str], press: Press) -> None:
    first = await hold(batcher, press)
    unwanted = asyncio.create_task(batcher.run_all(list("abcdefgh"), 0))
    wanted = asyncio.create_task(batcher.run("wanted", 0))
    await asyncio.sleep(0)

    unwanted.cancel()
    press.gate.set()
    await asyncio.gather(first, unwanted, wanted, return_exceptions=True)

    assert press.batches == [["first"], ["wanted"]]


async def test_failed_piece_ends_its_request_and_what_has_not_begun(
    batcher: Batcher[str, str], press: Press
) -> None:
    with pytest.raises(ValueError, match="bad"):
        await batcher.run_all(["a", "bad", "bad", "d", "e", "f", "g"], 0)
    await batcher.run("later", 0)

    assert press.batches == [["a", "bad", "bad"], ["d", "e", "f"], ["later"]]
