"""`hearth plan`: what loading a model would take and do; by the running server, or reckoned for this machine."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from server.catalog.reader import SUFFIXES
from server.cli.client import ApiKey, Offline, ask_if_running
from server.cli.naming import choose, complete_name, title
from server.cli.offline import read_specs, specs_of
from server.cli.terminal import (
    AsJson,
    console,
    fail,
    gibibytes,
    length,
    load_settings_or_fail,
    note,
    print_json,
    print_table,
)
from server.cli.unloaded import plan_unloaded

Item = Mapping[str, Any]
TITLES = (
    "MODEL",
    "VERDICT",
    "NEEDS",
    "KNOWN",
    "WEIGHTS",
    "KV CACHE",
    "WORKING",
    "PROCESS",
    "DEVICE",
    "LOADS IN",
)
SPARE = ("PROCESS", "WORKING", "KV CACHE", "WEIGHTS")
_PARTS = {
    "weights_bytes": "weights",
    "kv_cache_bytes": "KV cache",
    "activations_bytes": "working memory",
    "overhead_bytes": "the process",
}


def plan(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL|FILE",
            help="A model, a backend or a model file; without it all models.",
            autocompletion=complete_name,
        ),
    ] = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show what loading would take and whom it would displace. Nothing is done. Needs no running server.

    The status is 1 if a model that was named can never fit.
    """
    found = _plan_file(Path(what)) if what is not None and Path(what).suffix in SUFFIXES else _plan(api_key)
    items = found["items"]
    if what is None:
        print_json(found) if as_json else _print_all(found)
        return
    chosen = items
    if Path(what).suffix not in SUFFIXES:
        chosen = choose(what, [item | {"id": item["backend_id"]} for item in items])
    if as_json:
        print_json(chosen[0] if len(chosen) == 1 else chosen)
    else:
        for item in chosen:
            _print_one(item, found["devices"])
    if any(item["verdict"] == "never" for item in chosen):
        raise typer.Exit(1)


def _plan_file(file: Path) -> Any:
    if not file.is_file():
        fail(f"there is no file {file}")
    specs = specs_of([file])
    if not specs:
        raise typer.Exit(1)  # the mistakes in it were told
    note(f"{file.name} by itself, on this machine with nothing loaded")
    return plan_unloaded(specs, load_settings_or_fail())


def _plan(api_key: str | None) -> Any:
    found = ask_if_running("/v1/plan", api_key)
    if not isinstance(found, Offline):
        return found
    settings = load_settings_or_fail()
    note(f"{found.reason}; reckoned for this machine with nothing loaded, from {settings.models_dir}")
    return plan_unloaded(read_specs(settings), settings)


def _print_all(found: Item) -> None:
    items = found["items"]
    print_table(
        TITLES, map(_row, items), "There are no models: `hearth pull ORG/NAME` gets one.", spare=SPARE
    )
    if not items:
        return
    print()
    for line in _together(found):
        console().print(line, soft_wrap=True)
    for item in items:
        for line in _consequences(item):
            console().print(f"{title(item)}: {line}", soft_wrap=True)


def _row(item: Item) -> Sequence[str | None]:
    parts = item["parts"] or {}
    return (
        title(item),
        item["verdict"],
        gibibytes(item["need_bytes"]),
        "measured" if item["is_measured"] else "reckoned",
        *(gibibytes(parts.get(name)) for name in _PARTS),
        ",".join(item["devices"]),
        length(item["expected_load_s"]) + ("" if item["is_load_measured"] else " (reckoned)"),
    )


def _together(found: Item) -> Iterator[str]:
    names = {item["backend_id"]: title(item) for item in found["items"]}
    together = found["together"]
    order = ", ".join(names[one] for one in together["order"]) or "none"
    yield f"Resident at once, in this order: {order}"
    for device, used in together["used_bytes"].items():
        if used:
            yield f"  {device}: {gibibytes(used)} of {gibibytes(found['devices'][device])}"
    if together["left_out"]:
        yield "Each of these needs room that others hold then: " + ", ".join(
            names[one] for one in together["left_out"]
        )


def _consequences(item: Item) -> Iterator[str]:
    if item["evicts"]:
        yield f"would displace {', '.join(item['evicts'])}"
    if item["detail"] and item["verdict"] != "loaded":
        yield item["detail"]
    for one in item["suggestions"]:
        yield (
            f"would fit with {one['key']}: {one['value']} ({_mebibytes(one)}now {one['now']}),"
            f" which needs {gibibytes(one['need_bytes'])}"
        )


def _mebibytes(suggestion: Item) -> str:
    return f"{suggestion['value'] // 2**20} MiB; " if suggestion["key"].endswith("_bytes") else ""


def _print_one(item: Item, budgets: Mapping[str, int]) -> None:
    screen = console()
    screen.print(f"{title(item)}: {item['verdict']}", style="bold", soft_wrap=True)
    for line in _lines(item, budgets):
        screen.print(f"  {line}", soft_wrap=True)


def _lines(item: Item, budgets: Mapping[str, int]) -> Iterator[str]:
    source = "measured" if item["is_measured"] else "reckoned"
    for device in item["devices"]:
        budget = gibibytes(budgets.get(device)) or "unknown"
        yield f"needs {gibibytes(item['need_bytes'])} on {device} ({source}), whose budget is {budget}"
    if item["parts"] is not None:
        parts = [
            f"{gibibytes(item['parts'][name])} {what}" for name, what in _PARTS.items() if item["parts"][name]
        ]
        yield f"reckoned as {', '.join(parts)}"
    else:
        yield "could not be reckoned: no weights, or none that its engine reads"
    yield f"loads in about {length(item['expected_load_s'])}" + (
        " (as the last time)" if item["is_load_measured"] else " (reckoned from the bytes on disk)"
    )
    yield from _consequences(item)
    yield f"{item['engine']} gets:"
    for name, value in item["arguments"].items():
        yield f"  {name}={value}"
