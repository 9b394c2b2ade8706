"""What `model_configs/` says of the models, for commands that can do without a running server."""

from pathlib import Path
from typing import Any

from engines.contract.spec import BackendSpec
from server.catalog import read_files
from server.catalog.reader import SUFFIXES
from server.cli.client import Offline
from server.cli.terminal import note
from server.settings import Settings


def read_specs(settings: Settings) -> list[BackendSpec]:
    """The backends of all files that are right; what is wrong with the others is told on stderr."""
    folder = settings.models_dir
    files = sorted(file for file in folder.glob("*") if file.suffix in SUFFIXES)
    return specs_of(files)


def specs_of(files: list[Path]) -> list[BackendSpec]:
    specs, problems = read_files(files)
    for problem in problems:
        note(str(problem))
    return list(specs.values())


def tell_offline(why: Offline, settings: Settings) -> None:
    note(f"{why.reason}; this is from {settings.models_dir}")


def as_item(spec: BackendSpec) -> dict[str, Any]:
    """The part of the server's backend object that needs no server."""
    return {
        "id": spec.id,
        "backend_id": spec.id,
        "models": [frontend.slug for frontend in spec.frontends],
        "engine": spec.engine,
        "device": spec.device,
        "modality": spec.modality.value,
        "keep_alive_s": spec.keep_alive_s,
    }
