"""Request bodies that /docs offers to try, and answers where no text shows one. They fit the starter models."""

import struct
from typing import Any

from engines.contract.embed import Scores, Vectors
from engines.contract.requests import Item
from engines.contract.transcribe import Segment, TranscriptInfo
from engines.contract.types import Usage

_MODEL = "starter/chat"
_WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
_PERSON_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def _ask(question: str, **more: Any) -> dict[str, Any]:
    return {"model": _MODEL, "messages": [{"role": "user", "content": question}]} | more


CHAT: dict[str, dict[str, Any]] = {
    "question": _ask("What is the capital of France?", max_tokens=32),
    "stream": _ask("Count from 1 to 20", stream=True),
    "tools": _ask("What is the weather in Paris?", tools=[_WEATHER_TOOL]),
    "structured": _ask(
        "Give JSON for Anna, age 7.",
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": _PERSON_SCHEMA}},
    ),
}
IMAGE: dict[str, dict[str, Any]] = {
    "link": {"model": "starter/image", "prompt": "a red circle on a blue background"},
    "file": {
        "model": "starter/image",
        "prompt": "a small green square on a white background",
        "n": 2,
        "seed": 7,
        "response_format": "b64_json",
    },
    "stream": {"model": "starter/image", "prompt": "a red circle on a blue background", "stream": True},
}
COMPLETION: dict[str, dict[str, Any]] = {
    "prompt": {"model": _MODEL, "prompt": "The capital of France is", "max_tokens": 8, "temperature": 0},
    "several": {"model": _MODEL, "prompt": ["One, two,", "Red, green,"], "max_tokens": 8},
}
EMBED: dict[str, dict[str, Any]] = {
    "text": {"model": "starter/embed", "input": "How do I bake bread?"},
    "several": {
        "model": "starter/embed",
        "input": ["A loaf of bread.", "The night train."],
        "dimensions": 64,
    },
}
VECTORS = (Vectors(0, 4, struct.pack("<4f", 0.5, -0.5, 0.5, -0.5)),)
EMBED_USAGE = Usage(8, 0)
RERANK: dict[str, dict[str, Any]] = {
    "documents": {
        "model": "starter/rerank",
        "query": "How do I bake bread?",
        "documents": ["The night train.", "Knead the dough, let it rise, then put it into a hot oven."],
        "top_n": 1,
    }
}
SCORES = (Scores(0, (0.015625, 0.96875)),)
RERANK_USAGE = Usage(40, 0)
TRANSCRIBE: dict[str, dict[str, Any]] = {
    "text": {"file": "@speech.wav", "model": "starter/transcribe"},
    "subtitles": {"file": "@film.mp4", "model": "starter/transcribe", "response_format": "srt"},
    "words": {
        "file": "@speech.wav",
        "model": "starter/transcribe",
        "response_format": "verbose_json",
        "timestamp_granularities[]": "word",
    },
}
TRANSCRIPT: tuple[Item, ...] = (
    TranscriptInfo("en", 0.99, 1.69),
    Segment(0, 0.0, 1.46, " turn on the light in the kitchen"),
)
TRANSCRIPT_USAGE = Usage(0, 9, audio_s=1.69)
SPEECH: dict[str, dict[str, Any]] = {
    "sentence": {"model": "starter/speech", "input": "The kettle is on.", "response_format": "wav"},
    "events": {"model": "starter/speech", "input": "One. Two. Three.", "stream_format": "sse"},
}
