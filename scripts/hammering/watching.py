"""What the server itself tells while it is hammered: its ledger, its changes of state, its counters. Judges nothing."""

import contextlib
import http.client
import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from proof import api
from proof.api import Address, Unanswered

EVERY_S = 0.25
_COUNTED = re.compile(
    r'^hearth_evictions_total\{backend_id="([^"]+)",cause="([^"]+)"\} ([0-9.e+]+)$', re.MULTILINE
)


@dataclass(frozen=True)
class Change:
    at: float
    backend_id: str
    state: str
    detail: str

    @property
    def evicted_for(self) -> str | None:
        """The backend that wanted its memory; None if this is no eviction."""
        gone = self.state in ("draining", "falling_asleep") and self.detail.startswith("gives way to ")
        return self.detail.removeprefix("gives way to ") if gone else None


@dataclass(frozen=True)
class Ledger:
    at: float
    used_bytes: int
    held_bytes: dict[str, int]


class Watcher:
    """Listens to the event feed and looks at the ledger, in two threads."""

    def __init__(self, server: Address) -> None:
        self.changes: list[Change] = []
        self.ledger: list[Ledger] = []
        self.interruptions = 0
        self._server = server
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._look)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """The feed is heard to the end of what it tells within its next line; do not wait for that."""
        self._ends.set()
        self._threads[1].join()

    def _listen(self) -> None:
        while not self._ends.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._follow()
            self.interruptions += not self._ends.is_set()
            self._ends.wait(0.2)

    def _follow(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {self._server.key}"})
            answer = connection.getresponse()
            while not self._ends.is_set() and (line := answer.readline()):
                if line.startswith(b"data: {"):
                    told = json.loads(line[6:])
                    change = Change(
                        time.monotonic(), told["backend_id"], told["state"], told.get("detail") or ""
                    )
                    self.changes.append(change)

    def _look(self) -> None:
        while not self._ends.is_set():
            with contextlib.suppress(Unanswered):
                self.ledger.append(ledger(self._server))
            self._ends.wait(EVERY_S)


def ledger(server: Address) -> Ledger:
    items = api.call(server, "GET", "/v1/devices").data["items"]
    cpu = next(item for item in items if item["device"] == "cpu")
    held = {holding["backend_id"]: holding["size_bytes"] for holding in cpu["holdings"]}
    return Ledger(time.monotonic(), cpu["used_bytes"], held)


def backends(server: Address) -> dict[str, dict[str, Any]]:
    items = api.call(server, "GET", "/v1/backends").data["items"]
    return {item["backend_id"]: item for item in items}


def plan(server: Address, backend_id: str) -> dict[str, Any]:
    """What a load of it takes, and whether that was measured."""
    return api.call(server, "GET", f"/v1/backends/{backend_id}/plan").data


def counted_evictions(server: Address) -> Counter[tuple[str, str]]:
    """By backend and cause, from /metrics."""
    page = api.call(server, "GET", "/metrics").content.decode()
    return Counter({(name, cause): int(float(number)) for name, cause, number in _COUNTED.findall(page)})
