"""Runs tests that need torch where torch is: in the engines' environment, with the pytest of this one."""

import os
import shutil
import subprocess
import sysconfig

import pytest

from tests.engines.conftest import engines_python
from tests.engines.running_worker import ROOT

RUN_PYTEST = "import sys; sys.path.append(sys.argv.pop(1)); import pytest; sys.exit(pytest.main())"


@pytest.mark.vllm
@pytest.mark.parametrize("name", ["chat", "transcribe"])
def test_training_of_a_starter_model(name: str) -> None:
    """This environment comes last on the path, so that the engines' packages are the ones tested."""
    tests = ROOT / f"tests/scripts/test_train_starter_{name}.py"
    command = [
        engines_python(),
        "-c",
        RUN_PYTEST,
        sysconfig.get_paths()["purelib"],
        "-q",
        "-c",
        os.devnull,
        str(tests),
    ]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"}

    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600)

    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert " passed" in result.stdout
    assert "skipped" not in result.stdout or shutil.which("espeak-ng") is None
