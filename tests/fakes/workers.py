"""Plans that start the fake worker program, and requests that give it orders."""

import itertools
import os
import sys
from pathlib import Path

import msgspec

from engines.contract.chat import ChatRequest, Message
from engines.contract.spec import BackendSpec
from server.workers.process import LaunchPlan
from tests.fakes import worker_script
from tests.fakes.worker_script import Script

ROOT = Path(__file__).resolve().parents[2]


class FakeLauncher:
    """Plans launches below `folder`; each start of a backend takes its next script, the last one stays."""

    def __init__(self, folder: Path, scripts: dict[str, list[Script]] | None = None) -> None:
        self.num_launches = 0
        self._folder = folder
        self._scripts = scripts or {}
        self._numbers = itertools.count(1)

    def plan(self, spec: BackendSpec) -> LaunchPlan:
        self.num_launches += 1
        scripts = self._scripts.get(spec.id, [Script()])
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        program = str(Path(worker_script.__file__))
        return LaunchPlan(
            command=(sys.executable, program, msgspec.json.encode(script).decode()),
            environment={"PYTHONPATH": str(ROOT), "PATH": os.environ.get("PATH", "")},
            socket=self._folder / f"{next(self._numbers)}.sock",
            log=self._folder / f"{spec.id}.log",
        )


def say(text: str) -> ChatRequest:
    return ChatRequest((Message("user", text),), stream=True)
