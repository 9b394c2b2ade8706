"""What clients do with batches: submit, look, list, cancel. Knows no HTTP; the runner does the work."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, NamedTuple

from sqlalchemy import Connection

from engines.contract.errors import ErrorCode
from server.batch import tables
from server.batch.intake import Input
from server.batch.records import WINDOWS_S, Batch, Surface
from server.batch.runner import BatchRunner
from server.batch.states import BatchState
from server.clock import utc_now
from server.disk import DiskGuard
from server.errors import ServiceError
from server.failpoints import reach
from server.files import FileStore
from server.store.database import Database

RETRY_AFTER_S = 60
Remember = Callable[[Connection, Batch], None]


class Submission(NamedTuple):
    """What a client asks for."""

    owner: str
    surface: Surface
    endpoint: str | None
    completion_window: str
    metadata: dict[str, Any]
    base_url: str
    input: Input


class Batches:
    """All batches of the store, as their owners see them. An object of somebody else does not exist."""

    def __init__(
        self,
        database: Database,
        files: FileStore,
        disk: DiskGuard,
        runner: BatchRunner,
        *,
        max_active: int,
        ttl_s: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._files = files
        self._disk = disk
        self._runner = runner
        self._max_active = max_active
        self._ttl = timedelta(seconds=ttl_s)
        self._now = now

    async def submit(self, submission: Submission, remember: Remember) -> Batch:
        """Durable when it returns. `remember` is carried out in the same transaction.

        Raises ServiceError: RATE_LIMITED with too many batches under way, STORAGE_FULL, STORAGE_UNAVAILABLE.
        """
        self._disk.check()
        batch = self._new(submission)

        def write(connection: Connection) -> None:
            if tables.count_active(connection, batch.owner) >= self._max_active:
                raise _too_many(self._max_active)
            if submission.input.is_new:
                self._files.insert(connection, submission.input.file)
            else:
                self._files.find_in(connection, batch.owner, batch.input_file_id)
            tables.insert_batch(connection, batch)
            remember(connection, batch)

        reach("batch.before_row")
        if submission.input.is_new:
            async with self._files.dropped_without_row(batch.input_file_id):
                await self._database.write(write)
        else:
            await self._database.write(write)
        reach("batch.after_row")
        self._runner.wake()
        return batch

    async def find(self, owner: str, batch_id: str) -> Batch:
        """Raises ServiceError(NOT_FOUND)."""
        batch = await self._database.read(lambda connection: tables.find_batch(connection, batch_id))
        if batch is None or batch.owner != owner:
            raise ServiceError(ErrorCode.NOT_FOUND, "there is no such batch")
        return batch

    async def list(
        self,
        owner: str,
        *,
        states: Collection[BatchState] = (),
        after: tuple[datetime, str] | None = None,
        limit: int,
    ) -> list[Batch]:
        """The newest first, from behind `after`."""
        return await self._database.read(
            lambda connection: tables.list_batches(connection, owner, states=states, after=after, limit=limit)
        )

    async def cancel(self, owner: str, batch_id: str) -> Batch:
        """No new line starts when this returns. Asking again is no error.

        Raises ServiceError: NOT_FOUND, CONFLICT if the batch has ended or is about to.
        """
        await self.find(owner, batch_id)
        moment = self._now()
        began = await self._database.write(
            lambda connection: tables.begin_cancelling(connection, batch_id, moment)
        )
        if began:
            reach("cancel.flagged")
            self._runner.cancel(batch_id)
            self._runner.wake()
        batch = await self.find(owner, batch_id)
        if not began and batch.state not in (BatchState.CANCELLING, BatchState.CANCELLED):
            raise ServiceError(
                ErrorCode.CONFLICT, f"the batch is {batch.state}: it cannot be cancelled any more"
            )
        return batch

    def _new(self, submission: Submission) -> Batch:
        moment = self._now()
        expires_at = moment + timedelta(seconds=WINDOWS_S[submission.completion_window])
        return Batch(
            id="batch_" + token_hex(12),
            owner=submission.owner,
            surface=submission.surface,
            endpoint=submission.endpoint,
            state=BatchState.VALIDATING,
            input_file_id=submission.input.file.id,
            completion_window=submission.completion_window,
            metadata=submission.metadata,
            base_url=submission.base_url,
            created_at=moment,
            expires_at=expires_at,
            kept_until=expires_at + self._ttl,
        )


def _too_many(limit: int) -> ServiceError:
    message = f"a key may have {limit} batches under way: wait for one to end"
    return ServiceError(ErrorCode.RATE_LIMITED, message, retry_after_s=RETRY_AFTER_S)
