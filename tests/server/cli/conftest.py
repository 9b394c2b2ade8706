"""The command line in this process, on a data folder of its own, and a fake server to talk to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.cli.commands import app

Hearth = Callable[..., Result]


@pytest.fixture
def hearth_reading(tmp_path: Path) -> Hearth:
    """As `hearth`, with what it reads from stdin as its first argument."""

    def run(stdin: str, *arguments: str, **settings: str) -> Result:
        given = {"data_dir": str(tmp_path / "data"), "engines_dir": str(tmp_path / "engines")} | settings
        environment = {f"HEARTH_{name.upper()}": value for name, value in given.items()}
        return CliRunner(env=environment).invoke(app, list(arguments), input=stdin)

    return run


@pytest.fixture
def hearth(hearth_reading: Hearth) -> Hearth:
    """Runs a command; keyword arguments are further HEARTH_ settings."""
    return partial(hearth_reading, "")


class QuietHandler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """An HTTP server in a thread; yields its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
        thread.start()
        yield http_server.server_port
        http_server.shutdown()
        thread.join()


class FakeServer:
    """Answers with what a test has set, and remembers what it was asked. `answers` are those of single paths."""

    def __init__(self) -> None:
        self.answer: object = {}
        self.answers: dict[str, object] = {}
        self.sent: list[bytes] = []
        self.status = 200
        self.asked: list[tuple[str, str, str | None]] = []
        self.port = 0


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    fake = FakeServer()

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            fake.asked.append((self.command, self.path, self.headers["Authorization"]))
            fake.sent.append(self.rfile.read(int(self.headers["Content-Length"] or 0)))
            answer = fake.answers.get(self.path.partition("?")[0], fake.answer)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(fake.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

    with serving(Handler) as fake.port:
        yield fake
