"""Requests from a model's name to a fake worker program and back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engines.contract.chat import ChatRequest, Message, Tool
from engines.contract.errors import ErrorCode
from engines.contract.spec import Limits
from engines.contract.types import Priority, Usage
from server.caller import Caller
from server.errors import ServiceError
from server.gateway import Call, Gateway
from server.router import Router
from server.telemetry import Metrics
from server.workers.process import Timeouts
from server.workers.status import BackendStatus, WorkerState
from server.workers.supervisor import Supervisor
from tests.fakes.specs import make_spec
from tests.fakes.workers import FakeLauncher, say

MODEL = "acme/chat"
HASTY = "acme/hasty"
ANYONE = Caller("key_1", "anyone", frozenset())


class World:
    """A gateway over two backends with one place each; `acme/hasty` gives every request 400 ms."""

    def __init__(self, folder: Path) -> None:
        one = Limits(max_concurrency=1, max_queue=1, queue_timeout_s=0.2)
        hasty = Limits(max_concurrency=1, request_timeout_s=0.4)
        specs = [
            make_spec("be_a", limits=one, frontends=(MODEL,)),
            make_spec("be_b", limits=hasty, frontends=(HASTY,), device="cuda:0"),
        ]
        self.metrics = Metrics(models=[MODEL, HASTY], backends=["be_a", "be_b"])
        self.supervisor = Supervisor(specs, FakeLauncher(folder).plan, timeouts=Timeouts(shutdown_s=2))
        self.gateway = Gateway(Router(specs), self.supervisor, self.metrics, b"salt")

    async def ask(self, text: str, *, model: str = MODEL, caller: Caller = ANYONE) -> list[str]:
        async with asyncio.timeout(10), self.gateway.run(model, say(text), caller) as call:
            return await words_of(call)

    async def num_cancels(self, model: str = MODEL) -> int:
        return int((await self.ask("!cancels", model=model))[0])

    def status(self) -> BackendStatus:
        return self.supervisor.snapshot()[0]


async def words_of(call: Call) -> list[str]:
    words: list[str] = []
    while (batch := await call.next_batch()) is not None:
        words += [delta.content for delta in batch if delta.content]
    return words


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    async with world.supervisor:
        yield world


async def refusal_of(
    world: World, request: ChatRequest, *, model: str = MODEL, caller: Caller = ANYONE
) -> ErrorCode:
    with pytest.raises(ServiceError) as caught:
        async with world.gateway.run(model, request, caller) as call:
            await words_of(call)
    return caught.value.code


async def test_answer_and_usage_come_back(world: World) -> None:
    async with world.gateway.run(MODEL, say("hello world"), ANYONE) as call:
        words = await words_of(call)

    assert (call.model, call.backend_id, words, call.usage) == (
        MODEL,
        "be_a",
        ["hello", "world"],
        Usage(1, 2),
    )


async def test_finished_answer_is_measured(world: World) -> None:
    await world.ask("hello world")

    metrics = world.metrics.render().decode()

    assert f'scaigrid_tokens_total{{direction="output",model="{MODEL}",tenant_id="default"}} 2.0' in metrics
    assert f'scaigrid_time_to_first_token_seconds_count{{model="{MODEL}"}} 1.0' in metrics


async def test_usage_before_the_end_is_a_mistake(world: World) -> None:
    async with world.gateway.run(MODEL, say("a !hang"), ANYONE) as call:
        with pytest.raises(RuntimeError):
            _ = call.usage


async def test_request_is_listed_while_it_waits_and_runs_and_not_afterwards(world: World) -> None:
    asking = asyncio.create_task(world.ask("hello"))
    await asyncio.sleep(0)
    waiting = [entry.card()["state"] for entry in world.gateway.running.of("key_1")]
    await asking

    async with world.gateway.run(MODEL, say("a !hang"), ANYONE):
        running = [entry.card()["state"] for entry in world.gateway.running.of("key_1")]

    assert (waiting, running, world.gateway.running.of("key_1")) == (["queued"], ["running"], [])


async def test_refused_request_is_not_listed_afterwards(world: World) -> None:
    assert await refusal_of(world, say("!refuse")) is ErrorCode.VALIDATION_ERROR

    assert world.gateway.running.of("key_1") == []


async def test_unknown_model_is_not_found(world: World) -> None:
    assert await refusal_of(world, say("hi"), model="acme/other") is ErrorCode.MODEL_NOT_FOUND


async def test_model_outside_the_keys_list_is_denied_without_a_start(world: World) -> None:
    caller = Caller("key_1", "anyone", frozenset(), models=frozenset({HASTY}))

    assert await refusal_of(world, say("hi"), caller=caller) is ErrorCode.MODEL_ACCESS_DENIED
    assert world.status().state == "stopped"


async def test_request_beyond_the_models_capabilities_is_refused_without_a_start(world: World) -> None:
    request = ChatRequest((Message("user", "hi"),), tools=(Tool("lookup"),))

    assert await refusal_of(world, request) is ErrorCode.VALIDATION_ERROR
    assert world.status().state == "stopped"


async def test_refusal_of_the_engine_is_raised_on_entering(world: World) -> None:
    with pytest.raises(ServiceError) as caught:
        async with world.gateway.run(MODEL, say("!refuse"), ANYONE):
            pytest.fail("entered")

    assert caught.value.code is ErrorCode.VALIDATION_ERROR
    assert caught.value.details[0].field == "messages"


async def test_failure_in_the_middle_is_raised_from_the_call(world: World) -> None:
    with pytest.raises(ServiceError) as caught:
        await world.ask("a !late")

    assert (caught.value.code, caught.value.retry_after_s) == (ErrorCode.BACKEND_RATE_LIMITED, 3)


async def test_long_request_ends_with_a_timeout_and_is_cancelled_in_the_worker(world: World) -> None:
    with pytest.raises(ServiceError) as caught:
        await world.ask("a !hang", model=HASTY)

    assert caught.value.code is ErrorCode.BACKEND_TIMEOUT
    assert await world.num_cancels(HASTY) == 1


async def test_abandoned_request_is_cancelled_in_the_worker(world: World) -> None:
    async with world.gateway.run(MODEL, say("a !hang"), ANYONE) as call:
        await call.next_batch()

    assert await world.num_cancels() == 1


async def test_finished_request_is_not_cancelled(world: World) -> None:
    await world.ask("hello")

    assert await world.num_cancels() == 0


async def test_cancelled_consumer_cancels_the_request_and_returns_the_lease(world: World) -> None:
    asking = asyncio.create_task(world.ask("a !hang"))
    async with asyncio.timeout(10):
        while not any(entry.is_accepted for entry in world.gateway.running.of("key_1")):  # noqa: ASYNC110 no event
            await asyncio.sleep(0.01)

    asking.cancel()
    await asyncio.wait({asking})

    assert world.status().in_flight == 0
    assert await world.num_cancels() == 1


@pytest.mark.parametrize("text", ["hello", "!refuse", "a !late", "a !die"])
async def test_lease_is_returned_whatever_the_end(world: World, text: str) -> None:
    await asyncio.gather(world.ask(text), return_exceptions=True)

    assert world.status().in_flight == 0


async def test_full_backend_refuses_with_a_time_to_come_back(world: World) -> None:
    async with world.gateway.run(MODEL, say("a !hang"), ANYONE):
        with pytest.raises(ServiceError) as caught:
            await world.ask("no room")

    assert (caught.value.status, caught.value.retry_after_s) == (429, 1)


async def test_cache_salt_is_equal_for_one_key_and_differs_between_keys(world: World) -> None:
    other = Caller("key_2", "other", frozenset())

    mine, mine_again, others = [
        (await world.ask("!salt", caller=caller))[0] for caller in (ANYONE, ANYONE, other)
    ]

    assert mine == mine_again
    assert mine != others
    assert "key" not in mine


@pytest.mark.parametrize(("text", "expected"), [("a !die", True), ("a !late", False), ("!refuse", False)])
async def test_death_of_the_worker_is_told_from_other_failures(
    world: World, text: str, expected: bool
) -> None:
    with pytest.raises(ServiceError) as caught:
        await world.ask(text)

    assert caught.value.worker_died is expected


async def test_shutdown_is_no_death(world: World) -> None:
    async with world.gateway.run(MODEL, say("a !hang"), ANYONE) as call:
        world.supervisor.cut()

        with pytest.raises(ServiceError) as caught:
            await words_of(call)

    assert (caught.value.code, caught.value.worker_died) == (ErrorCode.SHUTTING_DOWN, False)


async def test_caller_is_awaited_with_the_lease_in_hand(world: World) -> None:
    seen: list[tuple[int, int]] = []

    async def claim() -> None:
        seen.append((world.status().in_flight, world.status().batch_in_flight))

    async with world.gateway.run(MODEL, say("hello"), ANYONE, Priority.BATCH, claim) as call:
        assert await words_of(call) == ["hello"]

    assert seen == [(1, 1)]
    assert (world.status().in_flight, world.status().batch_in_flight) == (0, 0)


async def test_failed_claim_keeps_the_request_from_the_worker(world: World) -> None:
    async def claim() -> None:
        raise ServiceError(ErrorCode.STORAGE_FULL, "no room")

    with pytest.raises(ServiceError, match="no room"):
        async with world.gateway.run(MODEL, say("hello"), ANYONE, Priority.BATCH, claim):
            pytest.fail("entered")

    assert world.status().in_flight == 0
    assert await world.num_cancels() == 0


async def test_backend_of_a_model_its_state_and_its_room_are_known(world: World) -> None:
    backend_id = world.gateway.backend_of(MODEL)

    assert (backend_id, world.gateway.batch_room(backend_id)) == ("be_a", 1)
    assert world.supervisor.state(backend_id) is WorkerState.STOPPED
    with pytest.raises(ServiceError) as caught:
        world.gateway.backend_of("acme/other")
    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND
