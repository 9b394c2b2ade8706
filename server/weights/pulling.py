"""A whole pull: what is to be fetched, whether there is room, fetching it, going on after an interruption. Blocks."""

import errno
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engines.contract.weights import WeightsRefused, check_json, check_weights
from server.disk import free_bytes
from server.weights.config_file import licence_of
from server.weights.detect import Detected, detect
from server.weights.documents import Documents, read_documents
from server.weights.hub import Hub
from server.weights.model_lock import PARTS_NAME, ModelLock, allowed_hashes, write_lock
from server.weights.patience import Patience
from server.weights.problem import WeightsError
from server.weights.progress import Progress
from server.weights.repository import Repository
from server.weights.selection import Selection, select
from server.weights.sizes import in_words
from server.weights.transfer import Transfer

_CLAIM_NAME = ".pull.lock"


class PullPlan(msgspec.Struct, frozen=True):
    """Everything that is decided before the first byte of weights is fetched."""

    repository: Repository
    documents: Documents
    selection: Selection
    detected: Detected
    folder: Path

    @property
    def licence(self) -> str:
        return licence_of(self.documents.card)


def plan_pull(
    hub: Hub, repository: Repository, weights_dir: Path, patterns: Sequence[str], patience: Patience
) -> PullPlan:
    """Reads the model's small files from the hub. Raises WeightsError, also for a model that no engine serves."""
    files = {file.path: file for file in repository.files}

    def read(name: str) -> bytes:
        return hub.read(repository, files[name], patience)

    card = repository.card or None
    documents = read_documents(repository.model, repository.sizes, read, card)
    detect(documents)  # a model that no engine serves is refused for that, not for its files
    selection = select(repository.files, documents, patterns)
    taken = {file.path: file.size for file in selection.files}
    detected = detect(msgspec.structs.replace(documents, sizes=taken))
    folder = weights_dir.absolute() / repository.model / repository.commit
    return PullPlan(repository, documents, selection, detected, folder)


def check_code(documents: Documents, allowed: Collection[str]) -> None:
    """Raises WeightsError for a document that names code, unless the operator trusts it."""
    for name, key in documents.code_keys.items():
        if name not in allowed:
            raise WeightsError(
                f"{name} of {documents.model} has the key `{key}`, which can make a library load code. Hearth never"
                f" runs code of a model; if you trust the file, and the library knows the model by itself,"
                f" add `--allow {name}`"
            )


def missing_bytes(plan: PullPlan) -> int:
    """What is still to be fetched, going by the sizes of what is there."""
    return sum(
        max(0, file.size - _present_bytes(plan.folder, file.path, file.size)) for file in plan.selection.files
    )


def check_room(plan: PullPlan, min_free_bytes: int) -> None:
    """Raises WeightsError with numbers."""
    needed, free = missing_bytes(plan), free_bytes(plan.folder)
    if needed and needed + min_free_bytes > free:
        raise WeightsError(
            f"{plan.folder} has room for {in_words(max(0, free - min_free_bytes))} and needs {in_words(needed)};"
            f" {in_words(min_free_bytes)} of the disk stay free"
        )


def pull(
    plan: PullPlan, hub: Hub, *, allowed: Collection[str] = (), progress: Progress, patience: Patience
) -> ModelLock:
    """Fetch what is missing, check everything, write the lock. Raises WeightsError.

    Interrupted anywhere, it goes on from there when it is called again. `allowed` are files that the operator trusts.
    """
    transfer = Transfer(hub, plan.repository, plan.folder, progress=progress, patience=patience)
    try:
        with _claim(plan.folder.parent):
            return _pull(plan, transfer, allowed, progress)
    except OSError as error:
        what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise WeightsError(
            f"cannot write to {plan.folder}: {what}; run the command again to go on"
        ) from error


def _pull(plan: PullPlan, transfer: Transfer, allowed: Collection[str], progress: Progress) -> ModelLock:
    """Small files come first, so that what must not be loaded is noticed before the large ones."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    progress.begin(plan.selection.size_bytes)
    locked = []
    try:
        for file in sorted(plan.selection.files, key=lambda file: (file.size, file.path)):
            locked.append(transfer.fetch(file))
            if file.path.endswith(".json") and file.path not in allowed:
                check_json(plan.folder / file.path)
        shutil.rmtree(plan.folder / PARTS_NAME, ignore_errors=True)
        check_weights(plan.folder, allowed_hashes(locked, allowed))
    except WeightsRefused as error:
        raise WeightsError(f"{plan.repository.model} would not be loaded: {error}") from error
    repository = plan.repository
    lock = ModelLock(transfer.endpoint, repository.model, repository.commit, plan.licence, tuple(locked))
    write_lock(plan.folder, lock)
    return lock


@contextmanager
def _claim(folder: Path) -> Iterator[None]:
    """One process at a time fetches revisions of one model."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _CLAIM_NAME).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WeightsError(f"another process fetches into {folder} now") from error
        yield


def _present_bytes(folder: Path, path: str, size_bytes: int) -> int:
    for place in (folder / path, folder / PARTS_NAME / f"{path}.part"):
        if place.is_file():
            return min(os.stat(place).st_size, size_bytes)
    return 0
