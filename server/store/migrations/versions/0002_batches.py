"""Files, batches with their lines, answers kept for repeated requests, and what backends were seen to hold."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_files()
    _create_batches()
    _create_batch_lines()
    _create_idempotency_keys()
    _create_memory_peaks()


def _create_files() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("content_type", sa.String(100), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("batch_id", sa.String(40)),
    )
    op.create_index("files_by_owner", "files", ["owner", "created_at", "id"])
    op.create_index("files_by_end", "files", ["expires_at"])


def _create_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("surface", sa.String(10), nullable=False),
        sa.Column("endpoint", sa.String(100)),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("input_file_id", sa.String(40), nullable=False),
        sa.Column("completion_window", sa.String(8), nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("base_url", sa.String(500), nullable=False),
        sa.Column("problems", sa.JSON),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("cancelled", sa.Integer, nullable=False),
        sa.Column("expired", sa.Integer, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finalizing_at", TIME),
        sa.Column("cancelling_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("kept_until", TIME, nullable=False),
        sa.Column("output_file_id", sa.String(40)),
        sa.Column("error_file_id", sa.String(40)),
        sa.Column("runner", sa.String(40)),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("lease_until", TIME),
        sa.Column("resumed_at", TIME),
        sa.Column("resumed_done", sa.Integer, nullable=False),
        sa.Column("webhook_state", sa.String(10)),
        sa.Column("webhook_attempts", sa.Integer, nullable=False),
    )
    op.create_index("batches_by_owner", "batches", ["owner", "created_at", "id"])
    op.create_index("batches_by_state", "batches", ["state"])


def _create_batch_lines() -> None:
    op.create_table(
        "batch_lines",
        sa.Column("batch_id", sa.String(40), primary_key=True),
        sa.Column("line_no", sa.Integer, primary_key=True),
        sa.Column("custom_id", sa.String(512), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("deaths", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(10)),
        sa.Column("answer", sa.LargeBinary),
    )
    op.create_index("batch_lines_by_position", "batch_lines", ["batch_id", "model", "position"])
    op.create_index("batch_lines_by_outcome", "batch_lines", ["batch_id", "outcome"])


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(40), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("holder", sa.String(40), nullable=False),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("created_at", TIME, nullable=False),
    )
    op.create_index("idempotency_keys_by_age", "idempotency_keys", ["created_at"])


def _create_memory_peaks() -> None:
    op.create_table(
        "memory_peaks",
        sa.Column("backend_id", sa.String(100), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("measured_at", TIME, nullable=False),
    )
