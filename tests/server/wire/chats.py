"""Bodies and requests that several tests start from."""

import json
from typing import Any

from engines.contract.chat import ChatRequest
from server.wire.chat_body import ChatBody, parse
from server.wire.json_body import validate

WEATHER_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL: dict[str, Any] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}


def chat(**fields: Any) -> dict[str, Any]:
    """A valid chat body with `fields` put over it."""
    return {"model": "starter/chat", "messages": [{"role": "user", "content": "hi"}]} | fields


def talk(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return chat(messages=list(messages), **fields)


def parsed(body: dict[str, Any]) -> ChatRequest:
    return parse(validate(json.dumps(body).encode(), ChatBody))


def nested(levels: int) -> dict[str, Any]:
    """An object schema with `levels` objects inside each other."""
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels - 1):
        schema = {"items": schema}
    return schema
