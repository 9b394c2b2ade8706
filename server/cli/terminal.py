"""What every command does alike: tables or JSON on stdout, errors on stderr, status 1. Knows no command."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.settings import Settings
from server.settings_sources import SettingsError, load_settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def fail(*problems: str, status: int = 1) -> NoReturn:
    """End the command; each problem is one line on stderr."""
    for problem in problems:
        print(f"hearth: {problem}", file=sys.stderr)
    raise typer.Exit(status)


def load_settings_or_fail(**overrides: Any) -> Settings:
    """Overrides that are None were not given. Every fault ends up on stderr."""
    try:
        return load_settings(**{name: value for name, value in overrides.items() if value is not None})
    except SettingsError as error:
        fail(*error.problems)


def print_json(value: object) -> None:
    print(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False))


Rows = Iterable[Sequence[str | Text | None]]


def print_table(titles: Sequence[str], rows: Rows, empty: str, *, spare: Sequence[str] = ()) -> None:
    """Columns as wide as their content; `empty` is said instead of a table without rows.

    `spare` are titles of columns that may be left out where the terminal is too narrow, the first one first.
    """
    screen = console()
    table = make_table(titles, rows, screen.width, spare=spare)
    if table.row_count:
        screen.print(table)
    else:
        print(empty)


def make_table(titles: Sequence[str], rows: Rows, width: int, *, spare: Sequence[str] = ()) -> Table:
    cells = [tuple("-" if cell is None else cell for cell in row) for row in rows]
    shown = list(range(len(titles)))
    for title in spare:
        if _width(titles, cells, shown) <= width:
            break
        shown.remove(titles.index(title))
    chosen = [titles[place] for place in shown]
    table = Table(*chosen, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for row in cells:
        table.add_row(*(row[place] for place in shown))
    return table


def _width(titles: Sequence[str], rows: Iterable[Sequence[str | Text]], shown: Sequence[int]) -> int:
    every = [titles, *rows]
    return sum(max(cell_len(str(row[place])) for row in every) + 2 for place in shown) - 2


def note(text: str) -> None:
    """Beside the result, on stderr."""
    print(f"hearth: {text}", file=sys.stderr)


def console() -> Console:
    """Writes to the stdout of now. Without a terminal lines are not cut to a width."""
    found = Console(highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = 200
    return found


def error_console() -> Console:
    """For what is beside the result: progress above all. Writes to the stderr of now."""
    found = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = 200
    return found


def length(seconds: float) -> str:
    """`0.4s`, `42s`, `5m10s`, `3h05m`: how long something takes."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """`42s`, `5m`, `3h`, `12d`: time since `moment`."""
    seconds = int(((now or datetime.now(UTC)) - moment).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"


def gibibytes(size_bytes: int | None) -> str | None:
    return None if size_bytes is None else f"{size_bytes / 2**30:.2f} GiB"
