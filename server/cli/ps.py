"""`hearth ps`: what every backend's worker is doing, how much it holds, and for how long it stays."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from server.cli.client import ApiKey, call
from server.cli.models import state_of
from server.cli.naming import title
from server.cli.terminal import AsJson, ago, console, gibibytes, length, make_table, print_json

PERIOD_S = 1.0
TITLES = (
    "MODEL",
    "BACKEND",
    "STATE",
    "FOR",
    "MEMORY",
    "DEVICE",
    "KEPT",
    "IN FLIGHT",
    "WAITING",
    "BATCH",
    "RESTARTS",
    "PID",
)
SPARE = ("PID", "RESTARTS", "BACKEND", "BATCH", "DEVICE", "WAITING")

Item = Mapping[str, Any]


def ps(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing it until Ctrl-C.")] = False,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show what every backend's worker is doing, what it holds, and until when it stays loaded."""
    items = call("GET", "/v1/backends", api_key)["items"]
    if as_json:
        print_json(items)
    elif not items:
        print("The server has no backends.")
    elif watch:
        _watch(items, api_key)
    else:
        console().print(_picture(items))


def _watch(items: list[Item], api_key: str | None) -> None:
    """In place on a terminal; elsewhere the whole table again with every change."""
    screen = console()
    try:
        if screen.is_terminal:
            with Live(_picture(items), console=screen, auto_refresh=False) as live:
                while True:
                    time.sleep(PERIOD_S)
                    live.update(_picture(call("GET", "/v1/backends", api_key)["items"]), refresh=True)
        shown: object = None
        while True:
            if shown != (shown := [(item["id"], item.get("state"), item.get("detail")) for item in items]):
                screen.print(_picture(items))
            time.sleep(PERIOD_S)
            items = call("GET", "/v1/backends", api_key)["items"]
    except KeyboardInterrupt:
        return


def _picture(items: list[Item]) -> Group | Table:
    """The table, and below it what is too long for a column."""
    table = make_table(TITLES, map(_row, items), console().width, spare=SPARE)
    notes = [note for item in items for note in _notes(item)]
    return Group(table, "", *notes) if notes else table


def _row(item: Item) -> tuple[str | Text | None, ...]:
    since, pid = item.get("since"), item.get("pid")
    return (
        title(item),
        item["id"],
        state_of({"state": item.get("state", "unknown")}),
        None if since is None else ago(datetime.fromisoformat(since)),
        gibibytes(item.get("device_bytes") or item.get("rss_bytes")),
        item.get("device"),
        kept(item),
        str(item.get("in_flight", 0)),
        str(item.get("waiting", 0)),
        f"{item.get('batch_in_flight', 0)}+{item.get('batch_waiting', 0)}",  # those that run, and those that wait
        str(item.get("restarts", 0)),
        None if pid is None else str(pid),
    )


def kept(item: Item) -> str | None:
    """For how long a ready one stays if nobody asks for it, or that others' need decides it; or `pinned`."""
    if item.get("is_pinned"):
        return "pinned"
    if item.get("state") != "ready":
        return None
    keep_alive_s, idle_s = item.get("keep_alive_s"), item.get("idle_s")
    if keep_alive_s is None:
        return "till needed"
    return f"{length(keep_alive_s if idle_s is None else max(0.0, keep_alive_s - idle_s))} more"


def _notes(item: Item) -> Iterator[Text]:
    if item.get("detail"):
        yield Text(f"{title(item)}: {item['detail']}")
    if item.get("last_error"):
        yield Text(f"{title(item)}: last error: {item['last_error']}", style="red")
