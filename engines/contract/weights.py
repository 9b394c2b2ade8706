"""Refuses a model directory that could run code or is incomplete, before a library opens it; knows none.

The worker checks with it what it loads, the command line what it fetches.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from engines.contract.ctranslate2_file import NotCTranslate2, check_ctranslate2

_CODE = frozenset({".py", ".pyc", ".so", ".pyd", ".dll", ".dylib"})
_PICKLES = frozenset(
    {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".nemo", ".h5", ".keras"}
)
_CODE_KEYS = frozenset({"auto_map", "custom_pipeline"})
_VOCABULARIES = frozenset(
    {"tokenizer.json", "vocab.json", "added_tokens.json"}
)  # their inner keys are tokens
_SAFETENSORS_LENGTH_BYTES = 8
_MAX_SAFETENSORS_HEADER_BYTES = 100_000_000  # the format's own limit


class WeightsRefused(Exception):
    """The directory must not be loaded; the message names the file and the reason."""


def check_weights(directory: Path, allowed_files: Mapping[str, str]) -> None:
    """Raise WeightsRefused unless everything below `directory` is safe and whole. Reads headers only; blocks.

    `allowed_files` maps relative paths to the SHA-256 (hex) of files to let through although their kind is refused.
    """
    if not directory.is_dir():
        raise WeightsRefused(f"no directory {directory}")
    if not any((directory / name).is_file() for name in ("config.json", "model_index.json", "modules.json")):
        raise WeightsRefused(f"no config.json in {directory}")
    for path in _files(directory):
        name = path.relative_to(directory).as_posix()
        reason = _reason_against(path)
        if reason is not None and _sha256(path) != allowed_files.get(name, "").lower():
            raise WeightsRefused(
                f"{name} {reason}; allow it by its SHA-256 in `allowed_files` if you trust it"
            )
        if path.suffix == ".safetensors":
            _check_safetensors(path, name)
        elif name.endswith(".safetensors.index.json"):
            _check_shards(path, name)


def _files(directory: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        for name in folders:
            if (Path(folder) / name).is_symlink():
                raise WeightsRefused(f"{Path(folder, name).relative_to(directory)} is a link to a directory")
        for name in sorted(names):
            yield Path(folder) / name


def is_code(name: str) -> bool:
    """Whether a file of this name is a program."""
    path = PurePosixPath(name.lower())
    return path.suffix in _CODE or ".so." in path.name


def is_pickle(name: str) -> bool:
    """Whether a file of this name is of a kind that can run code when it is read."""
    return PurePosixPath(name.lower()).suffix in _PICKLES


def check_json(path: Path) -> None:
    """Raise WeightsRefused if the file names code, or is no JSON."""
    if key := _code_key(path):
        raise WeightsRefused(f"{path.name} has the key `{key}`, which loads code")


def find_code_key(name: str, content: bytes) -> str | None:
    """The key of a JSON file that makes a library load code, if it has one. Raises WeightsRefused if it is no JSON."""
    name = PurePosixPath(name).name
    try:
        value: Any = json.loads(content)  # the lenient reader: Coqui's files hold Infinity
    except (ValueError, RecursionError) as error:
        raise WeightsRefused(f"{name} cannot be read as JSON") from error
    if name in _VOCABULARIES:
        return next((key for key in _CODE_KEYS if isinstance(value, dict) and key in value), None)
    return _find_inside(value)


def _reason_against(path: Path) -> str | None:
    if is_code(path.name):
        return "is code"
    if is_pickle(path.name) and not (path.suffix.lower() == ".bin" and _is_ctranslate2(path)):
        return "is of a kind that can run code when it is read"
    if path.suffix.lower() == ".json" and (key := _code_key(path)):
        return f"has the key `{key}`, which loads code"
    return None


def _is_ctranslate2(path: Path) -> bool:
    """CTranslate2 calls its own format `.bin` too, in which there is nothing to run."""
    try:
        check_ctranslate2(path)
    except NotCTranslate2:
        return False
    return True


def _code_key(path: Path) -> str | None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsRefused(f"{path.name} cannot be read as JSON") from error
    return find_code_key(path.name, content)


def _find_inside(value: Any) -> str | None:
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if found := _CODE_KEYS & value.keys():
                return min(found)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_safetensors(path: Path, name: str) -> None:
    """The header's last offset must be the end of the file: a longer or shorter file was cut or altered."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_SAFETENSORS_LENGTH_BYTES), "little")
        if not 0 < length <= min(size_bytes, _MAX_SAFETENSORS_HEADER_BYTES):
            raise WeightsRefused(f"{name} is cut off or not a safetensors file")
        raw = file.read(length)
    try:
        header = msgspec.json.decode(raw, type=dict[str, dict[str, Any]])
        ends = [tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"]
        expected = _SAFETENSORS_LENGTH_BYTES + length + max(ends, default=0)
    except (msgspec.MsgspecError, LookupError, TypeError) as error:
        raise WeightsRefused(f"{name} has a broken header") from error
    if size_bytes != expected:
        raise WeightsRefused(f"{name} has {size_bytes} bytes where its header says {expected}")


def _check_shards(path: Path, name: str) -> None:
    try:
        shards = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])["weight_map"].values()
    except (msgspec.MsgspecError, LookupError, AttributeError) as error:
        raise WeightsRefused(f"{name} has no weight map") from error
    for shard in sorted(set(shards)):
        if not (path.parent / shard).is_file():
            raise WeightsRefused(f"{shard} is missing (named in {name})")
