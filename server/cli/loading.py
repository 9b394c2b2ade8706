"""`hearth load`: has a model loaded and tells how it goes until it is ready or has failed."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from server.cli.client import ApiKey, call, connect, events
from server.cli.naming import Name, find_backends, title
from server.cli.replacing import replace_backends
from server.cli.terminal import AsJson, error_console, fail, gibibytes, length, print_json

SILENCE_S = 60.0  # the server pings every 15
INTERRUPTED_STATUS = 130
_EVENT = "backend.state"
_GIVEN_UP = frozenset({"failed", "stopped"})

Change = Mapping[str, Any]
Say = Callable[[str], None]


def load(
    model: Name,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait until it is ready.")] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Read its file again; the new version takes over once it has answered a probe."
        ),
    ] = False,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Load a model now instead of at its first request. The status is 1 if it fails; progress is on stderr."""
    backends = find_backends(model, api_key)
    if replace:
        return replace_backends([one["id"] for one in backends], api_key, as_json)
    begun = time.monotonic()
    if not detach:
        for one in backends:
            _tell_plan(one, api_key)
    items = [call("POST", f"/v1/backends/{one['id']}/load", api_key) for one in backends]
    if not detach:
        follow({one["id"]: title(one) for one in backends}, api_key)
        items = [call("GET", f"/v1/backends/{one['id']}", api_key) for one in backends]
    if as_json:
        print_json(items[0] if len(items) == 1 else items)
    elif detach:
        for item in items:
            print(f"{title(item)}: {item.get('state', 'unknown')}; `hearth ps` shows how it goes on")
    else:
        print(f"{title(items[0])} is ready after {length(time.monotonic() - begun)}")


def _tell_plan(backend: Change, api_key: str | None) -> None:
    plan = call("GET", f"/v1/backends/{backend['id']}/plan", api_key)
    if plan["verdict"] == "loaded":
        return
    source = "measured" if plan["is_measured"] else "reckoned"
    time_source = "as the last time" if plan["is_load_measured"] else "reckoned"
    parts = [f"needs {gibibytes(plan['need_bytes'])} on {', '.join(plan['devices'])} ({source})"]
    parts.append(f"about {length(plan['expected_load_s'])} ({time_source})")
    if plan["evicts"]:
        parts.append(f"{', '.join(plan['evicts'])} will give way")
    error_console().print(f"{title(backend)}: {'; '.join(parts)}", soft_wrap=True)


def follow(names: Mapping[str, str], api_key: str | None) -> None:
    """Until all of these backends are ready. Ends the command when one fails, or at Ctrl-C."""
    try:
        with shown_progress(error_console()) as progress, connect(api_key, SILENCE_S) as client:
            given_up = _follow(names, events(client, _EVENT), progress)
        if given_up is not None:
            fail(_why(names[given_up], call("GET", f"/v1/backends/{given_up}", api_key)))
    except KeyboardInterrupt:
        fail("it goes on loading; `hearth ps` shows how, `hearth stop` ends it", status=INTERRUPTED_STATUS)


def _follow(names: Mapping[str, str], changes: Iterator[Change], progress: "LoadProgress") -> str | None:
    """The id of the one that will not be ready; None when all are. Ends the command when the server ends."""
    waited_for = set(names)
    known: dict[str, str] = {}
    for change in changes:
        backend_id, state = change["backend_id"], str(change["state"])
        if backend_id in names:
            progress.tell(names[backend_id], state, change.get("detail"))
            if state == "ready":
                waited_for.discard(backend_id)
            if not waited_for:
                return None
            if state in _GIVEN_UP and backend_id in waited_for:
                return str(backend_id)
        elif known.get(backend_id) not in (None, state):
            progress.tell(backend_id, state, change.get("detail"), is_other=True)
        known[backend_id] = state
    fail("the server ended before the model was ready")


def _why(name: str, card: Change) -> str:
    if card.get("last_error") is None:
        return f"{name} was stopped before it was ready"
    return f"{name} failed: {card['last_error']}; `hearth logs {name}` has what its worker wrote"


class LoadProgress:
    """A line for every phase, with the seconds since the beginning; on a terminal what is going on below them."""

    def __init__(self, screen: Console, bars: Progress | None, clock: Callable[[], float]) -> None:
        self._screen = screen
        self._bars = bars
        self._task = None if bars is None else bars.add_task("", total=None)
        self._clock = clock
        self._begun = clock()
        self._said: dict[str, str] = {}

    def tell(self, name: str, state: str, detail: str | None, *, is_other: bool = False) -> None:
        words = state.replace("_", " ")
        text = f"{name}: {words}: {detail}" if detail else f"{name}: {words}"
        if self._said.get(name) == text:
            return
        self._said[name] = text
        self._screen.print(f"{self._clock() - self._begun:5.1f} s  {text}", soft_wrap=True)
        if self._bars is not None and self._task is not None and not is_other:
            self._bars.reset(self._task, description=text)


@contextmanager
def shown_progress(screen: Console, clock: Callable[[], float] = time.monotonic) -> Iterator[LoadProgress]:
    if not screen.is_terminal:
        yield LoadProgress(screen, None, clock)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, refresh_per_second=4) as bars:
        yield LoadProgress(screen, bars, clock)
