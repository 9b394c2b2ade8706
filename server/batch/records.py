"""A batch as the store keeps it, and how it is counted. Knows no SQL but reading a row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import RowMapping

from server.batch.input_check import InputProblem
from server.batch.states import BatchState, Counts, Outcome

Surface = Literal["native", "openai"]
WINDOWS_S = {"24h": 86400, "4h": 14400, "1h": 3600}


class Batch(msgspec.Struct, frozen=True):
    """`endpoint` None: lines may name any. `counts` are of the moment at which it was read."""

    id: str
    owner: str
    surface: Surface
    endpoint: str | None
    state: BatchState
    input_file_id: str
    completion_window: str
    metadata: dict[str, Any]
    base_url: str
    created_at: datetime
    expires_at: datetime
    kept_until: datetime
    counts: Counts = Counts()
    problems: tuple[InputProblem, ...] = ()
    started_at: datetime | None = None
    finalizing_at: datetime | None = None
    cancelling_at: datetime | None = None
    ended_at: datetime | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    epoch: int = 0
    resumed_at: datetime | None = None
    resumed_done: int = 0
    webhook_attempts: int = 0


_FIELDS = frozenset(Batch.__struct_fields__) - {"counts", "problems"}


def read_batch(row: RowMapping, open_counts: dict[str, int]) -> Batch:
    """`open_counts` are of its lines by outcome; they are looked at only before its end."""
    fields = {name: row[name] for name in _FIELDS}
    fields["state"] = BatchState(row["state"])
    found: Mapping[Any, Any] = row if fields["state"].has_ended else open_counts
    counts = Counts(row["total"], **{outcome.value: found.get(outcome.value, 0) for outcome in Outcome})
    problems = msgspec.convert(row["problems"] or [], tuple[InputProblem, ...])
    return Batch(**fields, counts=counts, problems=problems)


class Line(msgspec.Struct, frozen=True):
    """A line that has no outcome yet. `start` and `size` are bytes in the input file."""

    batch_id: str
    line_no: int
    custom_id: str
    model: str
    position: int
    start: int
    size: int
    attempt: int
    deaths: int
