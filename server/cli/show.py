"""`hearth show`: all that is known of one model; from its file where no server runs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.text import Text

from engines.contract.memory import weights_size_bytes
from engines.contract.spec import BackendSpec
from server.cli.client import ApiKey, Offline, ask_if_running, call, server_address
from server.cli.naming import Name, choose
from server.cli.offline import as_item, read_specs, tell_offline
from server.cli.ps import kept
from server.cli.terminal import AsJson, console, gibibytes, load_settings_or_fail, print_json
from server.cli.unloaded import plan_unloaded
from server.settings import Settings
from server.settings_sources import CLIENT_KEY_VARIABLE
from server.weights.model_lock import LOCK_NAME, read_lock
from server.weights.problem import WeightsError

Item = Mapping[str, Any]
_BODIES = {
    "chat": ("chat/completions", '"messages": [{"role": "user", "content": "Hello!"}]'),
    "embedding": ("embeddings", '"input": "Hello!"'),
    "rerank": ("rerank", '"query": "bread", "documents": ["Knead the dough.", "The night train."]'),
    "image": ("images/generations", '"prompt": "a red circle on a blue background"'),
}


def show(model: Name, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Show what a model is, its engine, options, limits, state and memory, its weights, and how to call it."""
    items = _described(model, api_key)
    for item in items:
        item["weights"] = _weights(Path(item["configuration"]["weights"]))
        item["example"] = _example(item)
    if as_json:
        print_json(items[0] if len(items) == 1 else items)
        return
    for item in items:
        _print(item)


def _described(name: str, api_key: str | None) -> list[dict[str, Any]]:
    found = ask_if_running("/v1/backends", api_key)
    if isinstance(found, Offline):
        settings = load_settings_or_fail()
        tell_offline(found, settings)
        specs = {spec.id: spec for spec in read_specs(settings)}
        chosen = choose(name, [as_item(spec) for spec in specs.values()])
        return [_reckoned(specs[one["id"]], settings) for one in chosen]
    return [call("GET", f"/v1/backends/{one['id']}", api_key) for one in choose(name, found["items"])]


def _reckoned(spec: BackendSpec, settings: Settings) -> dict[str, Any]:
    plan = plan_unloaded([spec], settings)["items"][0]
    need = {"need_bytes": plan["need_bytes"], "is_need_measured": plan["is_measured"]}
    return as_item(spec) | need | {"configuration": msgspec.to_builtins(spec)}


def _weights(folder: Path) -> dict[str, Any]:
    """What this machine can see of them; the server's may be another."""
    found: dict[str, Any] = {"folder": str(folder), "size_bytes": None, "lock": None}
    if not folder.is_dir():
        return found
    found["size_bytes"] = weights_size_bytes(str(folder))
    try:
        lock = read_lock(folder)
    except WeightsError as error:
        found["lock_problem"] = str(error)
        return found
    if lock is not None:
        names = ("hub", "model", "commit", "licence")
        found["lock"] = {name: getattr(lock, name) for name in names} | {"files": len(lock.files)}
    return found


def _example(item: Item) -> str:
    address = server_address(load_settings_or_fail())
    slug, configuration = item["models"][0], item["configuration"]
    head = f"curl {address}/oai/v1"
    key = f'-H "Authorization: Bearer ${CLIENT_KEY_VARIABLE}"'
    if configuration["modality"] == "audio" and configuration["capabilities"]["transcribe"]:
        return f"{head}/audio/transcriptions {key} -F model={slug} -F file=@speech.wav"
    path, body = _BODIES.get(configuration["modality"], ("audio/speech", '"input": "The kettle is on."'))
    output = " -o speech.mp3" if path == "audio/speech" else ""
    kind = '-H "Content-Type: application/json"'
    return f"""{head}/{path} {key} {kind} -d '{{"model": "{slug}", {body}}}'{output}"""


def _print(item: Item) -> None:
    screen = console()
    for frontend in item["configuration"]["frontends"]:
        words = [frontend[name] for name in ("display_name", "description") if frontend.get(name)]
        screen.print(Text(frontend["slug"], "bold").append(_after(words), "default"), soft_wrap=True)
    for name, text in _lines(item):
        screen.print(f"  {name:<14}{text}", soft_wrap=True)
    screen.print(f"\n{item['example']}\n", soft_wrap=True)


def _after(words: list[str]) -> str:
    return "".join(f"  {word}" for word in words)


def _lines(item: Item) -> Iterator[tuple[str, str]]:
    configuration = item["configuration"]
    yield "backend", f"{item['id']}, engine {configuration['engine']}, {configuration['modality']}"
    yield "state", _state(item)
    if item.get("last_error"):
        yield "last error", item["last_error"]
    yield "device", configuration["device"]
    yield "memory", _memory(item)
    if configuration["context_window"] is not None:
        answer = configuration["max_output_tokens"]
        yield (
            "context",
            f"{configuration['context_window']} tokens" + (f", answers up to {answer}" if answer else ""),
        )
    able = [name for name, is_on in configuration["capabilities"].items() if is_on]
    if configuration["modality"] != "chat":  # the default of chat models, which means nothing elsewhere
        able = [name for name in able if name != "structured_output"]
    yield "capabilities", ", ".join(able) or "none"
    yield "limits", _pairs(configuration["limits"])
    yield "options", _pairs(configuration["options"]) or "all at their defaults"
    yield "stays loaded", _stay(configuration)
    yield "licence", configuration["licence"]
    yield from _weight_lines(item["weights"])


def _state(item: Item) -> str:
    if "state" not in item:
        return "unknown: no server was asked"
    state = str(item["state"]).replace("_", " ")
    parts = [f"{state}: {item['detail']}" if item.get("detail") else state]
    if stay := kept(item):
        parts.append(f"kept: {stay}")
    if item.get("in_flight") or item.get("waiting"):
        parts.append(f"{item.get('in_flight', 0)} requests run, {item.get('waiting', 0)} wait")
    return ", ".join(parts)


def _memory(item: Item) -> str:
    source = "measured" if item.get("is_need_measured") else "reckoned from its files"
    held = gibibytes(item.get("device_bytes") or item.get("rss_bytes"))
    return f"needs {gibibytes(item['need_bytes'])} ({source})" + (
        f", holds {held}" if held else "; `hearth plan` takes it apart"
    )


def _stay(configuration: Item) -> str:
    if configuration["pinned"]:
        return "always (pinned)"
    loaded = "from the start" if configuration["preload"] else "from its first request"
    keep_alive = configuration["keep_alive"]
    stays = "until its memory is needed" if keep_alive == -1 else f"keep_alive {keep_alive}"
    return f"{loaded}, {stays}, priority {configuration['priority']}"


def _weight_lines(weights: Item) -> Iterator[tuple[str, str]]:
    size = gibibytes(weights["size_bytes"])
    yield "weights", f"{weights['folder']} ({size or 'not on this machine'})"
    if weights.get("lock_problem"):
        yield LOCK_NAME, weights["lock_problem"]
    elif weights["lock"] is not None:
        lock = weights["lock"]
        source = f"{lock['model']} at {lock['commit']}" if lock["hub"] else "hashed on this machine"
        yield LOCK_NAME, f"{source}, {lock['files']} files, licence {lock['licence']}"


def _pairs(values: Item) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
