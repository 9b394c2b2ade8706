"""What `hearth pull` and `hearth add` do alike: choose a name, see to it early that it is free, write the file."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from server.catalog import read_files
from server.cli.terminal import fail
from server.settings import Settings
from server.weights.config_file import Origin, check_slug, config_path, default_slug, render, write_config
from server.weights.detect import Detected
from server.weights.model_lock import ModelLock, allowed_hashes
from server.weights.problem import WeightsError

Name = Annotated[
    str | None,
    typer.Option("--name", metavar="SLUG", help="Public name.", show_default="the id in small letters"),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a model file of that name.")]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow", metavar="FILE", help="Trust this file although its kind is refused; by its SHA-256."
    ),
]
INTERRUPTED_STATUS = 130


class Target(msgspec.Struct, frozen=True):
    """Where the model file goes. `is_kept`: there is one for these weights already, and it stays."""

    slug: str
    path: Path
    may_replace: bool
    is_kept: bool


@contextmanager
def told_problems() -> Iterator[None]:
    """Ends the command with what went wrong, in a line."""
    try:
        yield
    except WeightsError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; run the command again to go on", status=INTERRUPTED_STATUS)


def choose_target(settings: Settings, model: str, name: str | None, *, weights: Path, force: bool) -> Target:
    """Before the long work: raises WeightsError when its file could not be written in the end."""
    slug = name or default_slug(model)
    path = config_path(settings.models_dir, slug)
    if not settings.models_dir.is_dir():
        raise WeightsError(f"no folder {settings.models_dir} for the model's file: set HEARTH_MODELS_DIR")
    check_slug(path, slug)
    if not path.exists() or force:
        return Target(slug, path, may_replace=force, is_kept=False)
    spec = read_files([path])[0].get(path)
    if spec is not None and spec.weights == os.path.realpath(weights):
        return Target(slug, path, may_replace=False, is_kept=True)
    raise WeightsError(f"{path} is there already: --force writes it anew, --name gives another name")


def write_target(
    target: Target,
    folder: Path,
    detected: Detected,
    lock: ModelLock,
    *,
    origin: Origin,
    allowed: Sequence[str],
) -> None:
    """Raises WeightsError."""
    if target.is_kept:
        return
    text = render(target.slug, folder, detected, origin, allowed_hashes(lock.files, allowed))
    try:
        write_config(target.path, text, may_replace=target.may_replace)
    except OSError as error:
        raise WeightsError(f"cannot write {target.path}: {error.strerror}") from error


def summary(target: Target, folder: Path, detected: Detected, lock: ModelLock) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "slug": target.slug,
        "config": str(target.path),
        "config_written": not target.is_kept,
        "weights": str(folder),
        "engine": detected.engine,
        "modality": str(detected.modality),
        "context_window": detected.context_window,
        "licence": lock.licence,
        "commit": lock.commit,
        "files": len(lock.files),
        "size_bytes": lock.size_bytes,
    }


def closing_words(target: Target) -> str:
    kept = " (kept as it is)" if target.is_kept else ""
    return f"{target.path}{kept}: look through it, then restart the server; clients name it {target.slug}"
