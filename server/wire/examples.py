"""Request bodies that /docs offers to try. They fit the starter model."""

from typing import Any

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
