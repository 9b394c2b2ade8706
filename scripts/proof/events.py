"""What the rig writes down while it runs, one line a piece, and the checker reads afterwards."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

TERMINAL = ("completed", "failed", "expired", "cancelled")


class Event(msgspec.Struct, frozen=True, tag=True):
    """Something that was about to be asked, or that was answered."""


class PlannedLine(msgspec.Struct, frozen=True):
    """`answer` is the one right text; None where the line must be refused, with `status`."""

    custom_id: str
    answer: str | None
    status: int = 200


class Planned(Event, frozen=True):
    """Before the first call that could make this batch exist."""

    submission: str
    lines: list[PlannedLine]


class Acknowledged(Event, frozen=True):
    """The server said that the batch exists. For one submission it must always be the same batch."""

    submission: str
    batch_id: str


class FileAcknowledged(Event, frozen=True):
    file_id: str
    sha256: str


class FileRead(Event, frozen=True):
    """`sha256` is None where the server knows no such file."""

    file_id: str
    sha256: str | None


class MayEnd(Event, frozen=True):
    """From now on lines of this batch may end so: `batch_cancelled`, `batch_expired`."""

    batch_id: str
    code: str


class Counts(msgspec.Struct, frozen=True):
    total: int
    completed: int
    failed: int
    cancelled: int
    expired: int
    pending: int

    @property
    def done(self) -> int:
        return self.completed + self.failed + self.cancelled + self.expired


class Observed(Event, frozen=True):
    """One answer about a batch. `server` tells apart who answered where there are two."""

    batch_id: str
    status: str
    counts: Counts
    output_file_id: str | None = None
    error_file_id: str | None = None
    submission: str | None = None
    server: str = ""


class Missing(Event, frozen=True):
    """The server said that there is no such batch."""

    batch_id: str


class Downloaded(Event, frozen=True):
    """`kind` is `output` or `error`; `text` None where there is no such file."""

    batch_id: str
    kind: str
    file_id: str
    text: str | None


class Struck(Event, frozen=True):
    """`what` died or stopped: server, worker, both, pause, power, database; `point` where it was a fail point."""

    what: str
    point: str | None = None


class Resumed(Event, frozen=True):
    """From ready to the first line recorded after it; None where none was within the limit."""

    after_s: float | None


class Surprise(Event, frozen=True):
    """An answer that no call should have got, or a server that did not come up."""

    text: str


AnyEvent = (
    Planned
    | Acknowledged
    | FileAcknowledged
    | FileRead
    | MayEnd
    | Observed
    | Missing
    | Downloaded
    | Struck
    | Resumed
    | Surprise
)
_DURABLE = (Planned, Acknowledged, FileAcknowledged, MayEnd)


class Journal:
    """Appended to by any thread; plans and acknowledgements are on the disk when `write` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab")
        self._lock = threading.Lock()
        self._encode = msgspec.json.Encoder().encode

    def write(self, event: AnyEvent) -> None:
        line = self._encode(event) + b"\n"
        with self._lock:
            self._file.write(line)
            if isinstance(event, _DURABLE):
                self._file.flush()
                os.fsync(self._file.fileno())

    def flush(self) -> None:
        with self._lock:
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[AnyEvent]:
    decode = msgspec.json.Decoder(AnyEvent).decode
    with path.open("rb") as lines:
        for line in lines:
            yield decode(line)
