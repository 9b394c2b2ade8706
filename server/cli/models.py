"""`hearth models`, `ps`, `load`, `stop`: what the running server has and does."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from server.cli.client import ApiKey, call
from server.cli.replacing import replace as replace_backends
from server.cli.terminal import AsJson, ago, gibibytes, print_json, print_table

models_app = typer.Typer(help="Show the models that clients can name.")
_COLOURS = {"ready": "green", "failed": "red", "stopped": "dim"}
BackendId = Annotated[str, typer.Argument(help="Id of the backend, as `hearth ps` shows it.")]


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Show the models that clients can name."""
    if context.invoked_subcommand is None:
        list_models(api_key, as_json)


@models_app.command("list")
def list_models(api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Show the models that clients can name."""
    items = call("GET", "/v1/models?limit=100", api_key)["items"]
    if as_json:
        print_json(items)
        return
    rows = [
        (item["slug"], item["modality"], str(item["context_window"] or "-"), _state(item), _licence(item))
        for item in items
    ]
    print_table(("MODEL", "MODALITY", "CONTEXT", "STATE", "LICENCE"), rows, "The server has no models.")


def ps(api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Show what every backend's worker is doing."""
    items = call("GET", "/v1/backends", api_key)["items"]
    if as_json:
        print_json(items)
        return
    counts = ("IN FLIGHT", "WAITING", "BATCH", "RESTARTS")
    titles = ("BACKEND", "STATE", "FOR", "PID", *counts, "MEMORY", "LAST ERROR")
    print_table(titles, map(_backend_row, items), "The server has no backends.")


def load(
    backend: BackendId,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Read its file again; the new version takes over once it has answered a probe."
        ),
    ] = False,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Load a backend now instead of at its first request."""
    if replace:
        replace_backends(backend, api_key, as_json)
    else:
        _change(backend, "load", api_key, as_json)


def stop(backend: BackendId, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Let a backend's running requests end, then end its worker."""
    _change(backend, "stop", api_key, as_json)


def sleep(backend: BackendId, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Let a backend fall asleep: it frees memory, and is back sooner than after a stop."""
    _change(backend, "sleep", api_key, as_json)


def pin(
    backend: BackendId,
    off: Annotated[bool, typer.Option("--off", help="Let it give way to others again.")] = False,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Keep a backend loaded, whatever else wants its memory."""
    _change(backend, "unpin" if off else "pin", api_key, as_json)


def plan(backend: BackendId, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Show what loading a backend would take and whom it would displace. Nothing is done."""
    item = call("GET", f"/v1/backends/{backend}/plan", api_key)
    if as_json:
        print_json(item)
        return
    where = ", ".join(item["devices"])
    source = "measured" if item["is_measured"] else "reckoned"
    print(f"{backend}: {item['verdict']}; needs {gibibytes(item['need_bytes'])} on {where} ({source})")
    if item["evicts"]:
        print(f"  would displace {', '.join(item['evicts'])}")
    if item["detail"]:
        print(f"  {item['detail']}")
    if item["load_s"] is not None:
        print(f"  the last load took {item['load_s']:.1f} s")


def devices(api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Show the memory of the machine and of its GPUs, and who holds it."""
    items = call("GET", "/v1/devices", api_key)["items"]
    if as_json:
        print_json(items)
        return
    titles = ("DEVICE", "BUDGET", "USED", "FREE", "HELD BY", "WAITING")
    print_table(titles, map(_device_row, items), "The server has no devices.")


def _device_row(item: Mapping[str, Any]) -> tuple[str | None, ...]:
    held = [f"{one['backend_id']} {gibibytes(one['size_bytes'])}" for one in item["holdings"]]
    sizes = (gibibytes(item[name]) for name in ("budget_bytes", "used_bytes", "free_bytes"))
    return (item["device"], *sizes, ", ".join(held) or None, ", ".join(item["waiting"]) or None)


def _change(backend: str, action: str, api_key: str | None, as_json: bool) -> None:
    item = call("POST", f"/v1/backends/{backend}/{action}", api_key)
    if as_json:
        print_json(item)
    else:
        print(f"{backend}: {item.get('state', 'unknown')}; `hearth ps` shows how it goes on")


def _backend_row(item: Mapping[str, Any]) -> tuple[str | Text | None, ...]:
    since, pid = item.get("since"), item.get("pid")
    return (
        item["id"],
        _state(item),
        None if since is None else ago(datetime.fromisoformat(since)),
        None if pid is None else str(pid),
        *(str(item.get(name, 0)) for name in ("in_flight", "waiting")),
        _batch(item),
        str(item.get("restarts", 0)),
        gibibytes(item.get("rss_bytes")),
        item.get("last_error"),
    )


def _batch(item: Mapping[str, Any]) -> str:
    """Requests of batches: those that run, and those that wait."""
    return f"{item.get('batch_in_flight', 0)}+{item.get('batch_waiting', 0)}"


def _state(item: Mapping[str, Any]) -> Text:
    state = str(item.get("state", "unknown"))
    detail = item.get("detail") or item.get("state_detail")
    return Text(f"{state}: {detail}" if detail else state, style=_COLOURS.get(state, "yellow"))


def _licence(item: Mapping[str, Any]) -> str | None:
    licence = item.get("licence")
    return None if licence is None else str(licence)
