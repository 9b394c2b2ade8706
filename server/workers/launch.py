"""How a worker is started: which interpreter, which environment, where its socket and its log lie."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from engines.contract.spec import BackendSpec
from server.workers.process import LaunchPlan

LONGEST_SOCKET_PATH = 100  # the kernel allows 107 bytes
CODE_ROOT = Path(__file__).resolve().parents[2]
# A worker sees these variables of ours and no others: above all no database address and no keys.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")
PASSED_ON_PREFIXES = ("CUDA_", "NVIDIA_", "NCCL_", "ROCR_", "HIP_")


class Launcher:
    """Plans worker starts. `python_for` names an engine's interpreter (raises EngineError if it has none)."""

    def __init__(self, data_dir: Path, python_for: Callable[[str], Path]) -> None:
        self._python_for = python_for
        self._numbers = itertools.count(1)
        self._log_dir = data_dir / "logs"
        self._cache_dir = data_dir / "cache"
        self._run_dir = data_dir / "run"
        for folder in (self._log_dir, self._cache_dir):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._run_dir, ignore_errors=True)  # sockets of a server that was killed
        if len(str(self._run_dir.resolve())) > LONGEST_SOCKET_PATH - 40:
            self._run_dir = Path(tempfile.mkdtemp(prefix="hearth-"))
        self._run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    def plan(self, spec: BackendSpec) -> LaunchPlan:
        """A fresh socket each time, so that a dying worker and its successor never meet."""
        socket = self._run_dir.resolve() / f"{next(self._numbers)}.sock"
        return LaunchPlan(
            command=(str(self._python_for(spec.engine)), "-m", "engines.runtime"),
            environment=self._environment(),
            socket=socket,
            log=self._log_dir / f"{spec.id}.log",
        )

    def close(self) -> None:
        with contextlib.suppress(OSError):
            shutil.rmtree(self._run_dir)

    def _environment(self) -> dict[str, str]:
        passed_on = {
            name: value
            for name, value in os.environ.items()
            if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
        }
        return passed_on | {
            "PYTHONPATH": os.pathsep.join(filter(None, (str(CODE_ROOT), os.environ.get("PYTHONPATH")))),
            "PYTHONUNBUFFERED": "1",
            "HEARTH_ENGINE_CACHE": str(self._cache_dir.resolve()),
        }
