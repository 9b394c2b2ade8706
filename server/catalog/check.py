"""Every mistake in a mapping that should be a struct; `msgspec.convert` stops at the first. Knows no file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect, structs

from server.catalog.problems import suggest_key

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")


class Mistake(NamedTuple):
    """`path` is dotted and starts at the mapping that was checked."""

    path: str
    message: str
    suggestion: str | None = None


def find_mistakes(value: object, struct: type[msgspec.Struct], path: str = "") -> Iterator[Mistake]:
    """Unknown keys, missing keys and wrong values of `value` and of everything inside it."""
    if not isinstance(value, Mapping):
        yield Mistake(path, f"must be a mapping, not {_name_of(value)}")
        return
    fields = {field.encode_name: field for field in structs.fields(struct)}
    for key in value:
        if key not in fields:
            yield Mistake(_join(path, str(key)), "unknown key", suggest_key(str(key), fields))
    for name, field in fields.items():
        if name in value:
            yield from _check_field(value[name], field.type, _join(path, name))
        elif field.required:
            yield Mistake(_join(path, name), "is missing")


def _check_field(value: object, annotation: Any, path: str) -> Iterator[Mistake]:
    kind = inspect.type_info(annotation)
    if isinstance(kind, inspect.StructType):
        yield from find_mistakes(value, kind.cls, path)
        return
    item = getattr(kind, "item_type", None)
    if isinstance(item, inspect.StructType) and isinstance(value, list | tuple):
        for number, element in enumerate(value):
            yield from find_mistakes(element, item.cls, f"{path}[{number}]")
        if value:
            return
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        yield _from_msgspec(error, path)


def _from_msgspec(error: msgspec.ValidationError, path: str) -> Mistake:
    message = str(error)
    place = _PLACE.search(message)
    if place:
        message, path = message[: place.start()], path + place["path"]
    return Mistake(path, message[:1].lower() + message[1:])


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _name_of(value: object) -> str:
    return "nothing" if value is None else f"`{type(value).__name__}`"
