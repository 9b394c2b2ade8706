"""Talks to the running server as any client does: HTTP and a key. Knows no part of the server from inside."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

import httpx
import typer

from server.cli.terminal import fail, load_settings_or_fail
from server.settings import Settings
from server.settings_sources import CLIENT_KEY_VARIABLE

TIMEOUT_S = 30.0
STREAM_TIMEOUT_S = 600.0  # a cold model may take minutes to its first word
ApiKey = Annotated[
    str | None, typer.Option("--api-key", envvar=CLIENT_KEY_VARIABLE, help="Key to use.", show_default=False)
]


def call(method: str, path: str, api_key: str | None, body: dict[str, Any] | None = None) -> Any:
    """The `data` of the server's answer, as JSON values. Ends the command when there is none."""
    with connect(api_key, TIMEOUT_S) as client:
        return data_of(client.request(method, path, json=body), str(client.base_url))


def stream(path: str, body: dict[str, Any], api_key: str | None) -> Generator[dict[str, Any], None, None]:
    """Each event of the server's answer, as JSON values. Ends the command when one tells a failure."""
    with connect(api_key, STREAM_TIMEOUT_S) as client, client.stream("POST", path, json=body) as response:
        if not response.is_success:
            response.read()
            fail(problem_of(response, str(client.base_url)))
        for line in response.iter_lines():
            text = line.removeprefix("data: ")
            if text == line or text == "[DONE]":
                continue
            event = json.loads(text)
            if "error" in event:
                fail(f"{event['error']['message']} ({event['error']['code']})")
            yield event


class Offline(NamedTuple):
    """There is no answer, and why."""

    reason: str


def ask_if_running(path: str, api_key: str | None) -> Any:
    """As `call` with GET, but Offline where no server answers or no key is at hand. Ends the command when refused."""
    address = server_address(load_settings_or_fail())
    if api_key is None:
        return Offline(f"no key in {CLIENT_KEY_VARIABLE} to ask the server with")
    headers = {"Authorization": f"Bearer {api_key}"}
    try:
        with httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
            return data_of(client.get(path), address)
    except httpx.TransportError:
        return Offline(f"no server answers at {address}")


@contextmanager
def connect(api_key: str | None, timeout_s: float) -> Iterator[httpx.Client]:
    """A client of the running server. Ends the command when none answers."""
    address = server_address(load_settings_or_fail())
    if api_key is None:
        fail(
            f"this needs a key: set {CLIENT_KEY_VARIABLE}, or make one with `hearth keys create NAME --admin`"
        )
    headers = {"Authorization": f"Bearer {api_key}"}
    try:
        with httpx.Client(base_url=address, headers=headers, timeout=timeout_s, trust_env=False) as client:
            yield client
    except httpx.TransportError as error:
        fail(f"no server answers at {address} ({type(error).__name__}): start it with `hearth serve`")


def server_address(settings: Settings) -> str:
    """Where this machine reaches the server; one that listens on every address is reached on loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def data_of(response: httpx.Response, address: str) -> Any:
    """Ends the command when the server refused."""
    try:
        if response.is_success:
            return response.json()["data"]
    except (ValueError, KeyError, TypeError):
        fail(_stranger(response, address))
    fail(problem_of(response, address))


def problem_of(response: httpx.Response, address: str) -> str:
    """The server's refusal in its own words, of either dialect."""
    try:
        error = response.json()["error"]
        problem = f"{error['message']} ({error['code']})"
    except (ValueError, KeyError, TypeError):
        return _stranger(response, address)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        problem += f": is the key in {CLIENT_KEY_VARIABLE} right? `hearth keys list` shows which exist"
    if response.status_code == httpx.codes.FORBIDDEN:
        problem += "; `hearth keys list` shows what a key may do, `hearth keys create NAME --admin` makes one for all"
    return problem


def _stranger(response: httpx.Response, address: str) -> str:
    return f"what answers at {address} is not a Hearth server (status {response.status_code})"


def events(client: httpx.Client, name: str) -> Iterator[Mapping[str, Any]]:
    """What `GET /v1/events` tells under this name, as it comes. Ends the command when the server refuses."""
    with client.stream("GET", "/v1/events") as response:
        if not response.is_success:
            response.read()
            fail(problem_of(response, str(client.base_url)))
        event = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: ") and event == name:
                yield json.loads(line.removeprefix("data: "))
