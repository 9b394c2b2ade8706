"""Requests to a model with two replicas, on fake worker programs: who takes them, and who takes over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engines.contract.errors import ErrorCode
from engines.contract.spec import Limits
from engines.contract.types import Priority
from server.caller import Caller
from server.errors import ServiceError
from server.gateway import Gateway
from server.placing import Order, accepted_by_one
from server.router import Router
from server.telemetry import Metrics
from server.workers.ledger import NO_BOUNDS, Memory
from server.workers.process import Timeouts
from server.workers.status import WorkerState
from server.workers.supervisor import Supervisor
from tests.fakes.specs import make_spec
from tests.fakes.worker_script import Script
from tests.fakes.workers import FakeLauncher, say
from tests.server.test_gateway import words_of

MODEL = "acme/chat"
ANYONE = Caller("key_1", "anyone", frozenset())
PROMPTS = [f"hello {number}" for number in range(12)]
SLOW = Script(load_delay_s=60)


class World:
    """A gateway over `be_1` and `be_2`, replicas of one model, with two places each."""

    def __init__(self, folder: Path, first: Script, second: Script, memory: Memory) -> None:
        limits = Limits(max_concurrency=2, max_queue=1, queue_timeout_s=5)
        self.specs = [
            make_spec(f"be_{number}", limits=limits, frontends=(MODEL,), device=f"cuda:{number}")
            for number in (1, 2)
        ]
        scripts = {"be_1": [first], "be_2": [second]}
        self.launcher = FakeLauncher(folder, scripts)
        self.supervisor = Supervisor(
            self.specs, self.launcher.plan, timeouts=Timeouts(shutdown_s=2), memory=memory
        )
        metrics = Metrics(models=[MODEL], backends=["be_1", "be_2"])
        self.gateway = Gateway(Router(self.specs), self.supervisor, metrics, b"salt")

    async def ask(
        self,
        text: str,
        priority: Priority = Priority.INTERACTIVE,
        before_start: Callable[[], Awaitable[None]] | None = None,
    ) -> str:
        """The id of the backend that answered."""
        async with asyncio.timeout(20):
            async with self.gateway.run(MODEL, say(text), ANYONE, priority, before_start) as call:
                await words_of(call)
        return call.backend_id

    async def bring_up(self, *names: str) -> None:
        for name in names:
            self.supervisor.load(name)
        await self.until(lambda: all(self.supervisor.state(name) is WorkerState.READY for name in names))

    @property
    def num_serving(self) -> int:
        return sum(self.supervisor.occupancy(spec.id).is_serving for spec in self.specs)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not is_so():  # noqa: ASYNC110 as any monitor does
                await asyncio.sleep(0.01)


@asynccontextmanager
async def world_of(
    folder: Path, first: Script | None = None, second: Script | None = None, *, memory: Memory = NO_BOUNDS
) -> AsyncIterator[World]:
    world = World(folder, first or Script(), second or Script(), memory)
    async with world.supervisor:
        yield world


async def test_two_ready_replicas_share_the_prompts_and_equal_ones_stay_together(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        await world.bring_up("be_1", "be_2")

        first = [await world.ask(text) for text in PROMPTS]
        again = [await world.ask(text) for text in PROMPTS]

    assert set(first) == {"be_1", "be_2"}
    assert first == again


async def test_stopped_replica_stays_so_while_the_other_has_room(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        served_by = {await world.ask(text) for text in PROMPTS}

        assert served_by == {"be_1"}
        assert world.supervisor.state("be_2") is WorkerState.STOPPED


async def test_full_replica_has_the_other_loaded_while_the_request_waits(tmp_path: Path) -> None:
    async with world_of(tmp_path, second=SLOW) as world, asyncio.TaskGroup() as tasks:
        await world.bring_up("be_1")
        async with (
            world.gateway.run(MODEL, say("a !hang"), ANYONE),
            world.gateway.run(MODEL, say("a !hang"), ANYONE),
        ):
            waiting = tasks.create_task(world.ask("hello"))
            await world.until(lambda: world.supervisor.state("be_2") is not WorkerState.STOPPED)

        assert await waiting == "be_1"


async def test_replica_without_memory_is_not_asked_for_and_holds_up_nobody(tmp_path: Path) -> None:
    memory = Memory({"cuda:2": 100}, {"be_2": 200}, lambda spec: (spec.device,))
    async with world_of(tmp_path, memory=memory) as world:
        await world.bring_up("be_1")
        async with (
            world.gateway.run(MODEL, say("a !hang"), ANYONE),
            world.gateway.run(MODEL, say("a !hang"), ANYONE),
        ):
            waiting = asyncio.create_task(world.ask("hello"))
            await asyncio.sleep(0)

            with pytest.raises(ServiceError) as caught:
                await world.ask("no room in the queue")

        assert await waiting == "be_1"
        assert caught.value.code is ErrorCode.BACKEND_RATE_LIMITED
        assert world.supervisor.state("be_2") is WorkerState.STOPPED


async def test_request_beyond_the_queue_waits_for_the_replica_that_it_brings_up(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        await world.bring_up("be_1")
        async with (
            world.gateway.run(MODEL, say("a !hang"), ANYONE),
            world.gateway.run(MODEL, say("a !hang"), ANYONE),
        ):
            waiting = asyncio.create_task(world.ask("hello"))
            await asyncio.sleep(0)

            assert await world.ask("one more") == "be_2"
        await waiting


async def test_refusal_before_acceptance_goes_to_the_other_replica(tmp_path: Path) -> None:
    async with world_of(tmp_path, Script(at_request="refuse")) as world:
        await world.bring_up("be_1", "be_2")

        assert {await world.ask(text) for text in PROMPTS} == {"be_2"}


async def test_refusal_of_all_replicas_is_told(tmp_path: Path) -> None:
    full = Script(at_request="refuse")
    async with world_of(tmp_path, full, full) as world:
        await world.bring_up("be_1", "be_2")

        with pytest.raises(ServiceError) as caught:
            await world.ask("hello")

    assert caught.value.code is ErrorCode.BACKEND_RATE_LIMITED


async def test_what_the_engine_refuses_for_good_is_not_tried_again(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        with pytest.raises(ServiceError) as caught:
            await world.ask("!refuse")

        assert caught.value.code is ErrorCode.VALIDATION_ERROR
        assert world.launcher.num_launches == 1


async def test_death_before_acceptance_goes_to_the_other_replica(tmp_path: Path) -> None:
    async with world_of(tmp_path, Script(at_request="die")) as world:
        await world.bring_up("be_1", "be_2")

        assert {await world.ask(text) for text in PROMPTS} == {"be_2"}


async def test_death_after_acceptance_is_told(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        await world.bring_up("be_1", "be_2")

        with pytest.raises(ServiceError) as caught:
            await world.ask("a !die")

        assert caught.value.worker_died
        await world.until(lambda: world.num_serving == 1)


async def test_line_of_a_batch_that_saw_a_death_is_not_tried_elsewhere(tmp_path: Path) -> None:
    deadly = Script(at_request="die")
    async with world_of(tmp_path, deadly, deadly) as world:
        await world.bring_up("be_1", "be_2")

        with pytest.raises(ServiceError) as caught:
            await world.ask("hello", Priority.BATCH)

        assert caught.value.worker_died
        await world.until(lambda: world.num_serving == 1)


async def test_claim_is_made_once_for_all_tries(tmp_path: Path) -> None:
    claims: list[str] = []

    async def claim() -> None:
        claims.append("claimed")

    async with world_of(tmp_path, Script(at_request="refuse")) as world:
        await world.bring_up("be_1", "be_2")

        served_by = [await world.ask(text, Priority.BATCH, claim) for text in PROMPTS]

    assert (set(served_by), len(claims)) == ({"be_2"}, len(PROMPTS))


async def test_replica_that_has_failed_is_avoided(tmp_path: Path) -> None:
    async with world_of(tmp_path, Script(load_failure="permanent")) as world:
        assert await world.ask("hello") == "be_2"
        assert world.supervisor.state("be_1") is WorkerState.FAILED
        assert await world.ask("hello") == "be_2"


async def test_unload_of_all_replicas_refuses_who_waits_and_brings_none_back(tmp_path: Path) -> None:
    async with world_of(tmp_path, SLOW, SLOW) as world:
        waiting = asyncio.create_task(world.ask("hello"))
        await world.until(lambda: world.supervisor.state("be_1") is not WorkerState.STOPPED)

        for spec in world.specs:
            world.supervisor.stop(spec.id)
        with pytest.raises(ServiceError) as caught:
            await waiting

        assert caught.value.code is ErrorCode.MODEL_UNAVAILABLE
        assert world.launcher.num_launches == 1


@pytest.mark.parametrize("priority", [Priority.INTERACTIVE, Priority.BATCH])
async def test_who_waits_for_a_replica_moves_to_one_that_can_take_it(
    tmp_path: Path, priority: Priority
) -> None:
    async with world_of(tmp_path, SLOW) as world, asyncio.timeout(20):

        async def place() -> str:
            order = Order(say("hello"), priority)
            tries = accepted_by_one(world.supervisor, tuple(world.specs), order, look_again_s=0.02)
            async with tries as found:
                return found.spec.id

        waiting = asyncio.create_task(place())
        await world.until(lambda: world.supervisor.state("be_1") is not WorkerState.STOPPED)
        await world.bring_up("be_2")

        assert await waiting == "be_2"
        assert world.supervisor.snapshot()[0].waiting == world.supervisor.snapshot()[0].batch_waiting == 0


async def test_cancelled_request_leaves_nothing_behind(tmp_path: Path) -> None:
    async with world_of(tmp_path, SLOW, SLOW) as world:
        waiting = asyncio.create_task(world.ask("hello"))
        await world.until(lambda: world.supervisor.state("be_1") is not WorkerState.STOPPED)

        waiting.cancel()
        await asyncio.wait({waiting})

        assert waiting.cancelled()
        assert [status.waiting for status in world.supervisor.snapshot()] == [0, 0]


async def test_batches_see_one_model(tmp_path: Path) -> None:
    async with world_of(tmp_path) as world:
        assert world.gateway.backend_of(MODEL) == "be_1"
        assert world.gateway.state_of("be_1") is WorkerState.STOPPED
        assert world.gateway.batch_room("be_1") == 2

        await world.bring_up("be_2")

        assert world.gateway.state_of("be_1") is WorkerState.READY
