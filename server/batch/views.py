"""A batch as clients see it, one function per dialect. Pure."""

from datetime import datetime
from typing import Any

from server.batch.input_check import InputProblem
from server.batch.records import Batch
from server.batch.states import BatchState


def native_batch(batch: Batch, base_url: str, now: datetime) -> dict[str, Any]:
    """The documented members, and what we add: `progress`, `errors`, `kept_until`."""
    return {
        "id": batch.id,
        "batch_id": batch.id,
        "object": "batch",
        "status": batch.state,
        "endpoint_completion_window": batch.completion_window,
        "input_file_id": batch.input_file_id,
        "request_counts": _counts(batch),
        "progress": _progress(batch, now),
        "created_at": batch.created_at,
        "started_at": batch.started_at,
        "finalizing_at": batch.finalizing_at,
        "cancelling_at": batch.cancelling_at,
        "completed_at": batch.ended_at,
        "expires_at": batch.expires_at,
        "kept_until": batch.kept_until,
        "errors": [_problem(problem) for problem in batch.problems],
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "output_file_url": _link(base_url, batch.output_file_id),
        "error_file_url": _link(base_url, batch.error_file_id),
        "metadata": batch.metadata,
    }


def openai_batch(batch: Batch) -> dict[str, Any]:
    """OpenAI's batch. Its counts know no lines but completed and failed ones; the others are beside them."""
    state = batch.state
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint or "",
        "errors": _openai_errors(batch),
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": state,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": _unix(batch.created_at),
        "in_progress_at": _unix(batch.started_at),
        "expires_at": _unix(batch.expires_at),
        "finalizing_at": _unix(batch.finalizing_at),
        "completed_at": _unix(batch.ended_at) if state is BatchState.COMPLETED else None,
        "failed_at": _unix(batch.ended_at) if state is BatchState.FAILED else None,
        "expired_at": _unix(batch.ended_at) if state is BatchState.EXPIRED else None,
        "cancelling_at": _unix(batch.cancelling_at),
        "cancelled_at": _unix(batch.ended_at) if state is BatchState.CANCELLED else None,
        "request_counts": _counts(batch),
        "metadata": batch.metadata or None,
    }


def _counts(batch: Batch) -> dict[str, int]:
    counts = batch.counts
    return {
        "total": counts.total,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "expired": counts.expired,
        "pending": counts.pending,
    }


def _progress(batch: Batch, now: datetime) -> dict[str, float | None]:
    """The rate is that since the batch was taken up last, so that a time without a server does not count."""
    counts = batch.counts
    fraction = counts.done / counts.total if counts.total else 1.0 if batch.state.has_ended else 0.0
    if batch.state is not BatchState.IN_PROGRESS or batch.resumed_at is None:
        return {"fraction": fraction, "lines_per_second": None, "seconds_left": None}
    elapsed_s = (now - batch.resumed_at).total_seconds()
    rate = (counts.done - batch.resumed_done) / elapsed_s if elapsed_s > 0 else 0.0
    return {
        "fraction": round(fraction, 6),
        "lines_per_second": round(rate, 3) if rate > 0 else None,
        "seconds_left": round(counts.pending / rate, 1) if rate > 0 else None,
    }


def _problem(problem: InputProblem) -> dict[str, object]:
    return {
        "code": problem.code,
        "message": problem.message,
        "line": problem.line,
        "param": problem.param,
    }


def _openai_errors(batch: Batch) -> dict[str, Any] | None:
    if not batch.problems:
        return None
    return {"object": "list", "data": [_problem(problem) for problem in batch.problems]}


def _link(base_url: str, file_id: str | None) -> str | None:
    return None if file_id is None else f"{base_url}/v1/files/{file_id}/content"


def _unix(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
