"""The runner over a real store and real files, with lines that are answered without an engine."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engines.contract.errors import ErrorCode
from server.batch import line_tables, tables
from server.batch.board import Board
from server.batch.course import Course, Limits
from server.batch.intake import Input
from server.batch.line_answer import LineAnswer
from server.batch.line_order import LineOrder
from server.batch.records import Batch
from server.batch.runner import BatchRunner
from server.batch.service import Batches, Submission
from server.batch.states import BatchState, Counts
from server.batch.upkeep import Upkeep
from server.batch.work import LineWork
from server.caller import Caller, Permission
from server.disk import DiskGuard
from server.errors import ServiceError
from server.files import FileRecord, FileStore
from server.store import Store, open_store
from server.store.database import Database
from server.telemetry import Metrics
from server.workers.status import WorkerState
from tests.server.batch.stages import NOW, settle

OWNER = "apikey_a"
WAIT_S = 10.0


class FakeLines:
    """Answers a line with its custom_id; `faults` and `held` change that, by custom_id."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.faults: dict[str, list[ServiceError]] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.is_held = asyncio.Event()

    async def run(
        self, raw: bytes, order: LineOrder, before_start: Callable[[], Awaitable[None]]
    ) -> LineAnswer:
        custom_id = json.loads(raw)["custom_id"]
        await before_start()
        self.ran.append(custom_id)
        if custom_id in self.held:
            self.is_held.set()
            await self.held[custom_id].wait()
        if faults := self.faults.get(custom_id):
            raise faults.pop(0)
        return LineAnswer(200, order.request_id, json.dumps(custom_id).encode())


class FakeKeys:
    def __init__(self) -> None:
        self.living = {OWNER}

    async def owner(self, key_id: str) -> Caller | None:
        return Caller(key_id, "test", frozenset(Permission)) if key_id in self.living else None


class FakeBackends:
    def backend_of(self, model: str) -> str:
        return "be_a"

    def state_of(self, backend_id: str) -> WorkerState:
        return WorkerState.READY

    def batch_room(self, backend_id: str) -> int:
        return 2


class Stage:
    """One store and one folder of files, over which any number of runners come and go."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.database = Database(store)
        self.disk = DiskGuard(folder, 0)
        self.files = FileStore(self.database, folder / "files", self.disk)
        self.keys = FakeKeys()
        self.lines = FakeLines()
        self.now = NOW
        self.ended: list[None] = []

    def clock(self) -> datetime:
        return self.now

    @asynccontextmanager
    async def running(self, name: str = "server_a") -> AsyncIterator[Batches]:
        any_lines: Any = self.lines
        any_keys: Any = self.keys
        metrics = Metrics()
        work = LineWork(self.database, any_lines, self.files, self.disk, metrics)
        board = Board(FakeBackends(), work)
        course = Course(
            self.database,
            self.files,
            board,
            limits=Limits(max_lines=100, max_line_bytes=10_000),
            webhooks=None,
            now=self.clock,
            grace_s=0.05,
        )
        runner = BatchRunner(
            name,
            self.database,
            board,
            course,
            keys=any_keys,
            disk=self.disk,
            metrics=metrics,
            ended=lambda: self.ended.append(None),
            now=self.clock,
        )
        batches = Batches(
            self.database, self.files, self.disk, runner, max_active=3, ttl_s=3600, now=self.clock
        )
        task = asyncio.create_task(runner.run())
        try:
            yield batches
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def submit(self, batches: Batches, *custom_ids: str, content: bytes | None = None) -> Batch:
        draft = self.files.draft()
        await draft.add(content if content is not None else b"".join(map(jsonl_line, custom_ids)))
        sealed = await draft.seal()
        record = FileRecord(
            id=sealed.id,
            owner=OWNER,
            purpose="batch",
            filename="in.jsonl",
            content_type="application/jsonl",
            size_bytes=sealed.size_bytes,
            sha256=sealed.sha256,
            created_at=self.now,
            expires_at=self.now + timedelta(days=365),
        )
        submission = Submission(
            OWNER, "native", None, "1h", {}, "http://localhost", Input(record, is_new=True)
        )
        return await batches.submit(submission, lambda connection, batch: None)

    async def until_ended(self, batches: Batches, batch: Batch) -> Batch:
        async with asyncio.timeout(WAIT_S):
            while not (found := await batches.find(OWNER, batch.id)).state.has_ended:  # noqa: ASYNC110  # as clients do
                await asyncio.sleep(0.01)
        return found

    def content(self, file_id: str | None) -> list[dict[str, Any]]:
        if file_id is None:
            return []
        return [json.loads(line) for line in self.files.path(file_id).read_bytes().splitlines()]


def jsonl_line(custom_id: str) -> bytes:
    body = {"model": "m", "messages": []}
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/inference/chat", "body": body}
    return json.dumps(line).encode() + b"\n"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    store = open_store(f"sqlite:///{tmp_path}/hearth.db")
    stage = Stage(store, tmp_path)
    await stage.files.start()
    yield stage
    await asyncio.to_thread(stage.database.close)
    store.close()


async def test_lines_become_files_in_the_order_of_the_input(stage: Stage) -> None:
    async with stage.running() as batches:
        made = await stage.submit(batches, "a", "b", "c")
        ended = await stage.until_ended(batches, made)

    assert ended.state is BatchState.COMPLETED
    assert ended.counts == Counts(3, completed=3)
    output = stage.content(ended.output_file_id)
    assert [line["custom_id"] for line in output] == ["a", "b", "c"]
    assert [line["response"]["body"] for line in output] == ["a", "b", "c"]
    assert ended.error_file_id is None
    assert ended.kept_until == NOW + timedelta(hours=2)


async def test_rows_of_lines_go_when_the_files_are_published(stage: Stage) -> None:
    async with stage.running() as batches:
        made = await stage.submit(batches, "a", "b")
        await stage.until_ended(batches, made)
        await Upkeep("server_a", stage.database, None, now=stage.clock).sweep()

    counts = await stage.database.read(lambda c: line_tables.count_lines(c, made.id))
    assert counts == Counts()


async def test_problems_of_the_input_fail_the_batch_before_anything_runs(stage: Stage) -> None:
    async with stage.running() as batches:
        made = await stage.submit(batches, content=jsonl_line("a") + b"nonsense\n" + jsonl_line("a"))
        ended = await stage.until_ended(batches, made)

    assert ended.state is BatchState.FAILED
    assert [problem.line for problem in ended.problems] == [2, 3]
    assert ended.counts == Counts()
    assert stage.lines.ran == []


async def test_a_refused_line_is_in_the_error_file(stage: Stage) -> None:
    stage.lines.faults["b"] = [ServiceError(ErrorCode.VALIDATION_ERROR, "told to refuse")]
    async with stage.running() as batches:
        ended = await stage.until_ended(batches, await stage.submit(batches, "a", "b", "c"))

    assert ended.counts == Counts(3, completed=2, failed=1)
    (error,) = stage.content(ended.error_file_id)
    assert error["custom_id"] == "b"
    assert error["response"]["status_code"] == 422
    assert error["error"] is None


async def test_a_bug_in_a_line_fails_that_line(stage: Stage) -> None:

    faults: list[Any] = [KeyError("a bug"), KeyError("a bug")]
    stage.lines.faults["b"] = faults
    async with stage.running() as batches:
        ended = await stage.until_ended(batches, await stage.submit(batches, "a", "b"))

    (error,) = stage.content(ended.error_file_id)
    assert error["response"]["status_code"] == 500
    assert error["attempts"] == 2


async def test_a_line_waits_for_a_backend_that_is_down(stage: Stage) -> None:
    away = ServiceError(ErrorCode.MODEL_UNAVAILABLE, "down", retry_after_s=0)
    stage.lines.faults["a"] = [away]
    async with stage.running() as batches:
        ended = await stage.until_ended(batches, await stage.submit(batches, "a"))

    (line,) = stage.content(ended.output_file_id)
    assert line["attempts"] == 2


async def test_a_line_at_two_deaths_is_crashed(stage: Stage) -> None:
    deaths = [ServiceError(ErrorCode.BACKEND_ERROR, "died") for _ in range(2)]
    for death in deaths:
        death.worker_died = True
    stage.lines.faults["b"] = deaths
    async with stage.running() as batches:
        ended = await stage.until_ended(batches, await stage.submit(batches, "a", "b", "c"))

    (error,) = stage.content(ended.error_file_id)
    assert error["response"] is None
    assert error["error"]["code"] == "worker_crashed"
    assert ended.counts == Counts(3, completed=2, failed=1)


async def test_another_runner_goes_on_where_the_last_one_was_killed(stage: Stage) -> None:
    stage.lines.held = {"c": asyncio.Event(), "d": asyncio.Event()}
    async with stage.running("server_a") as batches:
        made = await stage.submit(batches, "a", "b", "c", "d", "e")
        await stage.lines.is_held.wait()
        await settle()
    stage.lines.held = {}

    async with stage.running("server_b") as batches:
        ended = await stage.until_ended(batches, made)

    output = stage.content(ended.output_file_id)
    assert [line["custom_id"] for line in output] == ["a", "b", "c", "d", "e"]
    assert output[2]["attempts"] == 2
    assert stage.lines.ran.count("a") == 1


async def test_cancelling_aborts_what_does_not_end_and_keeps_what_has(stage: Stage) -> None:
    stage.lines.held = {"b": asyncio.Event()}
    async with stage.running() as batches:
        made = await stage.submit(batches, "a", "b")
        await stage.lines.is_held.wait()
        told = await batches.cancel(OWNER, made.id)
        ended = await stage.until_ended(batches, made)
        again = await batches.cancel(OWNER, made.id)

    assert told.state is BatchState.CANCELLING
    assert ended.state is again.state is BatchState.CANCELLED
    assert ended.counts == Counts(2, completed=1, cancelled=1)
    (error,) = stage.content(ended.error_file_id)
    assert error["error"]["code"] == "batch_cancelled"


async def test_a_batch_out_of_time_expires_and_keeps_what_has_ended(stage: Stage) -> None:
    stage.lines.held = {"b": asyncio.Event()}
    async with stage.running() as batches:
        made = await stage.submit(batches, "a", "b")
        await stage.lines.is_held.wait()
        stage.now = NOW + timedelta(hours=1)
        ended = await stage.until_ended(batches, made)

    assert ended.state is BatchState.EXPIRED
    assert ended.counts == Counts(2, completed=1, expired=1)
    (error,) = stage.content(ended.error_file_id)
    assert error["error"]["code"] == "batch_expired"


async def test_a_batch_that_expired_while_no_server_ran_has_a_record_for_every_line(stage: Stage) -> None:
    async with stage.running() as batches:
        pass
    made = await stage.submit(batches, "a", "b")
    stage.now = NOW + timedelta(hours=2)

    async with stage.running() as batches:
        ended = await stage.until_ended(batches, made)

    assert ended.state is BatchState.EXPIRED
    assert ended.counts == Counts(2, expired=2)
    assert [line["custom_id"] for line in stage.content(ended.error_file_id)] == ["a", "b"]


async def test_a_batch_whose_key_is_gone_is_cancelled(stage: Stage) -> None:
    async with stage.running() as batches:
        pass
    made = await stage.submit(batches, "a", "b")
    stage.keys.living.clear()

    async with stage.running() as batches:
        ended = await stage.until_ended(batches, made)

    assert ended.state is BatchState.CANCELLED
    assert stage.lines.ran == []


async def test_a_batch_cancelled_before_it_began_has_no_lines(stage: Stage) -> None:
    async with stage.running() as batches:
        pass
    made = await stage.submit(batches, "a", "b")
    await stage.database.write(lambda c: tables.begin_cancelling(c, made.id, NOW))

    async with stage.running() as batches:
        ended = await stage.until_ended(batches, made)

    assert ended.state is BatchState.CANCELLED
    assert ended.counts == Counts()


async def test_a_key_may_have_so_many_batches_under_way(stage: Stage) -> None:
    stage.lines.held = {"a": asyncio.Event()}
    async with stage.running() as batches:
        for _ in range(3):
            await stage.submit(batches, "a")
        with pytest.raises(ServiceError) as refused:
            await stage.submit(batches, "a")

    assert refused.value.code is ErrorCode.RATE_LIMITED
    assert refused.value.retry_after_s
