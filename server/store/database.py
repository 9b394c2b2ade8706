"""The store for the event loop: reads in threads, writes of many callers in one commit. Knows no table.

A commit waits for the disk, so a commit for each of many small writes would cap them at a few hundred a second. While
one commit is under way, further writes pile up, and the next commit takes them all.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.store.engine import Store
from server.telemetry import log_event

MAX_GROUP = 512
_T = TypeVar("_T")


class _Write(Generic[_T]):
    """One caller's write, its result, and where to tell it."""

    def __init__(self, work: Callable[[Connection], _T]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[_T] = self.loop.create_future()
        self.result: _T | None = None
        self.error: BaseException | None = None

    def tell(self) -> None:
        if self.done.cancelled():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)  # type: ignore[arg-type]  # set by `work` where there is no error


class Database:
    """Closes nothing but its own thread: the store is its owner's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: queue.SimpleQueue[_Write[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._commit_all, name="store.commit", daemon=True)
        self._thread.start()
        self.num_commits = 0

    @property
    def is_shared(self) -> bool:
        """Whether other servers may use the same store."""
        return self._store.engine.dialect.name == "postgresql"

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """What `work` finds in a transaction that only reads. Raises ServiceError(STORAGE_UNAVAILABLE)."""
        return await asyncio.to_thread(self._read, work)

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """Durable when it returns. `work` runs in another thread, in a savepoint of a shared transaction, so that its
        failure is its own; cancelled, it may still be carried out.

        Raises ServiceError: STORAGE_FULL, STORAGE_UNAVAILABLE (then it may have been carried out or not); and whatever
        `work` raises.
        """
        write = _Write(work)
        self._queue.put(write)
        return await write.done

    def close(self) -> None:
        """Carry out what waits. Blocks."""
        self._queue.put(None)
        self._thread.join()

    def _read(self, work: Callable[[Connection], _T]) -> _T:
        try:
            with self._store.reading() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise storage_error(error) from error

    def _commit_all(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            is_last = False
            while len(group) < MAX_GROUP and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    is_last = True
                    break
                group.append(following)
            self._commit(group)
            if is_last:
                return

    def _commit(self, group: list[_Write[Any]]) -> None:
        try:
            with self._store.transaction() as connection:
                for write in group:
                    self._carry_out(write, connection)
            self.num_commits += 1
        except SQLAlchemyError as error:
            for write in group:
                write.error = write.error or storage_error(error)
        by_loop: dict[asyncio.AbstractEventLoop, list[_Write[Any]]] = {}
        for write in group:
            by_loop.setdefault(write.loop, []).append(write)
        for loop, writes in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_tell_all, writes)

    def _carry_out(self, write: _Write[Any], connection: Connection) -> None:
        try:
            with connection.begin_nested():
                write.result = write.work(connection)
        except IntegrityError as error:  # rolled back to the savepoint: the others are not concerned
            write.error = error
        except DBAPIError:
            raise
        except Exception as error:  # noqa: BLE001 - it is raised where `write` was called
            write.error = error


def _tell_all(writes: list[_Write[Any]]) -> None:
    for write in writes:
        write.tell()


def storage_error(error: SQLAlchemyError) -> ServiceError:
    """What a failure of the store is to whoever asked; the log has the cause."""
    cause = str(error.orig) if isinstance(error, DBAPIError) else ""
    is_full = "is full" in cause or "No space left" in cause
    log_event("store.failed", error=type(error).__name__, reason="disk full" if is_full else None)
    if is_full:
        return ServiceError(ErrorCode.STORAGE_FULL, "the server has no room on its disk now")
    return ServiceError(ErrorCode.STORAGE_UNAVAILABLE, "the server's store does not answer now")
