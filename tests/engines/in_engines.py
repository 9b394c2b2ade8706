"""Runs programs and tests where torch is: in the engines' environment, with the pytest of this one."""

import os
import subprocess
import sysconfig
from pathlib import Path

from tests.engines.conftest import engines_python
from tests.engines.running_worker import ROOT

_PYTEST = "import sys; sys.path.append(sys.argv.pop(1)); import pytest; sys.exit(pytest.main())"


def run_tests(tests: Path) -> str:
    """What pytest says of a file of tests. This environment comes last on the path, so that theirs is tested."""
    options = ["-qrs", "-c", os.devnull, "--rootdir", str(ROOT), str(tests)]
    return _run(["-c", _PYTEST, sysconfig.get_paths()["purelib"], *options])


def run_module(module: str, *arguments: str) -> str:
    """What `python -m module` prints."""
    return _run(["-m", module, *arguments])


def _run(arguments: list[str]) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [engines_python(), *arguments]
    result = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-4000:]
    return result.stdout
