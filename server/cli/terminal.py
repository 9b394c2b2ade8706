"""What every command does alike: tables or JSON on stdout, errors on stderr, status 1. Knows no command."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import msgspec
import typer
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


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str | Text | None]], empty: str) -> None:
    """Columns as wide as their content; `empty` is said instead of a table without rows."""
    table = Table(*titles, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*("-" if cell is None else cell for cell in row))
    if table.row_count:
        console().print(table)
    else:
        print(empty)


def console() -> Console:
    """Writes to the stdout of now. Without a terminal lines are not cut to a width."""
    found = Console(highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = 200
    return found


def ago(moment: datetime, now: datetime | None = None) -> str:
    """`42s`, `5m`, `3h`, `12d`: time since `moment`."""
    seconds = int(((now or datetime.now(UTC)) - moment).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"


def gibibytes(size_bytes: int | None) -> str | None:
    return None if size_bytes is None else f"{size_bytes / 2**30:.2f} GiB"
