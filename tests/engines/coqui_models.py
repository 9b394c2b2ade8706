"""Tiny speech models and read-back sound files for tests, made and read by the engines' Python."""

import json
import os
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engines.contract.spec import BackendSpec, Capabilities, Frontend
from engines.contract.types import Modality
from tests.engines.conftest import engines_python
from tests.engines.running_worker import ROOT


class Sound(NamedTuple):
    """What PyAV finds in a file."""

    seconds: float
    rate_hz: int
    channels: int


def make_model(kind: str, folder: Path) -> Path:
    """A folder with random weights; see `coqui_parts/make_models.py` for the kinds."""
    _run("tests.engines.coqui_parts.make_models", kind, str(folder))
    return folder


def read_sounds(files: Sequence[Path]) -> list[Sound]:
    output = _run("tests.engines.coqui_parts.read_sounds", *map(str, files))
    return [Sound(**found) for found in json.loads(output.splitlines()[-1])]


def run_in_engines(tests: str) -> str:
    """What pytest says of a file of tests, run by the engines' Python with the pytest of this one."""
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"}
    start = "import sys; sys.path.append(sys.argv.pop(1)); import pytest; sys.exit(pytest.main())"
    packages = sysconfig.get_paths()["purelib"]
    command = [engines_python(), "-c", start, packages, "-q", "-c", os.devnull, "--rootdir", str(ROOT), tests]
    result = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    return result.stdout


def speech_spec(weights: Path, *, accept_license: bool = False, **options: Any) -> BackendSpec:
    return BackendSpec(
        id="be_speech",
        engine="coqui_speech",
        modality=Modality.AUDIO,
        frontends=(Frontend("test/speech"),),
        weights=str(weights),
        licence="none",
        accept_license=accept_license,
        capabilities=Capabilities(synthesize=True),
        device="cpu",
        options={"num_threads": 1} | options,
    )


def _run(module: str, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [engines_python(), "-m", module, *arguments]
    result = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout
