"""Answers of an embedding request as bytes: OpenAI's list, natively within the envelope."""

import base64
from collections.abc import Callable, Iterator, Sequence

import orjson

from engines.contract.embed import Vectors
from engines.contract.requests import Item
from engines.contract.types import Usage
from server.envelope import success, to_json
from server.wire.embed_body import Encoding
from server.wire.whole_answer import WholeAnswer

_FLOAT_BYTES = 4


class NativeEmbed(WholeAnswer):
    """`Renderer` of POST /v1/inference/embed."""

    def __init__(self, model: str, encoding: Encoding, request_id: str) -> None:
        self._model = model
        self._encoding = encoding
        self._request_id = request_id

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        return to_json(success(_listing(self._model, self._encoding, items, usage), self._request_id))


class OpenAIEmbed(WholeAnswer):
    """`Renderer` of POST /oai/v1/embeddings."""

    def __init__(self, model: str, encoding: Encoding) -> None:
        self._model = model
        self._encoding = encoding

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        return to_json(_listing(self._model, self._encoding, items, usage))


def _listing(model: str, encoding: Encoding, items: Sequence[Item], usage: Usage) -> dict[str, object]:
    render = _base64 if encoding == "base64" else _floats
    parts = sorted((item for item in items if isinstance(item, Vectors)), key=lambda part: part.first)
    return {
        "object": "list",
        "data": [entry for part in parts for entry in _entries(part, render)],
        "model": model,
        "usage": {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.total_tokens},
    }


def _entries(part: Vectors, render: Callable[[memoryview], object]) -> Iterator[dict[str, object]]:
    data = memoryview(part.data)
    size = part.dimensions * _FLOAT_BYTES
    for row in range(len(data) // size):
        vector = render(data[row * size : (row + 1) * size])
        yield {"object": "embedding", "index": part.first + row, "embedding": vector}


def _floats(vector: memoryview) -> orjson.Fragment:
    """Encoded one vector at a time: as Python floats a large answer would take eight times its size."""
    return orjson.Fragment(orjson.dumps(vector.cast("f").tolist()))


def _base64(vector: memoryview) -> str:
    return base64.b64encode(vector).decode()
