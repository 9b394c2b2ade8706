"""A small image model for tests, and the spec of a backend for it."""

import subprocess
from pathlib import Path
from typing import Any

from engines.contract.spec import BackendSpec, Frontend, Limits
from engines.contract.types import Modality
from tests.engines.conftest import engines_python

SCRIPT = Path(__file__).with_name("tiny_pipeline.py")
MAX_TOKENS = 32


def make_pipeline(folder: Path) -> Path:
    """A folder with random weights, made with the engines' interpreter; takes seconds."""
    subprocess.run([engines_python(), str(SCRIPT), str(folder)], check=True, capture_output=True, timeout=300)
    return folder


def image_spec(weights: Path, **options: Any) -> BackendSpec:
    defaults = {
        "sizes": ["32x32", "64x64"],
        "steps": 4,
        "guidance": 3.0,
        "max_steps": 1000,
        "max_batch_pictures": 4,
        "qualities": {"standard": {}, "hd": {"steps": 6}},
        "omp_num_threads": 1,
    }
    return BackendSpec(
        id="be_image",
        engine="diffusers_image",
        modality=Modality.IMAGE,
        frontends=(Frontend("tiny/image"),),
        weights=str(weights),
        licence="none",
        limits=Limits(),
        device="cpu",
        options=defaults | options,
    )
