"""Tiny speech models and read-back sound files for tests, made and read by the engines' Python."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engines.contract.spec import BackendSpec, Capabilities, Frontend
from engines.contract.types import Modality
from tests.engines.in_engines import run_module


class Sound(NamedTuple):
    """What PyAV finds in a file."""

    seconds: float
    rate_hz: int
    channels: int


def make_model(kind: str, folder: Path) -> Path:
    """A folder with random weights; see `coqui_parts/make_models.py` for the kinds."""
    run_module("tests.engines.coqui_parts.make_models", kind, str(folder))
    return folder


def read_sounds(files: Sequence[Path]) -> list[Sound]:
    output = run_module("tests.engines.coqui_parts.read_sounds", *map(str, files))
    return [Sound(**found) for found in json.loads(output.splitlines()[-1])]


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
        options={"omp_num_threads": 1} | options,
    )
