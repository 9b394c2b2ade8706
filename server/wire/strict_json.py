"""JSON text to a dictionary, refusing all that parsers disagree about. Knows no request and no field."""

import json
import math

import orjson

from server.errors import ServiceError, invalid

MAX_DEPTH = 64
_MAX_INT_DIGITS = 20
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1


def decode_object(raw: bytes) -> dict[str, object]:
    """The JSON object that `raw` holds.

    Raises VALIDATION_ERROR about `body` for anything but strict JSON (RFC 8259) in UTF-8, no BOM; also for
    NaN, Infinity, numbers beyond a double or 64 bits, duplicate keys, lone surrogates, too deep nesting.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise invalid("body", "must be UTF-8") from None
    if text.startswith("\ufeff"):
        raise invalid("body", "must not start with a byte order mark")

    value = _scan(text)

    if not isinstance(value, dict):
        raise invalid("body", "must be a JSON object")
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    if "\\ud" in text or "\\uD" in text:
        _check_surrogates(value)
    return value


def _scan(text: str) -> object:
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno} " if "\n" in text else ""
        where = f"{line}column {error.colno}" if text.strip() else "it is empty"
        raise invalid("body", f"is not valid JSON: {where}") from None
    except RecursionError:
        raise _too_deep() from None
    return value


def _check_depth(value: dict[str, object]) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else _items(parent))
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _too_deep() -> ServiceError:
    return invalid("body", f"is nested deeper than {MAX_DEPTH} levels")


def _check_surrogates(value: dict[str, object]) -> None:
    """orjson encodes valid Unicode only, and tells so faster than a walk in Python."""
    try:
        orjson.dumps(value)
    except TypeError:
        raise invalid("body", "holds a lone surrogate") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise invalid("body", "has an object with a duplicate key")
    return value


def _integer(digits: str) -> int:
    # The length comes first: int() of very long text is quadratic.
    if len(digits) > _MAX_INT_DIGITS or not _MIN_INT <= (value := int(digits)) <= _MAX_INT:
        raise invalid("body", "holds an integer beyond 64 bits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise invalid("body", "holds a number beyond double precision")
    return value


def _constant(_: str) -> float:
    raise invalid("body", "holds NaN or Infinity, which JSON does not have")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
