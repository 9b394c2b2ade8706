"""Ended batches are told until somebody takes the news, and forgotten in time."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection

from server.batch import tables
from server.batch.notice import WebhookTeller
from server.batch.records import Batch
from server.batch.upkeep import Upkeep
from server.store import open_store
from server.store.database import Database
from server.telemetry import Metrics
from server.webhooks import WebhookSender
from tests.server.batch.stages import NOW, batch


class Receiver:
    """Answers with the given statuses, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.events: list[dict[str, object]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.events.append(json.loads(request.content))
        return httpx.Response(self._statuses.pop(0) if self._statuses else 200)


class Desk:
    def __init__(self, database: Database, receiver: Receiver) -> None:
        self.database = database
        self.now = NOW
        sender = WebhookSender("http://hook", "secret", transport=httpx.MockTransport(receiver))
        self.upkeep = Upkeep("me", database, WebhookTeller(sender, Metrics()), now=lambda: self.now)

    async def end_one(self) -> Batch:
        """A batch that has failed, with its webhook due."""

        def write(connection: Connection) -> None:
            tables.insert_batch(connection, batch())
            tables.take_over(connection, "me", lease_s=None, now=NOW)
            held = tables.find_batch(connection, "batch_a")
            assert held is not None
            tables.refuse(connection, held, (), NOW, "due")

        await self.database.write(write)
        found = await self.database.read(lambda c: tables.find_batch(c, "batch_a"))
        assert found is not None
        return found

    async def attempts(self) -> int:
        found = await self.database.read(lambda c: tables.find_batch(c, "batch_a"))
        assert found is not None
        return found.webhook_attempts

    async def run_until(self, attempts: int) -> None:
        """One run of the upkeep, until so many deliveries are recorded."""
        task = asyncio.create_task(self.upkeep.run())
        async with asyncio.timeout(10):
            while await self.attempts() < attempts:  # noqa: ASYNC110  # the store tells nobody
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    store = open_store(f"sqlite:///{tmp_path}/hearth.db")
    database = Database(store)
    yield database
    await asyncio.to_thread(database.close)
    store.close()


async def test_the_end_of_a_batch_is_told_once(database: Database) -> None:
    receiver = Receiver()
    desk = Desk(database, receiver)
    ended = await desk.end_one()

    await desk.run_until(1)
    due = await database.read(lambda c: tables.to_tell(c, "me", NOW, 9))

    (event,) = receiver.events
    assert event["event_type"] == "batch.failed"
    assert event["event_id"] == "evt_a"
    payload = event["payload"]
    assert isinstance(payload, dict)
    assert payload["id"] == ended.id
    assert due == []


async def test_a_refused_delivery_is_repeated_later_with_the_same_id(database: Database) -> None:
    receiver = Receiver(500)
    desk = Desk(database, receiver)
    await desk.end_one()

    await desk.run_until(1)
    desk.now = NOW + timedelta(seconds=11)
    await desk.run_until(2)

    assert [event["event_id"] for event in receiver.events] == ["evt_a", "evt_a"]
    assert await database.read(lambda c: tables.to_tell(c, "me", NOW, 9)) == []


async def test_it_is_given_up_after_the_documented_number_of_retries(database: Database) -> None:
    receiver = Receiver(*[500] * 9)
    desk = Desk(database, receiver)
    await desk.end_one()

    desk.now = NOW + timedelta(hours=2)
    for attempts in range(1, 7):
        await desk.run_until(attempts)

    assert len(receiver.events) == 6
    assert await database.read(lambda c: tables.to_tell(c, "me", NOW, 9)) == []


async def test_batches_that_are_kept_no_longer_are_forgotten(database: Database) -> None:
    desk = Desk(database, Receiver())
    ended = await desk.end_one()

    desk.now = ended.kept_until + timedelta(seconds=1)
    await desk.upkeep.sweep()

    assert await database.read(lambda c: tables.find_batch(c, "batch_a")) is None
