"""Reads frames of an event stream back."""

import json
from typing import Any

from engines.contract.chat import Alternative, TokenLogprob


def chunks(frames: bytes) -> list[dict[str, Any]]:
    """The JSON of every frame; all must be plain `data:` frames of one line."""
    parts = frames.split(b"\n\n")
    assert parts.pop() == b""
    assert all(part.startswith(b"data: ") and b"\n" not in part for part in parts)
    return [json.loads(part.removeprefix(b"data: ")) for part in parts]


def choices(frames: bytes) -> list[dict[str, Any]]:
    """The one choice of every frame."""
    return [chunk["choices"][0] for chunk in chunks(frames)]


def drawn(token: str, logprob: float = -0.5) -> TokenLogprob:
    chosen = Alternative(token, token.encode(), logprob)
    return TokenLogprob(chosen, (chosen, Alternative("x", b"x", float("-inf"))))
