"""Real servers for end-to-end tests: `hearth serve` in a process of its own, workers and all."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
LOAD_TIMEOUT_S = 300.0


class RunningServer:
    """A server under test and its administrator's key."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, data_dir: Path) -> None:
        self.process = process
        self.url = url
        self.data_dir = data_dir
        self.key = ""

    def client(self, key: str | None = None, timeout_s: float = LOAD_TIMEOUT_S) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, trust_env=False)

    def make_key(self, permissions: list[str], models: list[str] | None = None) -> str:
        """A new key's secret."""
        body = {"name": "test", "permissions": permissions, "models": models}
        with self.client() as client:
            answer = client.post("/v1/api-keys", json=body)
        answer.raise_for_status()
        return str(answer.json()["data"]["key"])

    def backend(self, backend_id: str) -> dict[str, object]:
        """The backend's status as the server tells it."""
        with self.client() as client:
            items = client.get("/v1/backends").raise_for_status().json()["data"]["items"]
        return next(item for item in items if item["backend_id"] == backend_id)

    def stop(self) -> int:
        """SIGINT, then the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


StartServer = Callable[..., RunningServer]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(data_dir: Path, log: Path, *, python_path: Path | None = None, **settings: str) -> RunningServer:
    """Start `hearth serve` with HEARTH_* settings (names without the prefix) and wait until it is ready.

    `python_path` is where engines of the test's own lie.
    """
    port = free_port()
    (ROOT / ".hearth/cache").mkdir(parents=True, exist_ok=True)
    data_dir.mkdir(parents=True, exist_ok=True)
    if not (data_dir / "cache").exists():
        (data_dir / "cache").symlink_to(ROOT / ".hearth/cache")
    given = {"data_dir": str(data_dir), "port": str(port)} | settings
    environment = os.environ | {f"HEARTH_{name.upper()}": value for name, value in given.items()}
    if python_path is not None:
        environment["PYTHONPATH"] = str(python_path)
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "serve"],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
        )
    server = RunningServer(process, f"http://127.0.0.1:{port}", data_dir)
    _wait_until_ready(server, log)
    if found := re.search(r"sgk_[A-Za-z0-9_-]{32,}", log.read_text()):
        server.key = found.group()
    return server


def _wait_until_ready(server: RunningServer, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            if httpx.get(f"{server.url}/health/ready", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    server.process.kill()
    raise AssertionError(f"the server did not come up:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The shipped configuration: the starter chat model on a real vLLM."""
    folder = tmp_path_factory.mktemp("hearth")
    running = start(folder / "data", folder / "server.log")
    yield running
    assert running.stop() == 0


FAKE_BACKEND = """\
engine: tests.fakes.fake_engine
modality: chat
frontends: [fake/{name}]
weights: weights
licence: none
context_window: 4096
capabilities: {{tools: false}}
limits: {limits}
options: {options}
"""


def fake_backend(name: str, options: str, **limits: float) -> str:
    """The text of a model file for the fake engine."""
    told = json.dumps({"max_concurrency": 128, "load_timeout_s": 60} | limits)
    return FAKE_BACKEND.format(name=name, options=options, limits=told)


@contextmanager
def running_fake(folder: Path, backends: dict[str, str], **settings: str) -> Iterator[RunningServer]:
    """A server below `folder` whose backends run the fake engine; `backends` are their options by name."""
    server = start_fakes(folder, backends, **settings)
    try:
        yield server
    finally:
        kill(server)


def start_fakes(
    folder: Path, backends: dict[str, str], *, load_timeout_s: float = 60.0, **settings: str
) -> RunningServer:
    models_dir = folder / "models"
    (models_dir / "weights").mkdir(parents=True, exist_ok=True)
    (models_dir / "weights/config.json").write_text("{}")
    for name, options in backends.items():
        (models_dir / f"{name}.yaml").write_text(fake_backend(name, options, load_timeout_s=load_timeout_s))
    chosen = {"models_dir": str(models_dir), "engines_python": sys.executable} | settings
    return start(folder / "data", folder / "server.log", **chosen)


def kill(server: RunningServer) -> None:
    if server.process.poll() is None:
        server.process.kill()
        server.process.wait()


@pytest.fixture
def start_fake(tmp_path: Path) -> Iterator[StartServer]:
    """Starts a server whose backends run the fake engine: `start_fake({"echo": "{token_delay_s: 0.01}"}, port=...)`."""
    running: list[RunningServer] = []

    def start_with(
        backends: dict[str, str], *, load_timeout_s: float = 60.0, **settings: str
    ) -> RunningServer:
        running.append(start_fakes(tmp_path, backends, load_timeout_s=load_timeout_s, **settings))
        return running[-1]

    yield start_with
    for server in running:
        kill(server)
