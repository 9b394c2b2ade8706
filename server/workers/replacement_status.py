"""How the replacement of a backend by a new version of itself goes, as the API and the command line show it."""

import datetime
import enum

import msgspec


class ReplacementState(enum.StrEnum):
    """A new version comes up as any worker does, is probed, and takes over; the old one drains then."""

    QUEUED = "queued"
    STARTING = "starting"
    LOADING = "loading"
    WARMING = "warming"
    PROBING = "probing"
    DRAINING = "draining"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_decided(self) -> bool:
        """Which of both versions serves from now on is settled."""
        return self in (ReplacementState.DRAINING, ReplacementState.DONE, ReplacementState.FAILED)


class ReplacementStatus(msgspec.Struct, frozen=True):
    """How far the last replacement of a backend is; `error` says why the old version stayed.

    `number` tells the replacements of one run of the server apart.
    """

    backend_id: str
    number: int
    state: ReplacementState
    detail: str | None
    since: datetime.datetime
    error: str | None = None

    @property
    def event(self) -> str:
        return "backend.replacement"

    @property
    def topic(self) -> str:
        return f"replacement of {self.backend_id}"

    @property
    def key(self) -> tuple[object, ...]:
        return (self.number, self.state, self.detail)
