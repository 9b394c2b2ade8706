"""`hearth load --replace` against a small HTTP server: whom it replaces, what it says, how it ends."""

import json
from collections.abc import Iterator

import pytest

from tests.server.cli.conftest import Hearth, QuietHandler, serving

BACKENDS = [
    {"id": "be_a_1", "models": ["acme/a"]},
    {"id": "be_a_2", "models": ["acme/a"]},
    {"id": "be_b", "models": ["acme/b"]},
]


class ReplacingServer:
    """`states` are what each replacement goes through; each is told after one of an earlier replacement."""

    def __init__(self) -> None:
        self.states = ["starting", "loading", "probing", "draining", "done"]
        self.replaced: list[str] = []
        self.port = 0

    def answer(self, method: str, path: str) -> bytes:
        if path == "/v1/events":
            return b"".join(self._events())
        if method == "GET":
            return json.dumps({"data": {"items": BACKENDS}}).encode()
        self.replaced.append(path.split("/")[3])
        return json.dumps({"data": {"replacement": {"number": len(self.replaced)}}}).encode()

    def _events(self) -> Iterator[bytes]:
        number, backend_id = len(self.replaced), self.replaced[-1]
        yield _event("backend.state", {"backend_id": backend_id, "state": "ready"})
        yield _event("backend.replacement", _status(backend_id, number - 1, "failed"))
        for state in self.states:
            yield _event("backend.replacement", _status(backend_id, number, state))


def _status(backend_id: str, number: int, state: str) -> dict[str, object]:
    error = "no such weights" if state == "failed" else None
    return {"backend_id": backend_id, "number": number, "state": state, "detail": None, "error": error}


def _event(name: str, data: dict[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


@pytest.fixture
def server() -> Iterator[ReplacingServer]:
    found = ReplacingServer()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            content = found.answer(self.command, self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

    with serving(Handler) as found.port:
        yield found


def settings(server: ReplacingServer) -> dict[str, str]:
    return {"port": str(server.port), "api_key": "k"}


def test_a_backend_is_followed_until_its_new_version_serves(hearth: Hearth, server: ReplacingServer) -> None:
    result = hearth("load", "--replace", "be_b", **settings(server))

    assert result.exit_code == 0
    assert server.replaced == ["be_b"]
    lines = [line.split("s  ", 1)[-1] for line in result.stdout.splitlines()]
    assert lines == [
        "be_b: starting",
        "be_b: loading",
        "be_b: probing",
        "be_b: draining",
        "be_b: the new version serves",
    ]


def test_backends_of_a_model_are_replaced_one_after_the_other(
    hearth: Hearth, server: ReplacingServer
) -> None:
    result = hearth("load", "--replace", "acme/a", **settings(server))

    assert result.exit_code == 0
    assert server.replaced == ["be_a_1", "be_a_2"]
    assert "be_a_1: done" in result.stdout
    assert "be_a_2: done" not in result.stdout


def test_the_first_that_fails_ends_the_command(hearth: Hearth, server: ReplacingServer) -> None:
    server.states = ["starting", "failed"]

    result = hearth("load", "--replace", "acme/a", **settings(server))

    assert (result.exit_code, server.replaced) == (1, ["be_a_1"])
    assert "be_a_1: the version before goes on serving: no such weights" in result.stderr


def test_json_is_the_end_alone(hearth: Hearth, server: ReplacingServer) -> None:
    result = hearth("load", "--replace", "be_b", "--json", **settings(server))

    assert json.loads(result.stdout)["state"] == "draining"


def test_a_server_that_ends_meanwhile_is_no_success(hearth: Hearth, server: ReplacingServer) -> None:
    server.states = ["starting"]

    result = hearth("load", "--replace", "be_b", **settings(server))

    assert result.exit_code == 1
    assert "be_b: the server ended before the new version served" in result.stderr


def test_a_model_that_nobody_serves_is_named(hearth: Hearth, server: ReplacingServer) -> None:
    result = hearth("load", "--replace", "acme/none", **settings(server))

    assert (result.exit_code, server.replaced) == (1, [])
    assert "no model or backend acme/none" in result.stderr
