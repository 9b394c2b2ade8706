"""One server's place: its folders, its port, its settings; started, killed and started again. Knows no batch."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from proof import processes

ROOT = Path(__file__).resolve().parents[2]
HEARTH = (sys.executable, "-m", "server", "serve")
READY_S = 30.0
_END_S = 10.0
_KEY = re.compile(r"sgk_[A-Za-z0-9_-]{32,}")
_BACKEND = """\
engine: tests.fakes.fake_engine
modality: chat
frontends: [{name}]
weights: weights
licence: none
context_window: 4096
capabilities: {{tools: false}}
limits: {{max_concurrency: 16}}
options: {{token_delay_s: {token_delay_s}, ballast_mib: {ballast_mib}}}
"""


class NotReadyError(Exception):
    """The server ended, or did not become ready, while it started. The message ends with its log."""


class Nursery:
    """Starts servers; see nursery.py. With `command` each is an ordinary process of that command instead."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = command
        self._started: list[subprocess.Popen[bytes]] = []
        self._process = self._open() if command is None else None

    def start(self, environment: dict[str, str], log: Path) -> int:
        if self._command is not None or self._process is None:
            return self._start_plain(environment, log)
        source, sink = self._process.stdout, self._process.stdin
        if source is None or sink is None:
            raise RuntimeError("the nursery has no pipes")
        sink.write(json.dumps({"environment": environment, "log": str(log)}) + "\n")
        sink.flush()
        return int(source.readline())

    def close(self) -> None:
        """What still runs is killed."""
        for process in self._started:
            process.kill()
            process.wait()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def _open(self) -> "subprocess.Popen[str]":
        paths = os.pathsep.join((str(ROOT), str(ROOT / "scripts")))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
        return subprocess.Popen(
            [sys.executable, "-m", "proof.nursery"],
            cwd=ROOT,
            env=clean | {"PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _start_plain(self, environment: dict[str, str], log: Path) -> int:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
        with log.open("a") as out:
            process = subprocess.Popen(
                self._command or HEARTH, cwd=ROOT, env=clean | environment, stdout=out, stderr=out
            )
        self._started = [earlier for earlier in self._started if earlier.poll() is None] + [process]
        return process.pid


class Site:
    """At most one server runs here at a time."""

    def __init__(
        self, nursery: Nursery, folder: Path, *, data_dir: Path | None = None, **settings: str
    ) -> None:
        self.folder = folder
        self.data_dir = data_dir or folder / "data"
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "server.log"
        self.port = free_port()
        self.key = ""
        self.pid = 0
        self.ready_at = 0.0
        self._nursery = nursery
        self._settings = {
            "data_dir": str(self.data_dir),
            "models_dir": str(folder / "models"),
            "engines_python": sys.executable,
            "port": str(self.port),
            "min_free_bytes": "0",
            "max_restarts": "1000000",
            "heartbeat_timeout_s": "2",
            "drain_grace_s": "0",
        } | settings

    def add_backend(self, name: str, token_delay_s: float, *, ballast_mib: int = 0) -> None:
        """A model whose answer is the prompt, word by word, and which holds so much memory."""
        models = self.folder / "models"
        (models / "weights").mkdir(parents=True, exist_ok=True)
        (models / "weights/config.json").write_text("{}")
        page = _BACKEND.format(name=name, token_delay_s=token_delay_s, ballast_mib=ballast_mib)
        (models / f"{name.replace('/', '_')}.yaml").write_text(page)

    def launch(self, **settings: str) -> None:
        """Start without waiting. `settings` are for this life only."""
        given = self._settings | settings
        environment = {f"HEARTH_{name.upper()}": value for name, value in given.items()}
        self.pid = self._nursery.start(environment, self.log)

    def start(self, **settings: str) -> float:
        """Start and wait until ready; the seconds it took. Raises NotReadyError."""
        begun_at = time.monotonic()
        self.launch(**settings)
        self.wait_until_ready()
        return time.monotonic() - begun_at

    def wait_until_ready(self) -> None:
        """Raises NotReadyError, also when the server ends meanwhile."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.is_running:
            if self._is_ready():
                self.ready_at = time.monotonic()
                self.key = self.key or self._first_key()
                return
            time.sleep(0.01)
        raise NotReadyError(self.log.read_text(errors="replace")[-3000:] if self.log.exists() else "no log")

    @property
    def is_running(self) -> bool:
        return self.pid != 0 and not processes.wait_for_end(self.pid, 0.0)

    def workers(self) -> list[int]:
        return [pid for pid in processes.children(self.pid) if processes.is_worker(pid)] if self.pid else []

    def kill(self, *, with_workers: bool = False) -> None:
        """SIGKILL to the server, and with it to its workers; returns when they are gone."""
        pids = self.workers()
        victims = [self.pid, *(pids if with_workers else ())]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not processes.wait_for_all([self.pid, *pids], _END_S):
            raise RuntimeError(f"{victims} did not die, or left workers behind: {pids}")
        self.pid = 0

    def stop(self) -> None:
        """In order, as on SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)
        if not processes.wait_for_end(self.pid, 60.0):
            raise RuntimeError("the server did not end after SIGTERM")
        self.pid = 0

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _first_key(self) -> str:
        found = _KEY.search(self.log.read_text(errors="replace"))
        return found.group() if found else ""


@contextlib.contextmanager
def running(*sites: Site) -> Iterator[None]:
    """Whatever still runs at these sites in the end is killed."""
    try:
        yield
    finally:
        for site in sites:
            if site.is_running:
                site.kill(with_workers=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
