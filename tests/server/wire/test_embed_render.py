"""Vectors on the wire: exact, in input order, in both encodings and both dialects."""

import array
import base64
import json
import struct

from engines.contract.embed import Vectors
from engines.contract.types import Usage
from server.wire.embed_render import NativeEmbed, OpenAIEmbed

FIRST = Vectors(0, 2, struct.pack("<4f", 0.1, -0.2, 3e-8, 1.0))
SECOND = Vectors(2, 2, struct.pack("<2f", 0.5, 0.25))
USAGE = Usage(5, 0)


def test_numbers_are_exact_and_in_input_order() -> None:
    body = json.loads(OpenAIEmbed("m", "float").whole([SECOND, FIRST], USAGE))

    assert body["object"] == "list"
    assert body["model"] == "m"
    assert [entry["index"] for entry in body["data"]] == [0, 1, 2]
    assert {entry["object"] for entry in body["data"]} == {"embedding"}
    sent = [number for entry in body["data"] for number in entry["embedding"]]
    assert array.array("f", sent).tobytes() == FIRST.data + SECOND.data
    assert body["usage"] == {"prompt_tokens": 5, "total_tokens": 5}


def test_base64_is_little_endian_float32() -> None:
    body = json.loads(OpenAIEmbed("m", "base64").whole([FIRST], USAGE))

    assert base64.b64decode(body["data"][1]["embedding"]) == struct.pack("<2f", 3e-8, 1.0)


def test_native_answer_stands_in_the_envelope() -> None:
    body = json.loads(NativeEmbed("m", "float", "req_1").whole([SECOND], USAGE))

    assert body == {
        "status": "ok",
        "data": {
            "object": "list",
            "data": [{"object": "embedding", "index": 2, "embedding": [0.5, 0.25]}],
            "model": "m",
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
        },
        "meta": {"request_id": "req_1"},
    }
