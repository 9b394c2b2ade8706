"""The tables as they are now; `migrations` says how a store gets there."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, also where the database (SQLite) knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("permissions", JSON, nullable=False),
    Column("models", JSON(none_as_null=True), nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=True),
    Column("revoked_at", UtcDateTime, nullable=True),
    Column("last_used_at", UtcDateTime, nullable=True),
    Column("created_by", String(40), nullable=True),
)

files = Table(  # the content lies in `files_dir` under the id
    "files",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(40), nullable=False),
    Column("purpose", String(20), nullable=False),
    Column("filename", String(255), nullable=False),
    Column("content_type", String(100), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("batch_id", String(40), nullable=True),  # of the batch that made it
    Index("files_by_owner", "owner", "created_at", "id"),
    Index("files_by_end", "expires_at"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(40), nullable=False),
    Column("surface", String(10), nullable=False),  # native, openai: how it was submitted and is answered
    Column("endpoint", String(100), nullable=True),  # what every line must name; None: any
    Column("state", String(12), nullable=False),
    Column("input_file_id", String(40), nullable=False),
    Column("completion_window", String(8), nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("base_url", String(500), nullable=False),  # what links in its results begin with
    Column(
        "problems", JSON(none_as_null=True), nullable=True
    ),  # of the input: [{code, line, message, param}]
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),  # these four are final and 0 before the end
    Column("failed", Integer, nullable=False),
    Column("cancelled", Integer, nullable=False),
    Column("expired", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime, nullable=True),
    Column("finalizing_at", UtcDateTime, nullable=True),
    Column("cancelling_at", UtcDateTime, nullable=True),
    Column("ended_at", UtcDateTime, nullable=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("kept_until", UtcDateTime, nullable=False),
    Column("output_file_id", String(40), nullable=True),
    Column("error_file_id", String(40), nullable=True),
    Column("runner", String(40), nullable=True),  # id of the server process that holds it
    Column("epoch", Integer, nullable=False),  # grows with every runner
    Column("lease_until", UtcDateTime, nullable=True),  # by the database's clock
    Column("resumed_at", UtcDateTime, nullable=True),  # since when its runner works on it
    Column("resumed_done", Integer, nullable=False),  # lines that were done by then
    Column("webhook_state", String(10), nullable=True),  # None: nobody to tell; due, told, given_up
    Column("webhook_attempts", Integer, nullable=False),
    Index("batches_by_owner", "owner", "created_at", "id"),
    Index("batches_by_state", "state"),
)

batch_lines = Table(  # one row, and one outcome that is written once, for every line of an accepted batch
    "batch_lines",
    metadata,
    Column("batch_id", String(40), primary_key=True),
    Column("line_no", Integer, primary_key=True),  # from 1
    Column("custom_id", String(512), nullable=False),
    Column("model", String(200), nullable=False),
    Column("position", Integer, nullable=False),  # rank in the order of execution
    Column("start", BigInteger, nullable=False),  # where the line lies in the input file, in bytes
    Column("size", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),  # how often it was begun; fences the outcome
    Column("deaths", Integer, nullable=False),  # of workers while it was in flight
    Column("outcome", String(10), nullable=True),  # completed, failed, cancelled, expired
    Column("answer", LargeBinary, nullable=True),  # the line of the output or the error file
    Index("batch_lines_by_position", "batch_id", "model", "position"),
    Index("batch_lines_by_outcome", "batch_id", "outcome"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner", String(40), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("holder", String(40), nullable=False),  # id of the server process that runs the first request
    Column("fingerprint", String(64), nullable=True),
    Column("answer", LargeBinary, nullable=True),  # None while the first request runs
    Column("created_at", UtcDateTime, nullable=False),
    Index("idempotency_keys_by_age", "created_at"),
)

memory_peaks = (
    Table(  # what a backend held at most on each of its devices; fingerprint: of what that depends on
        "memory_peaks",
        metadata,
        Column("backend_id", String(100), primary_key=True),
        Column("fingerprint", String(64), nullable=False),
        Column("size_bytes", BigInteger, nullable=False),
        Column("measured_at", UtcDateTime, nullable=False),
    )
)

load_times = Table(  # what a backend's last load took; fingerprint: of the same as in memory_peaks
    "load_times",
    metadata,
    Column("backend_id", String(100), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("measured_at", UtcDateTime, nullable=False),
)
