"""What is asked of each model, and whether an answer is right. Knows no server.

An answer is right when it is well formed and equals the first one to the same question: every question here has only
one answer, whatever else the model computes at the time.
"""

import base64
import json
import random
import secrets
import struct
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOUND = ROOT / "tests/data/audio/camera.flac"
SPOKEN = "turn on the camera in the cellar"
NEARLY = 1e-4  # texts that share a batch are padded to the longest, which shows in the last digits
_SIDE = 64


@dataclass(frozen=True)
class Question:
    """`read` gets what must be equal out of an answer; it raises WrongAnswer, ValueError, KeyError or IndexError."""

    name: str
    model: str
    path: str
    content: bytes
    content_type: str
    read: Callable[[bytes], Any]


class WrongAnswer(Exception):
    """The message says what is wrong with it."""


@dataclass
class FirstAnswers:
    """Answers by question. For many threads."""

    _by_name: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, question: Question, content: bytes) -> str | None:
        """What is wrong with the answer, None if nothing is."""
        try:
            answer = question.read(content)
        except (
            WrongAnswer,
            ValueError,
            KeyError,
            IndexError,
            TypeError,
            AttributeError,
            zlib.error,
        ) as error:
            return f"{question.name}: {type(error).__name__}: {error}"
        with self._lock:
            first = self._by_name.setdefault(question.name, answer)
        return None if _is_same(first, answer) else f"{question.name}: {_shown(answer)} after {_shown(first)}"


def questions(kind: str, model: str) -> list[Question]:
    """Of a model of that kind: chat, embed, rerank, image, transcribe or speech."""
    return _KINDS[kind](model)


def _json(
    name: str, model: str, path: str, body: Mapping[str, Any], read: Callable[[bytes], Any]
) -> Question:
    content = json.dumps({"model": model} | dict(body)).encode()
    return Question(f"{model} {name}", model, path, content, "application/json", read)


def _chat(model: str) -> list[Question]:
    texts = ("Hello!", "How are you?", "What is the capital of France?", "Count to five.")
    found = []
    for number, text in enumerate(texts):
        body = {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 24}
        path = "/v1/inference/chat" if number % 2 else "/oai/v1/chat/completions"
        found.append(_json(text, model, path, body, _read_chat))
    return found


def _embed(model: str) -> list[Question]:
    texts = ("a dog", "The cat sleeps on the chair.", "Where is the station?", "rain " * 40)
    return [_json(text[:20], model, "/oai/v1/embeddings", {"input": text}, _read_vector) for text in texts]


def _rerank(model: str) -> list[Question]:
    body = {
        "query": "Where do cats sleep?",
        "documents": ["Cats sleep on chairs.", "A train is late.", "Dogs bark."],
    }
    return [_json("cats", model, "/oai/v1/rerank", body, _read_scores)]


def _image(model: str) -> list[Question]:
    prompts = ("a red circle on a blue background", "a green square on a white background")
    body = {"response_format": "b64_json", "size": f"{_SIDE}x{_SIDE}"}
    return [
        _json(
            prompt,
            model,
            "/oai/v1/images/generations",
            body | {"prompt": prompt, "seed": seed},
            _read_picture,
        )
        for seed, prompt in enumerate(prompts)
    ]


def _transcribe(model: str) -> list[Question]:
    boundary = secrets.token_hex(16)
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("model", model), ("language", "en"))
    )
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{SOUND.name}"\r\n\r\n'
    content = (fields + head).encode() + SOUND.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    content_type = f"multipart/form-data; boundary={boundary}"
    path = "/oai/v1/audio/transcriptions"
    return [Question(f"{model} camera", model, path, content, content_type, _read_transcript)]


def _speech(model: str) -> list[Question]:
    texts = ("The lamp is red.", "Please open the window in the kitchen.")
    body = {"voice": "alloy", "response_format": "wav", "seed": 7}
    return [_json(text, model, "/oai/v1/audio/speech", body | {"input": text}, _read_sound) for text in texts]


_KINDS: Mapping[str, Callable[[str], list[Question]]] = {
    "chat": _chat,
    "embed": _embed,
    "rerank": _rerank,
    "image": _image,
    "transcribe": _transcribe,
    "speech": _speech,
}


def _read_chat(content: bytes) -> str:
    body = json.loads(content)
    text = str(body.get("data", body)["choices"][0]["message"]["content"])
    return _insist(text, bool(text.strip()), "no text")


def _read_vector(content: bytes) -> list[float]:
    vector = [float(value) for value in json.loads(content)["data"][0]["embedding"]]
    length = sum(value * value for value in vector)
    return _insist(
        vector, len(vector) > 1 and abs(length - 1.0) < 1e-3, f"{len(vector)} values of length {length}"
    )


def _read_scores(content: bytes) -> list[float]:
    results = sorted(json.loads(content)["results"], key=lambda result: result["index"])
    scores = [float(result["relevance_score"]) for result in results]
    return _insist(scores, len(scores) == 3 and scores[0] == max(scores), f"scores {scores}")


def _read_picture(content: bytes) -> bytes:
    """The file, whose pixels can be unpacked."""
    picture = base64.b64decode(json.loads(content)["data"][0]["b64_json"], validate=True)
    _insist(picture, picture.startswith(b"\x89PNG\r\n\x1a\n"), "no PNG")
    packed, place, shape = b"", 8, (0, 0)
    while place < len(picture):
        (size,), kind = struct.unpack_from(">I", picture, place), picture[place + 4 : place + 8]
        chunk = picture[place + 8 : place + 8 + size]
        shape = struct.unpack_from(">II", chunk) if kind == b"IHDR" else shape
        packed += chunk if kind == b"IDAT" else b""
        place += 12 + size
    num_bytes = len(zlib.decompress(packed))
    is_whole = shape == (_SIDE, _SIDE) and num_bytes == _SIDE * (1 + 3 * _SIDE)
    return _insist(picture, is_whole, f"{num_bytes} bytes of pixels for {shape}")


def _read_transcript(content: bytes) -> str:
    text = "".join(
        letter for letter in json.loads(content)["text"].lower() if letter.isalpha() or letter == " "
    )
    return _insist(text.strip(), text.strip() == SPOKEN, f"heard {text!r}")


def _read_sound(content: bytes) -> bytes:
    is_wav = content[:4] == b"RIFF" and content[8:12] == b"WAVE"
    return _insist(
        content, is_wav and len(content) > 8000, f"{len(content)} bytes that begin with {content[:12]!r}"
    )


def _insist(value: Any, is_right: bool, complaint: str) -> Any:
    if not is_right:
        raise WrongAnswer(complaint)
    return value


def _is_same(first: Any, answer: Any) -> bool:
    if not isinstance(first, list):
        return bool(first == answer)
    pairs = zip(first, answer, strict=False)
    return len(first) == len(answer) and all(abs(one - other) < NEARLY for one, other in pairs)


def _shown(answer: Any) -> str:
    if isinstance(answer, bytes):
        return f"{len(answer)} bytes with CRC {zlib.crc32(answer):08x}"
    return repr(answer)[:120]


def draw_bad(chance: random.Random, good: Question) -> tuple[Question, frozenset[int]]:
    """A request that must be refused, and the statuses with which it may be."""
    if chance.random() < 0.5:
        content = good.content.replace(good.model.encode(), b"nobody/nothing", 1)
        return Question(
            "unknown model", good.model, good.path, content, good.content_type, good.read
        ), frozenset({404})
    content, statuses = chance.choice(_BAD_BODIES)
    return Question("bad body", good.model, good.path, content, good.content_type, good.read), statuses


_BAD_BODIES = (
    (b"{", frozenset({400, 422})),
    (b"[]", frozenset({400, 422})),
    (b'{"model": 7}', frozenset({400, 422})),
    (b"", frozenset({400, 422})),
)
