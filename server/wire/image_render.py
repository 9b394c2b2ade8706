"""Answers of an image request as bytes, one class per dialect.

A picture is told by link where `links` has one for its index, else as base64.
"""

import base64
import time
from collections.abc import Mapping, Sequence

from engines.contract.image import ImageProgress, Picture
from engines.contract.requests import Item
from engines.contract.types import Usage
from server.envelope import error_frame, success, to_json
from server.errors import ServiceError
from server.streaming import EVENTS, JSON

Links = Mapping[int, str]


class NativeImages:
    """`Renderer` of POST /v1/inference/images/generate."""

    stream_format = EVENTS
    whole_type = JSON

    def __init__(self, model: str, request_id: str, links: Links, *, created: int | None = None) -> None:
        self._model = model
        self._request_id = request_id
        self._links = links
        self._created = created or int(time.time())

    def items(self, items: Sequence[Item]) -> bytes:
        return b"".join(map(self._event, items))

    def _event(self, item: Item) -> bytes:
        if isinstance(item, ImageProgress):
            return _frame("image.progress", {"step": item.step, "num_steps": item.num_steps})
        if isinstance(item, Picture):
            heading = {"created": self._created, "model": self._model, "index": item.index}
            return _frame("image.completed", heading | _entry(item, self._links))
        return b""

    def end(self, usage: Usage) -> bytes:
        return b""

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        data = {"created": self._created, "model": self._model, "data": _entries(items, self._links)}
        return to_json(success(data, self._request_id))

    def failure(self, error: ServiceError) -> bytes:
        return error_frame(error, openai=False)


class OpenAIImages:
    """`Renderer` of POST /oai/v1/images/generations.

    OpenAI's stream has whole files in its events, never links, and usage in them; so the last picture waits for the
    usage, which follows at once. Progress is an event of our own type, which OpenAI's SDKs hand on like any other.
    """

    stream_format = EVENTS
    whole_type = JSON

    def __init__(self, model: str, links: Links, *, created: int | None = None) -> None:
        self._model = model
        self._links = links
        self._created = created or int(time.time())
        self._held: Picture | None = None

    def items(self, items: Sequence[Item]) -> bytes:
        return b"".join(map(self._event, items))

    def _event(self, item: Item) -> bytes:
        if isinstance(item, ImageProgress):
            return _frame("image_generation.progress", {"step": item.step, "num_steps": item.num_steps})
        if isinstance(item, Picture):
            ready, self._held = self._held, item
            return b"" if ready is None else self._completed(ready, None)
        return b""

    def _completed(self, picture: Picture, usage: Usage | None) -> bytes:
        fields = {
            "created_at": self._created,
            "index": picture.index,
            "size": f"{picture.width}x{picture.height}",
            "quality": "auto",
            "background": "opaque",
            "output_format": "png",
            "usage": None if usage is None else _usage(usage),
        }
        return _frame("image_generation.completed", _entry(picture, {}) | fields)

    def end(self, usage: Usage) -> bytes:
        return b"" if self._held is None else self._completed(self._held, usage)

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        return to_json(
            {
                "created": self._created,
                "model": self._model,
                "data": _entries(items, self._links),
                "output_format": "png",
                "usage": _usage(usage),
            }
        )

    def failure(self, error: ServiceError) -> bytes:
        return error_frame(error, openai=True)


def _entries(items: Sequence[Item], links: Links) -> list[dict[str, object]]:
    pictures = sorted((item for item in items if isinstance(item, Picture)), key=lambda item: item.index)
    return [_entry(picture, links) for picture in pictures]


def _entry(picture: Picture, links: Links) -> dict[str, object]:
    link = links.get(picture.index)
    file = {"b64_json": base64.b64encode(picture.png).decode()} if link is None else {"url": link}
    return file | {"seed": picture.seed}


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "input_tokens_details": {"text_tokens": usage.prompt_tokens, "image_tokens": 0},
    }


def _frame(kind: str, fields: dict[str, object]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + to_json({"type": kind} | fields) + b"\n\n"
