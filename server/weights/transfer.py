"""One file from a hub to its place: goes on where an earlier try ended, and has its name only when it is right."""

import os
from pathlib import Path

import httpx

from server.disk import sync_folder
from server.weights.hashing import Digests
from server.weights.hub import Hub
from server.weights.model_lock import PARTS_NAME, LockedFile
from server.weights.patience import Patience, TryAgain
from server.weights.problem import WeightsError
from server.weights.progress import Progress
from server.weights.repository import RemoteFile, Repository

_MAX_WRONG = 2  # a file that arrives wrong is fetched once more, from its first byte


class Transfer:
    """Fetches the files of one repository into `folder`."""

    def __init__(
        self, hub: Hub, repository: Repository, folder: Path, *, progress: Progress, patience: Patience
    ) -> None:
        self.endpoint = hub.endpoint
        self._hub = hub
        self._repository = repository
        self._folder = folder
        self._progress = progress
        self._patience = patience

    def fetch(self, file: RemoteFile) -> LockedFile:
        """Blocks until the file is in its place, with the right content. Raises WeightsError and OSError."""
        self._progress.file(file.path, file.size)
        self._patience.renew()
        final = self._folder / file.path
        if final.exists() and (found := self._check_present(final, file)) is not None:
            return found
        part = self._folder / PARTS_NAME / f"{file.path}.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_MAX_WRONG):
            digests = self._complete(part, file)
            if file.is_matched_by(digests):
                _put_in_place(part, final)
                return LockedFile(file.path, file.size, digests.sha256)
            part.unlink()
            self._progress.advance(-digests.num_bytes)
            self._progress.say(
                f"{file.path} arrived with another content than the hub says; fetching it anew"
            )
        raise WeightsError(
            f"{file.path} arrives with another content than the hub says; nothing of it is kept"
        )

    def _check_present(self, final: Path, file: RemoteFile) -> LockedFile | None:
        """A file of an earlier run counts only after it was hashed again."""
        if final.stat().st_size == file.size:
            digests = file.digests()
            digests.read(final, self._progress.advance)
            if file.is_matched_by(digests):
                return LockedFile(file.path, file.size, digests.sha256)
            self._progress.advance(-digests.num_bytes)
        self._progress.say(f"{file.path} is there with another content; fetching it anew")
        final.unlink()
        return None

    def _complete(self, part: Path, file: RemoteFile) -> Digests:
        """Fetch what is missing of `part`; its hashes."""
        if part.exists() and part.stat().st_size > file.size:
            part.unlink()
        with part.open("ab", buffering=0) as target:
            digests = file.digests()
            digests.read(part, self._progress.advance)
            while digests.num_bytes < file.size:
                before = digests.num_bytes
                try:
                    self._go_on(target.fileno(), file, digests)
                    if digests.num_bytes < file.size:
                        raise TryAgain("the hub sent less than the whole file")
                except TryAgain as error:
                    if digests.num_bytes > before:
                        self._patience.renew()
                    self._patience.wait(error)
            os.fsync(target.fileno())
        return digests

    def _go_on(self, target: int, file: RemoteFile, digests: Digests) -> None:
        """One connection's worth of bytes, from the first byte if the hub cannot begin elsewhere."""
        with self._hub.open(self._repository, file, digests.num_bytes) as response:
            if digests.num_bytes and not _begins_at(response, digests.num_bytes):
                self._progress.advance(-digests.num_bytes)
                os.ftruncate(target, 0)
                digests.restart()
            for piece in response.iter_bytes():
                _write(target, piece)
                digests.update(piece)
                self._progress.advance(len(piece))
                if digests.num_bytes > file.size:
                    break  # its hash will be wrong


def _begins_at(response: httpx.Response, start: int) -> bool:
    """False for an answer with the whole file. Raises WeightsError for one that begins elsewhere."""
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        return False
    if not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
        raise WeightsError("the hub sends another part of the file than it was asked for")
    return True


def _write(target: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(target, view) :]


def _put_in_place(part: Path, final: Path) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    part.replace(final)
    sync_folder(final.parent)
