"""How work on many bytes is shown: bars on a terminal, a line now and then elsewhere. Knows not what is done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import (
    Progress as Bars,
)

from server.cli.batch_wait import clock_time
from server.weights.progress import Progress
from server.weights.sizes import in_words

SAY_PERIOD_S = 5.0


@contextmanager
def show_bytes(console: Console, title: str) -> Iterator[Progress]:
    if not console.is_terminal:
        yield LineProgress(console, title)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bars(*columns, TimeRemainingColumn(), console=console) as bars:
        yield BarProgress(bars, title)


class BarProgress:
    """A bar for everything and one for the file at hand."""

    def __init__(self, bars: Bars, title: str) -> None:
        self._bars = bars
        self._all = bars.add_task(title, total=None)
        self._file = bars.add_task("", total=None, visible=False)

    def begin(self, size_bytes: int) -> None:
        self._bars.reset(self._all, total=size_bytes)

    def file(self, name: str, size_bytes: int) -> None:
        self._bars.reset(self._file, total=size_bytes, description=f"  {name}", visible=True)

    def advance(self, num_bytes: int) -> None:
        self._bars.advance(self._all, num_bytes)
        self._bars.advance(self._file, num_bytes)

    def say(self, text: str) -> None:
        self._bars.console.print(text)


class LineProgress:
    """A line every few seconds; the rate is that of the time since the last one."""

    def __init__(self, console: Console, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._title = title
        self._clock = clock
        self._name = ""
        self._total = self._done = self._said_done = 0
        self._said_at = clock()

    def begin(self, size_bytes: int) -> None:
        self._total, self._done, self._said_done, self._said_at = size_bytes, 0, 0, self._clock()

    def file(self, name: str, size_bytes: int) -> None:
        self._name = name

    def advance(self, num_bytes: int) -> None:
        self._done += num_bytes
        now = self._clock()
        if now - self._said_at >= SAY_PERIOD_S:
            rate = max(0.0, (self._done - self._said_done) / (now - self._said_at))
            self._said_at, self._said_done = now, self._done
            self._console.print(f"{self._title}  {self._describe(rate)}  {self._name}")

    def say(self, text: str) -> None:
        self._console.print(text)

    def _describe(self, rate: float) -> str:
        """`42%  1.20 GB of 3.10 GB  85.0 MB/s  0:22 left`."""
        parts = [f"{100 * self._done // max(self._total, 1)}%"]
        parts.append(f"{in_words(self._done)} of {in_words(self._total)}")
        parts.append(f"{in_words(rate)}/s")
        if rate:
            parts.append(f"{clock_time((self._total - self._done) / rate)} left")
        return "  ".join(parts)
