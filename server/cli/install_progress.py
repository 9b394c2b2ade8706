"""How an installation is shown: live on a terminal, as lines elsewhere. Knows not what is installed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from server.engine_envs.install import Reporter

QUIET_PERIOD_S = 10.0
_MAX_COLUMNS = 70


@contextmanager
def show_progress(console: Console) -> Iterator[Reporter]:
    if not console.is_terminal:
        yield LineReporter(console)
        return
    columns = (SpinnerColumn(finished_text=" "), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, TextColumn("[dim]{task.fields[last]}"), console=console) as progress:
        reporter = LiveReporter(progress)
        yield reporter
        reporter.finish()


class LiveReporter:
    """One line per step with its own clock and what pip said last."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def step(self, number: int, total: int, title: str) -> None:
        self.finish()
        self._task = self._progress.add_task(f"{number}/{total} {title}", total=1, last="")

    def line(self, text: str) -> None:
        if self._task is not None and not text.startswith("WARNING"):
            self._progress.update(self._task, last=_shorten(text))

    def finish(self) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=1, last="")


class LineReporter:
    """A line per step, and one every few seconds while a step goes on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = self._said = time.monotonic()

    def step(self, number: int, total: int, title: str) -> None:
        self._say(f"{number}/{total} {title}")

    def line(self, text: str) -> None:
        if not text.startswith("WARNING") and time.monotonic() - self._said >= QUIET_PERIOD_S:
            self._say(f"    {_shorten(text)}")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        self._console.print(f"{self._said - self._begun:4.0f} s  {text}")


def _shorten(text: str) -> str:
    return text.strip()[:_MAX_COLUMNS]
