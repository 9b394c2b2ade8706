"""Bounds of JSON schemas that clients send, kept far below what breaks a grammar compiler."""

from typing import Any

import orjson

from server.errors import invalid

MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_DEPTH = 32
MAX_PATTERN_BYTES = 2 * 1024
MAX_TOOLS_BYTES = 256 * 1024


def check_schema(schema: dict[str, Any], field: str) -> int:
    """The size in bytes. Raises VALIDATION_ERROR about `field`. What it means is for the engine to say."""
    size_bytes = len(orjson.dumps(schema))
    if size_bytes > MAX_SCHEMA_BYTES:
        raise invalid(field, f"must have at most {MAX_SCHEMA_BYTES} bytes")
    level: list[Any] = [schema]
    for _ in range(MAX_SCHEMA_DEPTH):
        level = [child for node in level for child in _children(node, field)]
        if not level:
            return size_bytes
    raise invalid(field, f"must not be nested deeper than {MAX_SCHEMA_DEPTH} levels")


def check_object_schema(schema: dict[str, Any], field: str) -> int:
    """As `check_schema`, and the schema must describe an object, as arguments of a function are."""
    if schema.get("type", "object") != "object":
        raise invalid(f"{field}.type", "must be 'object'")
    return check_schema(schema, field)


def _children(node: Any, field: str) -> list[Any]:
    if not isinstance(node, dict):
        return [child for child in node if isinstance(child, dict | list)]
    pattern = node.get("pattern")
    # Keys too: those of patternProperties are patterns.
    texts = [*node, pattern] if isinstance(pattern, str) else node
    if any(len(text.encode()) > MAX_PATTERN_BYTES for text in texts):
        raise invalid(field, f"must not have a pattern or name above {MAX_PATTERN_BYTES} bytes")
    return [child for child in node.values() if isinstance(child, dict | list)]
