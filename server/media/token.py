"""Tokens that give access to one file until a time: nothing about them is stored. Knows no file and no clock."""

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import struct
from pathlib import Path
from typing import NamedTuple

PATH_PREFIX = "/v1/media/"
ROUTE = PATH_PREFIX + "{token}"
CONTENT_TYPES = ("image/png",)
"""All that is ever served: formats that we encoded ourselves. Their places are part of tokens: only append."""
_KEY_BYTES = 32
_CLAIM = struct.Struct(">32sQB")  # digest, expiry in Unix seconds, place of the content type
_TOKEN_CHARS = -(-(_CLAIM.size + hashlib.sha256().digest_size) * 8 // 6)
PUBLIC_PATH = re.compile(PATH_PREFIX + rf"[A-Za-z0-9_-]{{{_TOKEN_CHARS}}}")
"""The paths that need no key: the token is the proof. Matches whole paths of one length, so nothing hides in one."""


class Claim(NamedTuple):
    """What a token says. `digest` is the SHA-256 of the file."""

    digest: bytes
    expires_at: int
    content_type: str


class Signer:
    """Makes and reads tokens with HMAC-SHA256."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, claim: Claim) -> str:
        said = _CLAIM.pack(claim.digest, claim.expires_at, CONTENT_TYPES.index(claim.content_type))
        return _encode(said + self._mac(said))

    def read(self, token: str) -> Claim | None:
        """What it says; None unless every bit of it is ours. Says nothing about the time."""
        raw = _decode(token)
        if raw is None or len(raw) != _CLAIM.size + hashlib.sha256().digest_size:
            return None
        said, mac = raw[: _CLAIM.size], raw[_CLAIM.size :]
        if not hmac.compare_digest(mac, self._mac(said)):
            return None
        digest, expires_at, place = _CLAIM.unpack(said)
        return Claim(digest, expires_at, CONTENT_TYPES[place])

    def _mac(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, hashlib.sha256)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(token: str) -> bytes | None:
    """None also for a second spelling of the same bytes: base64's last character has bits to spare."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if _encode(raw) == token else None


def load_key(file: Path) -> bytes:
    """The key in `file`, made at the first start, readable by its owner only. Blocks. Raises OSError."""
    part = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    if not file.exists():
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        part.rename(file)
    key = file.read_bytes()
    if len(key) != _KEY_BYTES:
        raise OSError(f"{file.name} does not hold a key of {_KEY_BYTES} bytes")
    return key
