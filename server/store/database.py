"""The store for the event loop: reads in threads, writes of many callers in one commit. Knows no table.

A commit waits for the disk, so a commit for each of many small writes would cap them at some hundred a second. While
one commit is under way, further writes pile up, and the next commit takes them all. A savepoint for each write would
halve their number, so the writes of a group run without, and only a group in which one fails is repeated with them.
"""

import asyncio
import contextlib
import logging
import queue
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.store.engine import Store
from server.store.failures import log_failure, refusal
from server.telemetry import log_event

MAX_GROUP = 512
MAX_WAITING = 10_000
NUM_READERS = 4
READ_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 30.0
_T = TypeVar("_T")
Work = Callable[[Connection], _T]


class _Write(NamedTuple):
    work: Work[Any]
    done: asyncio.Future[Any]


class _Outcome(NamedTuple):
    result: object = None
    error: Exception | None = None


class Database:
    """Belongs to one event loop. Closes its threads only: the store is its owner's. The threads are its own, so that a
    store that stalls takes none from others.
    """

    def __init__(
        self,
        store: Store,
        *,
        read_timeout_s: float = READ_TIMEOUT_S,
        write_timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        self._store = store
        self._read_timeout_s = read_timeout_s
        self._write_timeout_s = write_timeout_s
        self._waiting: queue.SimpleQueue[_Write] = queue.SimpleQueue()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store.write")
        self._readers = ThreadPoolExecutor(NUM_READERS, thread_name_prefix="store.read")
        self._is_called = False
        self._is_closed = False
        self.num_commits = 0

    @property
    def is_shared(self) -> bool:
        """Whether other servers may use the same store."""
        return self._store.engine.dialect.name == "postgresql"

    @property
    def path(self) -> Path | None:
        """The file of a SQLite store."""
        return self._store.path

    async def read(self, work: Work[_T]) -> _T:
        """What `work` finds in a transaction that only reads. It must be short: with SQLite it may hold up commits.

        Raises ServiceError(STORAGE_UNAVAILABLE) and whatever `work` raises.
        """
        try:
            found = asyncio.wrap_future(_submit(self._readers, self._read, work))
            return await _answer(found, self._read_timeout_s)
        except SQLAlchemyError as error:
            log_failure(error, count=1)
            raise refusal(error) from error

    async def write(self, work: Work[_T]) -> _T:
        """Durable when it returns. `work` runs in another thread and in one transaction with other callers' writes; its
        failure is its own. It may run twice, so it must do nothing but with the connection. A caller that is cancelled
        before `work` began leaves nothing behind, later it may be carried out.

        Raises ServiceError: STORAGE_FULL, STORAGE_UNAVAILABLE; whatever else `work` raises. After STORAGE_UNAVAILABLE
        it may have been carried out or not: whoever wants to repeat it first reads back, by its key, what it was to
        change.
        """
        if self._is_closed:
            raise _shutting_down()
        if self._waiting.qsize() >= MAX_WAITING:
            raise ServiceError(ErrorCode.STORAGE_UNAVAILABLE, "too many writes wait for the server's store")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_T] = loop.create_future()
        self._waiting.put(_Write(work, done))
        if (
            not self._is_called
        ):  # and then not at once, so that what others write in this turn of the loop comes along
            self._is_called = True
            loop.call_soon(self._call_writer)
        return await _answer(done, self._write_timeout_s)

    async def between_commits(self, work: Callable[[Store], _T]) -> _T:
        """What `work` returns, run while no write of this process is under way; those that come wait for it."""
        return await asyncio.wrap_future(_submit(self._writer, work, self._store))

    def close(self) -> None:
        """Carry out the writes that wait, refuse all others. Blocks."""
        self._is_closed = True
        self._readers.shutdown(cancel_futures=True)
        self._writer.shutdown()
        while not self._waiting.empty():
            self._commit_waiting()

    def _read(self, work: Work[_T]) -> _T:
        with self._store.reading() as connection:
            return work(connection)

    def _call_writer(self) -> None:
        """As often as groups may wait; a call too many finds none."""
        self._is_called = False
        with contextlib.suppress(RuntimeError):  # it was shut down: `close` takes what waits
            for _ in range(0, self._waiting.qsize(), MAX_GROUP):
                self._writer.submit(self._commit_waiting)

    def _commit_waiting(self) -> None:
        group: list[_Write] = []
        while len(group) < MAX_GROUP and not self._waiting.empty():
            write = self._waiting.get()  # nobody else takes from it
            if not write.done.cancelled():
                group.append(write)
        if group:
            outcomes = self._commit(group)
            group[0].done.get_loop().call_soon_threadsafe(_tell, group, outcomes)

    def _commit(self, group: list[_Write]) -> list[_Outcome]:
        """One outcome for each. What failed before the commit left nothing, so it is repeated once, on a new connection
        if need be; a commit that failed is not, because it may have been carried out.
        """
        is_committing = False
        try:
            with self._store.transaction() as connection:
                outcomes = [_Outcome(write.work(connection)) for write in group]
                is_committing = True
            self.num_commits += 1
            return outcomes
        except Exception as error:  # noqa: BLE001 - it is raised where `write` was called
            if is_committing:
                return _all_failed(group, error)
            if len(group) == 1 and _is_its_own(error):
                return [_Outcome(error=error)]
        return self._commit_apart(group)

    def _commit_apart(self, group: list[_Write]) -> list[_Outcome]:
        try:
            with self._store.transaction() as connection:
                outcomes = [_carry_out(write, connection) for write in group]
            self.num_commits += 1
            return outcomes
        except Exception as error:  # noqa: BLE001 - it is raised where `write` was called
            return _all_failed(group, error)


def _carry_out(write: _Write, connection: Connection) -> _Outcome:
    """In a savepoint. Raises what ended the whole transaction."""
    savepoint = connection.begin_nested()
    try:
        outcome = _Outcome(write.work(connection))
    except Exception as error:
        if connection.invalidated:
            raise
        savepoint.rollback()  # fails where SQLite has ended the transaction by itself
        return _Outcome(error=error) if _is_its_own(error) else _all_failed([write], error)[0]
    savepoint.commit()
    return outcome


def _is_its_own(error: Exception) -> bool:
    """Whether its caller must know it as it is; of what else the database says only the log tells."""
    return isinstance(error, IntegrityError | DataError) or not isinstance(error, DBAPIError)


def _all_failed(group: list[_Write], error: Exception) -> list[_Outcome]:
    if not isinstance(error, SQLAlchemyError):
        return [_Outcome(error=error)] * len(group)
    log_failure(error, count=len(group))
    return [_Outcome(error=refusal(error)) for _ in group]


def _tell(group: list[_Write], outcomes: list[_Outcome]) -> None:
    """In one call of the loop, so that those who write again do so in one group."""
    for write, outcome in zip(group, outcomes, strict=True):
        if write.done.cancelled():
            continue
        if outcome.error is None:
            write.done.set_result(outcome.result)
        else:
            write.done.set_exception(outcome.error)


def _submit(executor: Executor, work: Callable[..., _T], *arguments: object) -> Future[_T]:
    try:
        return executor.submit(work, *arguments)
    except RuntimeError as error:  # it was shut down
        raise _shutting_down() from error


def _shutting_down() -> ServiceError:
    return ServiceError(ErrorCode.SHUTTING_DOWN, "the server is shutting down")


async def _answer(done: asyncio.Future[_T], timeout_s: float) -> _T:
    try:
        async with asyncio.timeout(timeout_s):
            return await done
    except TimeoutError as error:
        log_event("store.silent", level=logging.ERROR, timeout_s=timeout_s)
        raise ServiceError(ErrorCode.STORAGE_UNAVAILABLE, "the server's store does not answer now") from error
