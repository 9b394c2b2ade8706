"""`hearth list`, `stop`, `sleep`, `pin`, `devices`: what models there are, and how one's place in memory is changed."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from engines.contract.spec import BackendSpec
from server.cli.client import ApiKey, Offline, ask_if_running, call
from server.cli.naming import Name, find_backends, title
from server.cli.offline import read_specs, tell_offline
from server.cli.terminal import AsJson, gibibytes, load_settings_or_fail, print_json, print_table

models_app = typer.Typer(help="Show the models that clients can name.")
_COLOURS = {"ready": "green", "failed": "red", "stopped": "dim", "asleep": "blue"}
_MAX_LISTED = 200  # as many as the server gives at once


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Show the models that clients can name."""
    if context.invoked_subcommand is None:
        list_models(api_key, as_json)


@models_app.command("list")
def list_models(api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Show the models that clients can name; without a running server those of the model files."""
    items = _listed(api_key)
    if as_json:
        print_json(items)
        return
    rows = [
        (
            item["slug"],
            item["modality"],
            None if item["context_window"] is None else str(item["context_window"]),
            state_of(item),
            item.get("licence"),
        )
        for item in items
    ]
    empty = (
        "There are no models: `hearth pull ORG/NAME` gets one, `hearth add FOLDER` takes one from the disk."
    )
    print_table(("MODEL", "MODALITY", "CONTEXT", "STATE", "LICENCE"), rows, empty, spare=("CONTEXT",))


def _listed(api_key: str | None) -> list[dict[str, Any]]:
    found = ask_if_running(f"/v1/models?limit={_MAX_LISTED}", api_key)
    if isinstance(found, Offline):
        settings = load_settings_or_fail()
        tell_offline(found, settings)
        return list(_written(read_specs(settings)))
    items: list[dict[str, Any]] = found["items"]
    return items


def _written(specs: Iterable[BackendSpec]) -> Iterable[dict[str, Any]]:
    for spec in specs:
        for frontend in spec.frontends:
            yield {
                "slug": frontend.slug,
                "modality": spec.modality.value,
                "context_window": spec.context_window,
                "licence": spec.licence,
                "state": None,
            }


def stop(model: Name, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Let a model's running requests end, then end its worker. Its next request loads it again."""
    change(model, "stop", api_key, as_json)


def unload(model: Name, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """The same as stop."""
    change(model, "stop", api_key, as_json)


def sleep(model: Name, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Let a model fall asleep: it frees memory, and is back sooner than after a stop."""
    change(model, "sleep", api_key, as_json)


def pin(
    model: Name,
    off: Annotated[bool, typer.Option("--off", help="Let it give way to others again.")] = False,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Keep a model loaded, once it is, whatever else wants its memory."""
    change(model, "unpin" if off else "pin", api_key, as_json)


def change(name: str, action: str, api_key: str | None, as_json: bool) -> None:
    """Has the server do something to the backends of a name, and shows what they are then."""
    backends = find_backends(name, api_key)
    items = [call("POST", f"/v1/backends/{one['id']}/{action}", api_key) for one in backends]
    if as_json:
        print_json(items[0] if len(items) == 1 else items)
        return
    for item in items:
        pinned = ", pinned" if item.get("is_pinned") else ""
        print(f"{title(item)}: {item.get('state', 'unknown')}{pinned}; `hearth ps` shows how it goes on")


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


def state_of(item: Mapping[str, Any]) -> Text | None:
    """Any state that the server may name; those without a colour of their own are on their way to another."""
    state = item.get("state")
    if state is None:
        return None
    detail = item.get("detail") or item.get("state_detail")
    words = str(state).replace("_", " ")
    return Text(f"{words}: {detail}" if detail else words, style=_COLOURS.get(str(state), "yellow"))
