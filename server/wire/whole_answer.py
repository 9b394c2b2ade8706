"""Base of renderers whose answer always comes whole: the streaming half of a `Renderer`, which is never used."""

from collections.abc import Sequence

from engines.contract.requests import Item
from engines.contract.types import Usage
from server.errors import ServiceError
from server.streaming import JSON, StreamFormat


class WholeAnswer:
    """A JSON body; routes never stream it."""

    stream_format = StreamFormat(JSON)
    whole_type = JSON

    def items(self, items: Sequence[Item]) -> bytes:
        return b""

    def end(self, usage: Usage) -> bytes:
        return b""

    def failure(self, error: ServiceError) -> bytes | None:
        return None
