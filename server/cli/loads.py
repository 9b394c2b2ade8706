"""Requests for each modality that `hearth bench` sends, and what is counted in their answers. Sends nothing."""

import io
import json
import math
import struct
import wave
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

SOUND_S = 4
_RATE_HZ = 16_000
_SENTENCE = "The night train leaves the old harbour at nine and crosses three rivers before the sun comes up."
_TEXTS = 16


class Load(msgspec.Struct, frozen=True):
    """`content` are arguments of httpx for request number n; `count` is how many `unit`s an answer has."""

    path: str
    unit: str
    content: Callable[[int], dict[str, Any]]
    count: Callable[[bytes], float]
    is_stream: bool = False


def load_for(card: Mapping[str, Any], max_tokens: int) -> Load | None:
    """None for a modality that nothing is known of. No two requests are alike, so that no cache answers."""
    model, modality = card["slug"], card["modality"]
    if modality == "chat":
        return _chat(model, max_tokens)
    if modality == "embedding":
        return Load("/oai/v1/embeddings", "texts", lambda n: _json(model, input=_texts(n)), lambda _: _TEXTS)
    if modality == "rerank":
        return Load(
            "/oai/v1/rerank",
            "documents",
            lambda n: _json(model, query=f"Where does train {n} go?", documents=_texts(n)),
            lambda _: _TEXTS,
        )
    if modality == "image":
        return Load("/oai/v1/images/generations", "images", lambda n: _picture(model, n), lambda _: 1)
    if modality == "audio" and card["capabilities"]["synthesize"]:
        return Load(
            "/oai/v1/audio/speech",
            "sound s",
            lambda n: _json(model, input=f"Number {n}. {_SENTENCE}", response_format="wav"),
            _seconds,
        )
    if modality == "audio":
        return Load("/oai/v1/audio/transcriptions", "sound s", lambda n: _sound(model, n), lambda _: SOUND_S)
    return None


def has_words(event: bytes) -> bool:
    """Whether an event of a chat's stream has something to read; the first one often only names the role."""
    deltas = [choice["delta"] for choice in json.loads(event).get("choices", [])]
    return any(value for delta in deltas for name, value in delta.items() if name != "role")


def tokens_of(event: bytes) -> int:
    """Of the event of a chat's stream that tells the usage; 0 for others."""
    usage = json.loads(event).get("usage") if b'"usage"' in event else None
    return int(usage["completion_tokens"]) if usage else 0


def _chat(model: str, max_tokens: int) -> Load:
    def content(number: int) -> dict[str, Any]:
        messages = [{"role": "user", "content": f"{number}: tell a long story that begins so. {_SENTENCE}"}]
        options = {"stream_options": {"include_usage": True}, "max_tokens": max_tokens}
        return _json(model, messages=messages, stream=True, **options)

    return Load("/oai/v1/chat/completions", "tokens", content, lambda _: 0, is_stream=True)


def _json(model: str, **fields: Any) -> dict[str, Any]:
    return {"json": {"model": model} | fields}


def _texts(number: int) -> list[str]:
    return [f"Text {number}-{place}. {_SENTENCE}" for place in range(_TEXTS)]


def _picture(model: str, number: int) -> dict[str, Any]:
    return _json(model, prompt=f"{number} red circles on a blue background", response_format="b64_json")


def _sound(model: str, number: int) -> dict[str, Any]:
    """A tone that rises: what is heard in it does not matter, the work is the same."""
    step = 2 * math.pi * (200 + number % 50) / _RATE_HZ
    samples = [int(8000 * math.sin(step * n * (1 + n / 1e5))) for n in range(SOUND_S * _RATE_HZ)]
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE_HZ)
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return {"data": {"model": model}, "files": {"file": ("tone.wav", file.getvalue())}}


def _seconds(answer: bytes) -> float:
    """Of WAV as it is streamed: its header may not know the length yet."""
    channels, rate, _, _, bits = struct.unpack_from("<HIIHH", answer, 22)
    return float((len(answer) - 44) / (rate * channels * bits / 8))
