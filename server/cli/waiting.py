"""Tells how a model comes up while a request waits for it. Only asks what any key may: the model's card."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from server.cli.client import TIMEOUT_S, server_address
from server.cli.loading import LoadProgress, shown_progress
from server.cli.terminal import error_console, load_settings_or_fail

PERIOD_S = 0.5
Card = Mapping[str, Any]


@contextmanager
def told_while_waiting(card: Card, api_key: str | None) -> Iterator[Callable[[], None]]:
    """Yields what to call when the waiting is over; leaving calls it too. A model that is ready needs no telling."""
    if card.get("state") in (None, "ready"):
        yield lambda: None
        return
    is_over = threading.Event()
    watching = threading.Thread(target=_watch, args=(card, api_key, is_over))

    def end() -> None:
        is_over.set()
        if watching.is_alive():
            watching.join()

    watching.start()
    try:
        yield end
    finally:
        end()


def _watch(card: Card, api_key: str | None, is_over: threading.Event) -> None:
    address, headers = server_address(load_settings_or_fail()), {"Authorization": f"Bearer {api_key}"}
    with (
        shown_progress(error_console()) as progress,
        httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client,
    ):
        while not is_over.wait(PERIOD_S):
            _look(client, card["slug"], progress)


def _look(client: httpx.Client, slug: str, progress: LoadProgress) -> None:
    """What goes wrong here the request itself will tell."""
    try:
        response = client.get(f"/v1/models/{slug}")
        now = response.json()["data"]
        if now.get("state") is not None:
            progress.tell(slug, str(now["state"]), now.get("state_detail"))
    except (httpx.TransportError, ValueError, KeyError, TypeError, AttributeError):
        return
