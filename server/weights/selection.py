"""Which files of a model are fetched: its weights in one format, and the text that describes them. Pure."""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

import msgspec

from engines.contract.weights import is_code, is_pickle
from server.weights.detect.image import components, find_variant
from server.weights.detect.transcribe import CTRANSLATE2_MODEL, is_ctranslate2_whisper
from server.weights.documents import INDEX, Documents
from server.weights.problem import WeightsError
from server.weights.repository import RemoteFile

_TEXT = frozenset({".json", ".txt", ".md", ".jinja", ".model", ".tiktoken"})
_TEXT_NAMES = ("licen", "notice", "copying", "use_policy")
_GROUP = re.compile(r"(?P<stem>.+?)(-\d{5}-of-\d{5})?\.safetensors")
_INDEX = re.compile(r"(?P<stem>.+)\.safetensors\.index(\.(?P<variant>\w+))?\.json")
_MODULE = re.compile(r"\d+_\w+")  # a part of a sentence-transformers model
_ASIDE = ("consolidated", "adapter_model")  # the same weights in another layout; weights for another model


class Selection(msgspec.Struct, frozen=True):
    files: tuple[RemoteFile, ...]
    left_out: tuple[RemoteFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size for file in self.files)


def select(files: Sequence[RemoteFile], documents: Documents, patterns: Sequence[str] = ()) -> Selection:
    """Raises WeightsError where there are no weights that may be taken.

    `patterns` (as a shell's) narrow the weights down, for models that hold several.
    """
    weights = _weights(files, documents)
    if patterns:
        wanted = [file for file in files if _is_weights(file, documents)]
        weights = [file for file in wanted if any(fnmatchcase(file.path, pattern) for pattern in patterns)]
        if not weights:
            raise WeightsError(f"no weights of {documents.model} match {' '.join(patterns)}")
    if not weights:
        raise WeightsError(_why_none(files, documents))
    groups = {(_folder(file), _stem(file)) for file in weights}
    texts = [file for file in files if _is_text(file, documents) and _belongs(file, groups)]
    chosen = {file.path for file in (*weights, *texts)}
    return Selection(
        tuple(file for file in files if file.path in chosen),
        tuple(file for file in files if file.path not in chosen),
    )


def _weights(files: Sequence[RemoteFile], documents: Documents) -> list[RemoteFile]:
    if is_ctranslate2_whisper(documents):
        return [file for file in files if file.path == CTRANSLATE2_MODEL]
    found = [file for file in files if _is_weights(file, documents)]
    if documents.has(INDEX):
        half = find_variant(documents)
        return [file for file in found if _variant(file) == half]
    return [file for folder in _in_order(map(_folder, found)) for file in _one_group(folder, found)]


def _one_group(folder: str, found: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Of the weights in one folder those that libraries look for: `model`, else whatever has no mark of a variant."""
    here = [file for file in found if _folder(file) == folder]
    model = [file for file in here if _stem(file) == "model"]
    plain = [file for file in here if _variant(file) is None and not _stem(file).startswith(_ASIDE)]
    return model or plain


def _is_weights(file: RemoteFile, documents: Documents) -> bool:
    if not _GROUP.fullmatch(PurePosixPath(file.path).name):
        return False
    if documents.has(INDEX):
        return _folder(file) in components(documents)
    return _is_place(file, documents)


def _is_text(file: RemoteFile, documents: Documents) -> bool:
    path = PurePosixPath(file.path)
    if path.name.startswith(".") or is_code(path.name) or is_pickle(path.name):
        return False
    is_text = path.suffix.lower() in _TEXT or path.name.lower().startswith(_TEXT_NAMES)
    return is_text and _is_place(file, documents)


def _is_place(file: RemoteFile, documents: Documents) -> bool:
    folder = _folder(file)
    if documents.has(INDEX):
        return folder == "" or folder in components(documents) or folder == "feature_extractor"
    return folder == "" or _MODULE.fullmatch(folder) is not None or folder == "additional_chat_templates"


def _belongs(file: RemoteFile, groups: set[tuple[str, str]]) -> bool:
    """False for the index of weights that are not taken."""
    name = PurePosixPath(file.path).name
    if ".index." not in name:
        return True
    found = _INDEX.fullmatch(name)
    if found is None:
        return False
    stem = found["stem"] + (f".{found['variant']}" if found["variant"] else "")
    return (_folder(file), stem) in groups


def _why_none(files: Sequence[RemoteFile], documents: Documents) -> str:
    pickles = [file.path for file in files if is_pickle(file.path)]
    if pickles:
        return (
            f"{documents.model} has its weights only in a format that can run code when it is read"
            f" ({pickles[0]}); take a model with safetensors, or convert it on a machine that you can lose"
        )
    return f"{documents.model} has no weights in safetensors"


def _folder(file: RemoteFile) -> str:
    return file.path.rpartition("/")[0]


def _stem(file: RemoteFile) -> str:
    found = _GROUP.fullmatch(PurePosixPath(file.path).name)
    return found["stem"] if found else ""


def _variant(file: RemoteFile) -> str | None:
    return _stem(file).partition(".")[2] or None


def _in_order(folders: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(folders))
