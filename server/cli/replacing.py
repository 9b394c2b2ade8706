"""`hearth load --replace`: has a backend replaced by what its file says now, and tells how that goes."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from server.cli.client import connect, data_of, events
from server.cli.terminal import fail, print_json

SILENCE_S = 60.0  # the server pings every 15
EVENT = "backend.replacement"
FAILED = "failed"
GONE = frozenset({"done", FAILED})
SERVES = GONE | {"draining"}
Status = Mapping[str, Any]


def replace_backends(backend_ids: Sequence[str], api_key: str | None, as_json: bool) -> None:
    """One after the other. Ends the command with status 1 at the first whose old version stays."""
    *first, last = backend_ids
    with connect(api_key, SILENCE_S) as client:
        for backend_id in first:
            _replace(client, backend_id, GONE, as_json)
        _replace(client, last, SERVES, as_json)


def _replace(client: httpx.Client, backend_id: str, ends: frozenset[str], as_json: bool) -> None:
    answer = client.post(f"/v1/backends/{backend_id}/load?replace=true")
    number = data_of(answer, str(client.base_url))["replacement"]["number"]
    say = _silent if as_json else _lines(backend_id)
    status = _follow(client, backend_id, number, ends, say)
    if as_json:
        print_json(status)
    if status["state"] == FAILED:
        fail(f"{backend_id}: the version before goes on serving: {status['error']}")
    if not as_json:
        print(f"{backend_id}: the new version serves")


def _follow(
    client: httpx.Client, backend_id: str, number: int, ends: frozenset[str], say: Callable[[Status], None]
) -> Status:
    """The status of this replacement once it is in one of `ends`. Ends the command if the server ends before."""
    for status in events(client, EVENT):
        if (status["backend_id"], status["number"]) != (backend_id, number):
            continue
        say(status)
        if status["state"] in ends:
            return status
    fail(f"{backend_id}: the server ended before the new version served")


def _silent(status: Status) -> None:
    """Says nothing."""


def _lines(backend_id: str) -> Callable[[Status], None]:
    """One line for each phase, with the seconds since the beginning."""
    begun = time.monotonic()

    def say(status: Status) -> None:
        detail = f": {status['detail']}" if status["detail"] else ""
        print(f"  {time.monotonic() - begun:4.0f} s  {backend_id}: {status['state']}{detail}", flush=True)

    return say
