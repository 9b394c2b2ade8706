"""`hearth add`: a model file and a `model.lock` for weights that are on this machine already."""

from pathlib import Path
from typing import Annotated

import typer

from engines.contract.weights import WeightsRefused, check_weights
from server.cli import configuring
from server.cli.terminal import AsJson, console, load_settings_or_fail, print_json
from server.cli.transfer_progress import show_bytes
from server.weights.config_file import Origin, licence_of
from server.weights.detect import detect
from server.weights.documents import Documents, read_documents
from server.weights.model_lock import LockedFile, ModelLock, allowed_hashes, list_files, read_lock, write_lock
from server.weights.problem import WeightsError
from server.weights.progress import Progress
from server.weights.pulling import check_code
from server.weights.verify import lock_files


def add_model(
    folder: Annotated[
        Path, typer.Argument(help="Folder with the weights.", exists=True, file_okay=False, resolve_path=True)
    ],
    name: configuring.Name = None,
    allow: configuring.Allow = None,
    force: configuring.Force = False,
    as_json: AsJson = False,
) -> None:
    """Recognise a model on disk, hash its files into model.lock, write its model file."""
    settings = load_settings_or_fail()
    screen = console()
    screen.quiet = as_json
    allowed = allow or []
    with configuring.told_problems():
        documents = _read(folder)
        detected = detect(documents)
        check_code(documents, allowed)
        target = configuring.choose_target(settings, documents.model, name, weights=folder, force=force)
        screen.print(f"{folder.name}: {detected.summary}", soft_wrap=True)
        with show_bytes(screen, "hashing") as progress:
            lock = _lock(folder, documents, allowed, progress)
        origin = Origin(
            title=documents.model,
            source=f"{lock.hub}/{lock.model} at commit {lock.commit}" if lock.hub else str(folder),
            licence=lock.licence,
            size_bytes=lock.size_bytes,
            command="hearth add",
        )
        configuring.write_target(target, folder, detected, lock, origin=origin, allowed=allowed)
    if as_json:
        print_json(configuring.summary(target, folder, detected, lock))
    screen.print(configuring.closing_words(target), soft_wrap=True)


def _read(folder: Path) -> Documents:
    """The model is named as its lock says, else as its folder."""
    known = read_lock(folder)
    model = (known.model if known else None) or folder.name
    try:
        return read_documents(model, list_files(folder), lambda name: (folder / name).read_bytes())
    except OSError as error:
        raise WeightsError(f"cannot read {folder}: {error.strerror}") from error


def _lock(folder: Path, documents: Documents, allowed: list[str], progress: Progress) -> ModelLock:
    """Hash, check as a worker would, write. A lock that is there stays, and its hashes must hold."""
    known = read_lock(folder)
    try:
        files = lock_files(folder, progress)
        if known is not None:
            _compare(folder, known, files)
        check_weights(folder, allowed_hashes(files, allowed))
        licence = licence_of(documents.card)
        lock = known or ModelLock(None, None, None, licence, files)
        if known is None:
            write_lock(folder, lock)
    except WeightsRefused as error:
        raise WeightsError(_how_to_allow(str(error))) from error
    except OSError as error:
        raise WeightsError(f"cannot write {folder}: {error.strerror}") from error
    return lock


def _compare(folder: Path, known: ModelLock, files: tuple[LockedFile, ...]) -> None:
    if set(known.files) != set(files):
        raise WeightsError(
            f"{folder} is not what its model.lock says: `hearth verify` shows how; or remove it"
        )


def _how_to_allow(message: str) -> str:
    return message.replace("allow it by its SHA-256 in `allowed_files`", "name it with --allow")
