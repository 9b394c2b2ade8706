"""What a failure of the store is to whoever asked for something; the log has the cause. Knows no table."""

import logging
import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from engines.contract.errors import ErrorCode
from server.errors import ServiceError
from server.telemetry import log_event

POSTGRESQL_DISK_FULL = "53100"


def refusal(error: SQLAlchemyError) -> ServiceError:
    """STORAGE_FULL or STORAGE_UNAVAILABLE."""
    if _is_full(error):
        return ServiceError(ErrorCode.STORAGE_FULL, "the server has no room on its disk now")
    return ServiceError(ErrorCode.STORAGE_UNAVAILABLE, "the server's store does not answer now")


def log_failure(error: SQLAlchemyError, *, count: int) -> None:
    """`count` requests were refused because of it."""
    reason = "disk full" if _is_full(error) else None
    log_event("store.failed", level=logging.ERROR, exception=error, reason=reason, count=count)


def _is_full(error: BaseException | None) -> bool:
    """Looks behind the last error too: SQLite ends the transaction by itself, and going back to the savepoint fails."""
    if error is None:
        return False
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        is_full = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    else:
        is_full = getattr(cause, "sqlstate", None) == POSTGRESQL_DISK_FULL
    return is_full or _is_full(error.__context__)
