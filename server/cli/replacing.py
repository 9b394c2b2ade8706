"""`hearth load --replace`: has a backend replaced by what its file says now, and tells how that goes."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from server.cli.client import connect, data_of, problem_of
from server.cli.terminal import fail, print_json

SILENCE_S = 60.0  # the server pings every 15
EVENT = "backend.replacement"
SERVES = frozenset({"draining", "done"})
_BACKEND_ID = re.compile(r"be_[a-z0-9_]+")
Status = Mapping[str, Any]


def replace_backend(name: str, api_key: str | None, as_json: bool) -> None:
    """`name` is a backend's id or a model's. Ends the command with status 1 if the old version stays."""
    with connect(api_key, SILENCE_S) as client:
        card = data_of(client.post(f"{_path(name)}/load?replace=true"), str(client.base_url))
        say = _silent if as_json else _lines(card["id"])
        status = _follow(client, card["id"], card["replacement"]["number"], say)
    if as_json:
        print_json(status)
    if status["state"] not in SERVES:
        fail(f"{card['id']}: the version before goes on serving: {status['error']}")
    if not as_json:
        print(f"{card['id']}: the new version serves")


def _path(name: str) -> str:
    return f"/v1/backends/{name}" if _BACKEND_ID.fullmatch(name) else f"/v1/models/{name}"


def _follow(client: httpx.Client, backend_id: str, number: int, say: Callable[[Status], None]) -> Status:
    """The status of this replacement once it is decided. Ends the command if the server ends before."""
    with client.stream("GET", "/v1/events") as response:
        if not response.is_success:
            response.read()
            fail(problem_of(response, str(client.base_url)))
        for status in _statuses(response.iter_lines()):
            if (status["backend_id"], status["number"]) != (backend_id, number):
                continue
            say(status)
            if status["state"] in SERVES or status["state"] == "failed":
                return status
    fail(f"{backend_id}: the server ended before the new version served")


def _statuses(lines: Iterator[str]) -> Iterator[Status]:
    event = ""
    for line in lines:
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: ") and event == EVENT:
            yield json.loads(line.removeprefix("data: "))


def _silent(status: Status) -> None:
    """Says nothing."""


def _lines(backend_id: str) -> Callable[[Status], None]:
    """One line for each phase, with the seconds since the beginning."""
    begun = time.monotonic()

    def say(status: Status) -> None:
        detail = f": {status['detail']}" if status["detail"] else ""
        print(f"  {time.monotonic() - begun:4.0f} s  {backend_id}: {status['state']}{detail}", flush=True)

    return say
