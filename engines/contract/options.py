"""Checks an engine's options without its library; knows that there is an `Options` class, not what is in it."""

import difflib
import importlib
from types import ModuleType
from typing import Any

import msgspec


class OptionsError(Exception):
    """Options that the engine does not accept. `path` names the key, `suggestion` the nearest right key."""

    def __init__(self, path: str, message: str, suggestion: str | None = None) -> None:
        hint = f" (did you mean `{suggestion}`?)" if suggestion else ""
        super().__init__(f"{path}: {message}{hint}")
        self.path = path
        self.message = message
        self.suggestion = suggestion


def engine_module(engine: str) -> ModuleType:
    """The module of an engine: `engines.<name>`, or any dotted path. Raises OptionsError if there is none."""
    path = engine if "." in engine else f"engines.{engine}"
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        raise OptionsError("engine", f"no engine `{engine}`: {error}") from error
    for name in ("Engine", "Options"):
        if not hasattr(module, name):
            raise OptionsError("engine", f"module `{path}` has no class `{name}`")
    return module


def parse_options(engine: str, options: dict[str, Any]) -> object:
    """The engine's `Options` from YAML values. Raises OptionsError for unknown keys and refused values."""
    kind = engine_module(engine).Options
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key in options:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            raise OptionsError(f"options.{key}", "unknown option", nearest[0] if nearest else None)
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        raise OptionsError("options" + path.strip("`").removeprefix("$"), message) from error
