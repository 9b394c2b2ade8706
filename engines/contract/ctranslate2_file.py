"""Tells a CTranslate2 model file from all else that ends in `.bin`, by walking its structure; reads no weights.

The layout is that of `ctranslate2.specs.model_spec`: version, name and revision of the model's kind, then each tensor
with its name, shape, type and length, then aliases; whatever a library reads from it is numbers.
"""

import re
import struct
from pathlib import Path
from typing import BinaryIO

_VERSIONS = range(4, 7)  # before 4 tensors were written otherwise
_MAX_RANK = 8
_MAX_ENTRIES = 1_000_000
_KIND = re.compile(rb"[A-Za-z0-9]{1,64}Spec")
_NAME = re.compile(rb"[\x21-\x7e]{1,512}")


class NotCTranslate2(Exception):
    """The file is something else, or was cut off."""


def check_ctranslate2(path: Path) -> None:
    """Raise NotCTranslate2 unless `path` is a CTranslate2 model from its first byte to its last."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        (version,) = _unpack(file, "<I")
        if version not in _VERSIONS or not _KIND.fullmatch(_string(file)):
            raise NotCTranslate2
        _unpack(file, "<I")  # revision
        for _ in range(_count(file)):
            _skip_tensor(file, size_bytes)
        for _ in range(_count(file)):
            _name(file)  # alias
            _name(file)  # of
        if file.tell() != size_bytes:
            raise NotCTranslate2


def _skip_tensor(file: BinaryIO, size_bytes: int) -> None:
    _name(file)
    (rank,) = _unpack(file, "<B")
    if rank > _MAX_RANK:
        raise NotCTranslate2
    _unpack(file, f"<{rank}IB")  # dimensions and number type
    (length,) = _unpack(file, "<I")
    if file.tell() + length > size_bytes:
        raise NotCTranslate2
    file.seek(length, 1)


def _count(file: BinaryIO) -> int:
    (count,) = _unpack(file, "<I")
    if count > _MAX_ENTRIES:
        raise NotCTranslate2
    return int(count)


def _name(file: BinaryIO) -> bytes:
    name = _string(file)
    if not _NAME.fullmatch(name):
        raise NotCTranslate2
    return name


def _string(file: BinaryIO) -> bytes:
    """Its length counts the zero byte at its end."""
    (length,) = _unpack(file, "<H")
    raw = file.read(length)
    if len(raw) != length or raw[-1:] != b"\0":
        raise NotCTranslate2
    return raw[:-1]


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    raw = file.read(struct.calcsize(layout))
    try:
        return struct.unpack(layout, raw)
    except struct.error as error:
        raise NotCTranslate2 from error
