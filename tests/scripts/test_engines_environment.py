"""Runs tests that need torch where torch is: in the engines' environment, with the pytest of this one."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.engines.conftest import engines_python
from tests.engines.running_worker import ROOT

RUN_PYTEST = "import sys; sys.path.append(sys.argv.pop(1)); import pytest; sys.exit(pytest.main())"


TRAINING = sorted((ROOT / "tests/scripts").glob("test_train_starter_*.py"))


@pytest.mark.vllm
@pytest.mark.parametrize("tests", TRAINING, ids=lambda file: file.stem)
def test_training_of_the_starter_models(tests: Path) -> None:
    """This environment comes last on the path, so that the engines' packages are the ones tested."""
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
    assert "skipped" not in result.stdout
