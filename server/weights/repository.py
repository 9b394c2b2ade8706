"""What a hub says of a model: its files with sizes and hashes, its commit, its card. Checked once, here."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from server.weights.hashing import Digests
from server.weights.model_lock import is_safe
from server.weights.problem import WeightsError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RemoteFile(msgspec.Struct, frozen=True):
    """Large files have a `sha256`, small ones git's `blob_id`; each has one of them."""

    path: str
    size: int
    sha256: str | None
    blob_id: str | None

    def digests(self) -> Digests:
        """What `is_matched_by` needs, over no byte yet."""
        return Digests(self.size if self.sha256 is None else None)

    def is_matched_by(self, digests: Digests) -> bool:
        if digests.num_bytes != self.size:
            return False
        if self.sha256 is not None:
            return digests.sha256 == self.sha256
        return self.blob_id is not None and digests.blob_id == self.blob_id


class Repository(msgspec.Struct, frozen=True):
    """One model at one commit."""

    model: str
    commit: str
    files: tuple[RemoteFile, ...]
    card: Mapping[str, Any]

    @property
    def sizes(self) -> dict[str, int]:
        return {file.path: file.size for file in self.files}


class _Large(msgspec.Struct):
    sha256: str
    size: int


class _Sibling(msgspec.Struct, rename={"path": "rfilename", "blob_id": "blobId"}):
    path: str
    size: int | None = None
    blob_id: str | None = None
    lfs: _Large | None = None


class _Info(msgspec.Struct):
    sha: str
    siblings: list[_Sibling] = []
    cardData: dict[str, Any] | None = None
    pipeline_tag: str | None = None


def split_id(text: str) -> tuple[str, str | None]:
    """`org/name@revision` in two; the revision may be left out. Raises WeightsError."""
    model, _, revision = text.partition("@")
    if not _ID.fullmatch(model) or ".." in model or (("@" in text) and not revision):
        raise WeightsError(f"{text!r} is no id of a model: it must be ORG/NAME or ORG/NAME@REVISION")
    return model, revision or None


def read_info(model: str, content: bytes) -> Repository:
    """The hub's answer about a model. Raises WeightsError, also for files that would lie outside a folder."""
    try:
        info = msgspec.json.decode(content, type=_Info)
    except msgspec.MsgspecError as error:
        raise WeightsError(f"the hub's answer about {model} cannot be understood: {error}") from error
    if not _COMMIT.fullmatch(info.sha):
        raise WeightsError(f"the hub names no commit of {model}")
    card = dict(info.cardData or {})
    if info.pipeline_tag is not None:
        card["pipeline_tag"] = info.pipeline_tag
    return Repository(model, info.sha, tuple(_files(model, info.siblings)), card)


def _files(model: str, siblings: list[_Sibling]) -> Iterator[RemoteFile]:
    for sibling in siblings:
        if not is_safe(sibling.path):
            raise WeightsError(f"{model} has a file with a name that is not safe: {sibling.path!r}")
        large = sibling.lfs
        size = sibling.size if large is None else large.size
        sha256 = None if large is None else large.sha256
        if size is None or size < 0 or (sha256 is None and sibling.blob_id is None):
            raise WeightsError(f"the hub does not say size and hash of {sibling.path}")
        if sha256 is not None and not _SHA256.fullmatch(sha256):
            raise WeightsError(f"the hub's hash of {sibling.path} is no SHA-256")
        yield RemoteFile(sibling.path, size, sha256, sibling.blob_id)
