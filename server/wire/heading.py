"""What stands at the head of every object of one answer: id, creation time, model."""

import secrets
import time

import msgspec


class Heading(msgspec.Struct, frozen=True):
    """`created` is Unix time in whole seconds."""

    id: str
    created: int
    model: str

    def fields(self, kind: str) -> dict[str, object]:
        """The first members of an answer of OpenAI's object type `kind`."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def new_heading(prefix: str, model: str) -> Heading:
    """A fresh heading; `prefix` is `chatcmpl` or `cmpl`."""
    return Heading(f"{prefix}-{secrets.token_hex(12)}", int(time.time()), model)
