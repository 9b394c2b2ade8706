"""Talks to the running server as any client does: HTTP and a key. Knows no part of the server from inside."""

from typing import Annotated, Any

import httpx
import typer

from server.cli.terminal import fail, load_settings_or_fail
from server.settings import CLIENT_KEY_VARIABLE, Settings

TIMEOUT_S = 30.0
ApiKey = Annotated[
    str | None, typer.Option("--api-key", envvar=CLIENT_KEY_VARIABLE, help="Key to use.", show_default=False)
]


def call(method: str, path: str, api_key: str | None) -> Any:
    """The `data` of the server's answer, as JSON values. Ends the command when there is none."""
    address = server_address(load_settings_or_fail())
    if api_key is None:
        fail(
            f"this needs a key: set {CLIENT_KEY_VARIABLE}, or make one with `hearth keys create NAME --admin`"
        )
    headers = {"Authorization": f"Bearer {api_key}"}
    try:
        with httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
            response = client.request(method, path)
    except httpx.TransportError as error:
        fail(f"no server answers at {address} ({type(error).__name__}): start it with `hearth serve`")
    return _data(response, address)


def server_address(settings: Settings) -> str:
    """Where this machine reaches the server; one that listens on every address is reached on loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _data(response: httpx.Response, address: str) -> Any:
    try:
        body = response.json()
        if response.is_success:
            return body["data"]
        error = body["error"]
        problem = f"{error['message']} ({error['code']})"
    except (ValueError, KeyError, TypeError):
        fail(f"what answers at {address} is not a Hearth server (status {response.status_code})")
    if response.status_code == httpx.codes.UNAUTHORIZED:
        problem += f": is the key in {CLIENT_KEY_VARIABLE} right? `hearth keys list` shows which exist"
    fail(problem)
