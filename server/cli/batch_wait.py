"""`hearth batch wait`: follows a batch to its end, over restarts of the server that take less than a minute."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from server.cli.client import TIMEOUT_S, connect, data_of
from server.cli.terminal import console

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
POLL_PERIOD_S = 1.0
SAY_PERIOD_S = 5.0
PATIENCE_S = 60.0  # without a server
_RETRIED = frozenset({502, 503, 504})

Batch = Mapping[str, Any]


class Screen(Protocol):
    def show(self, batch: Batch) -> None: ...


def follow(
    path: str,
    api_key: str | None,
    *,
    is_quiet: bool,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Batch:
    """The batch at `path` once it has ended. Ends the command when no server answers for a minute."""
    with connect(api_key, TIMEOUT_S) as client, _screen(console(), is_quiet, clock) as screen:
        answered_at = clock()
        while True:
            batch = _look(client, path, is_last_try=clock() - answered_at >= PATIENCE_S)
            if batch is not None:
                answered_at = clock()
                screen.show(batch)
                if batch["status"] in ENDED:
                    return batch
            sleep(POLL_PERIOD_S)


def _look(client: httpx.Client, path: str, *, is_last_try: bool) -> Batch | None:
    """None when nobody answers, or one who is going down; the last try ends the command instead."""
    try:
        response = client.get(path)
    except httpx.TransportError:
        if is_last_try:
            raise
        return None
    if response.status_code in _RETRIED and not is_last_try:
        return None
    found: Batch = data_of(response, str(client.base_url))
    return found


@contextmanager
def _screen(screen: Console, is_quiet: bool, clock: Callable[[], float]) -> Iterator[Screen]:
    if is_quiet:
        yield QuietScreen()
    elif not screen.is_terminal:
        yield LineScreen(screen, clock)
    else:
        columns = (TextColumn("{task.fields[status]}"), BarColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=screen) as progress:
            yield BarScreen(progress)


class QuietScreen:
    def show(self, batch: Batch) -> None:
        """Says nothing."""


class LineScreen:
    """A line every few seconds, and one for every change of the status."""

    def __init__(self, screen: Console, clock: Callable[[], float]) -> None:
        self._screen = screen
        self._clock = clock
        self._said_at = 0.0
        self._status: str | None = None

    def show(self, batch: Batch) -> None:
        now = self._clock()
        if batch["status"] != self._status or now - self._said_at >= SAY_PERIOD_S:
            self._status, self._said_at = batch["status"], now
            self._screen.print(f"{batch['status']}  {describe(batch)}")


class BarScreen:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=1.0, status="")

    def show(self, batch: Batch) -> None:
        fraction = (batch.get("progress") or {}).get("fraction") or 0.0
        fraction = 1.0 if batch["status"] == "completed" else fraction
        text = describe(batch)
        self._progress.update(self._task, completed=fraction, description=text, status=batch["status"])


def describe(batch: Batch) -> str:
    """`120 done, 2 failed of 1000, 14.2 lines/s, 1:02 left`."""
    counts, progress = batch["request_counts"], batch.get("progress") or {}
    parts = [f"{counts['completed']} done, {counts['failed']} failed of {counts['total']}"]
    if batch["status"] not in ENDED:
        if (rate := progress.get("lines_per_second")) is not None:
            parts.append(f"{rate:.1f} lines/s")
        if (left_s := progress.get("seconds_left")) is not None:
            parts.append(f"{clock_time(left_s)} left")
    return ", ".join(parts)


def clock_time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
