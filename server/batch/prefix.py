"""Which lines begin with the same text, so that they run one after the other and share the prompt cache. Pure.

A key is a digest of the text's first 64, 256, 1024 ... characters each: keys that sort next to each other belong to
texts with a long common beginning, and a key is 40 bytes however long the text is.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from server.batch.endpoints import Endpoint
from server.envelope import to_json

PREFIX_CHARS = (64, 256, 1024, 4096, 16384)
"""The shortest is about one block of 16 tokens, the least that the engine's cache shares."""
_DIGEST_BYTES = 8


class Rankable(Protocol):
    @property
    def line_no(self) -> int: ...

    @property
    def model(self) -> str: ...

    @property
    def prefix_key(self) -> bytes: ...


def prefix_key(endpoint: Endpoint, body: Mapping[str, object]) -> bytes:
    """Empty for kinds without a prompt. `body` may hold anything."""
    match endpoint.kind:
        case "chat":
            return _key(_chat_pieces(body))
        case "generate":
            return _key(_prompt_pieces(body.get("prompt")))
        case _:
            return b""


def execution_order(lines: Sequence[Rankable]) -> list[int]:
    """The line numbers in the order in which they should run: by model, then by prefix, then as they came."""
    ranked = sorted(lines, key=lambda line: (line.model, line.prefix_key, line.line_no))
    return [line.line_no for line in ranked]


def _key(pieces: Iterator[str]) -> bytes:
    text = _beginning(pieces)
    limits = [limit for limit in PREFIX_CHARS if limit < len(text)]
    digests = [_digest(text[:limit]) for limit in limits]
    return b"".join([*digests, _digest(text)]) if len(text) <= PREFIX_CHARS[-1] else b"".join(digests)


def _beginning(pieces: Iterator[str]) -> str:
    """One character more than the longest prefix, to tell a text that goes on from one that ends there."""
    most = PREFIX_CHARS[-1] + 1
    text = ""
    for piece in pieces:
        text += piece[: most - len(text)]
        if len(text) == most:
            break
    return text


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


def _chat_pieces(body: Mapping[str, object]) -> Iterator[str]:
    """Near enough to what templates make: system texts and tools first, then the turns in their order."""
    found = body.get("messages")
    messages = found if isinstance(found, list) else []
    system = [message for message in messages if _is_system(message)]
    yield from map(_text, system)
    yield _text(body.get("tools"))
    yield from (_text(message) for message in messages if not _is_system(message))


def _is_system(message: object) -> bool:
    return isinstance(message, dict) and message.get("role") in ("system", "developer")


def _prompt_pieces(prompt: object) -> Iterator[str]:
    """Of several prompts the first decides."""
    first = prompt[0] if isinstance(prompt, list) and prompt else prompt
    yield first if isinstance(first, str) else _text(prompt)


def _text(value: object) -> str:
    return to_json(value).decode()
