"""A worker sleeps and wakes when told to, refuses requests meanwhile, and ends when it cannot; the engine is a fake."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engines.contract.errors import ErrorCode
from engines.contract.frames import Asleep, Awake, Ready, ResidencyFailed, Sleep, Stats, Wake
from engines.runtime.host_memory import group_bytes
from engines.runtime.loop import EXIT_RESIDENCY_FAILED
from tests.engines.running_worker import Peer, RunningWorker, chat, running
from tests.fakes.ballast import MIB
from tests.fakes.specs import make_spec

BALLAST = 64
SLACK = 8 * MIB


@asynccontextmanager
async def sleeper(
    folder: Path, device: str = "cpu", **options: Any
) -> AsyncIterator[tuple[RunningWorker, Peer]]:
    spec = make_spec(device=device, options={"ballast_mib": BALLAST} | options)
    async with running(folder, spec) as started:
        yield started


async def test_ready_tells_the_levels_of_the_device(tmp_path: Path) -> None:
    levels = {}
    for device in ("cpu", "cuda:0"):
        async with sleeper(tmp_path, device) as (_, peer):
            levels[device] = next(frame for frame in peer.others if isinstance(frame, Ready)).sleep_levels

    assert levels == {"cpu": (2,), "cuda:0": (1, 2)}


async def test_sleep_gives_memory_back_and_wake_takes_it_again(tmp_path: Path) -> None:
    async with sleeper(tmp_path) as (worker, peer):
        hot = group_bytes(worker.process.pid)

        peer.send(Sleep(2))
        asleep = await peer.next_residency()
        slept = group_bytes(worker.process.pid)
        peer.send(Wake())
        awake = await peer.next_residency()
        woken = group_bytes(worker.process.pid)

        assert isinstance(asleep, Asleep)
        assert isinstance(awake, Awake)
        assert abs(asleep.freed_host_bytes - BALLAST * MIB) < SLACK
        assert abs(hot - slept - BALLAST * MIB) < SLACK
        assert abs(woken - hot) < SLACK
        assert (await peer.ask(chat("still here"))).text() == "still here"


async def test_level_one_moves_the_weights_from_the_device_to_the_host(tmp_path: Path) -> None:
    async with sleeper(tmp_path, "cuda:0") as (_, peer):
        peer.send(Sleep(1))
        asleep = await peer.next_residency()

        assert isinstance(asleep, Asleep)
        assert asleep.freed_device_bytes == BALLAST * MIB
        assert abs(asleep.freed_host_bytes + BALLAST * MIB) < SLACK


async def test_health_beats_go_on_while_asleep_and_tell_the_memory(tmp_path: Path) -> None:
    async with sleeper(tmp_path) as (worker, peer):
        peer.send(Sleep(2))
        await peer.next_residency()

        stats = await peer.next_stats()

        assert abs(stats.host_bytes - group_bytes(worker.process.pid)) < SLACK


async def test_the_last_stats_before_an_answer_are_of_the_state_that_it_tells(tmp_path: Path) -> None:
    """A reader who takes the newest figures it has at that moment is not misled."""
    told = []
    async with sleeper(tmp_path) as (_, peer):
        told.append(last_host_bytes(peer))
        for order in (Sleep(2), Wake()):
            peer.send(order)
            await peer.next_residency()
            told.append(last_host_bytes(peer))

    ready, asleep, awake = told
    assert abs(ready - asleep - BALLAST * MIB) < SLACK
    assert abs(ready - awake) < SLACK


def last_host_bytes(peer: Peer) -> int:
    return next(frame.host_bytes for frame in reversed(peer.others) if isinstance(frame, Stats))


async def test_requests_are_refused_from_the_order_to_sleep_until_awake(tmp_path: Path) -> None:
    async with sleeper(tmp_path, wake_delay_s=0.1) as (_, peer):
        peer.send(Sleep(2))
        falling = await peer.ask(chat("too late"))
        await peer.next_residency()
        asleep = await peer.ask(chat("hush"))
        peer.send(Wake())
        waking = await peer.ask(chat("too early"))
        await peer.next_residency()
        awake = await peer.ask(chat("good morning"))

        assert {answer.failure.code for answer in (falling, asleep, waking)} == {ErrorCode.MODEL_UNAVAILABLE}
        assert awake.text() == "good morning"


async def test_sleep_waits_for_requests_in_flight(tmp_path: Path) -> None:
    async with sleeper(tmp_path) as (_, peer):
        request = peer.start(chat("a !hang:1", stream=True))
        await request.next()

        peer.send(Sleep(2))
        await peer.ask(chat("refused: the order has arrived"))
        assert not peer.has_residency()
        request.cancel()

        assert isinstance(await peer.next_residency(), Asleep)


async def test_sleep_is_refused_while_a_request_does_not_end_and_the_model_stays_hot(tmp_path: Path) -> None:
    async with sleeper(tmp_path) as (_, peer):
        request = peer.start(chat("a !hang:1", stream=True))
        await request.next()

        peer.send(Sleep(2, timeout_s=0.05))

        assert await peer.next_residency() == ResidencyFailed("requests are in flight", is_fatal=False)
        assert (await peer.ask(chat("hot"))).text() == "hot"


async def test_levels_that_are_not_offered_are_refused(tmp_path: Path) -> None:
    async with sleeper(tmp_path) as (_, peer):
        peer.send(Sleep(1))
        refused = await peer.next_residency()

        assert isinstance(refused, ResidencyFailed)
        assert not refused.is_fatal
        assert (await peer.ask(chat("hot"))).text() == "hot"


async def test_orders_are_carried_out_one_after_the_other(tmp_path: Path) -> None:
    async with sleeper(tmp_path, "cuda:0", sleep_delay_s=0.01, wake_delay_s=0.01) as (_, peer):
        for order in (Sleep(1), Sleep(2), Wake(), Wake(), Sleep(2), Wake()):
            peer.send(order)

        kinds = [type(await peer.next_residency()) for _ in range(6)]

        assert kinds == [Asleep, ResidencyFailed, Awake, Awake, Asleep, Awake]


@pytest.mark.parametrize("option", ["sleep_fault", "wake_fault"])
@pytest.mark.parametrize(("fault", "words"), [("fail", "told to fail"), ("crash", "internal error")])
async def test_failure_ends_the_worker_with_a_code_of_its_own(
    tmp_path: Path, option: str, fault: str, words: str
) -> None:
    async with sleeper(tmp_path, **{option: fault}) as (worker, peer):
        peer.send(Sleep(2))
        if option == "wake_fault":
            await peer.next_residency()
            peer.send(Wake())

        failed = await peer.next_residency()

        assert isinstance(failed, ResidencyFailed)
        assert failed.is_fatal
        assert words in failed.message
        assert await worker.exit_code() == EXIT_RESIDENCY_FAILED


@pytest.mark.parametrize("option", ["sleep_fault", "wake_fault"])
async def test_hanging_ends_the_worker(tmp_path: Path, option: str) -> None:
    async with sleeper(tmp_path, **{option: "hang"}) as (worker, peer):
        peer.send(Sleep(2, timeout_s=0.05 if option == "sleep_fault" else 60))
        if option == "wake_fault":
            await peer.next_residency()
            peer.send(Wake(timeout_s=0.05))

        failed = await peer.next_residency()

        assert isinstance(failed, ResidencyFailed)
        assert "took longer than 0.05 s" in failed.message
        assert await worker.exit_code() == EXIT_RESIDENCY_FAILED


async def test_engine_that_lies_is_measured(tmp_path: Path) -> None:
    async with sleeper(tmp_path, kept_mib=48) as (_, peer):
        peer.send(Sleep(2))
        asleep = await peer.next_residency()

        assert isinstance(asleep, Asleep)
        assert abs(asleep.freed_host_bytes - 16 * MIB) < SLACK


async def test_growth_at_a_request_shows_in_stats_and_survives_a_sleep(tmp_path: Path) -> None:
    async with sleeper(tmp_path) as (worker, peer):
        before = group_bytes(worker.process.pid)

        await peer.ask(chat("!grow:32"))
        peer.send(Sleep(2))
        await peer.next_residency()

        grown = group_bytes(worker.process.pid) - (before - BALLAST * MIB)
        assert abs(grown - 32 * MIB) < SLACK
