"""Reads the settings once, from the environment and an optional TOML file.

`HEARTH_PORT=9000` sets `port`; `HEARTH_SETTINGS_FILE` names the file. The environment wins over the file. Whatever is
wrong is reported together, and a name that does not exist is an error, not ignored.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from server.settings import PREFIX, Settings

FILE_VARIABLE = "HEARTH_SETTINGS_FILE"
CLIENT_KEY_VARIABLE = "HEARTH_API_KEY"  # the command line's own, no setting of the server


class SettingsError(Exception):
    """The configuration cannot be used; `problems` holds one sentence per fault."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def load_settings(environ: Mapping[str, str] = os.environ, /, **overrides: Any) -> Settings:
    """The settings of this process; `overrides` (the command line) win over all. Raises SettingsError."""
    problems: list[str] = []
    from_environment = _environment_values(environ, problems)
    from_file = _file_values(environ.get(FILE_VARIABLE), problems)
    values = from_file | from_environment | overrides
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += [_describe(problem, from_environment, from_file) for problem in error.errors()]
    if problems:
        raise SettingsError(problems)
    return settings


def _environment_values(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in (FILE_VARIABLE, CLIENT_KEY_VARIABLE):
            continue
        key = name.removeprefix(PREFIX).lower()
        if key in Settings.model_fields:
            values[key] = value
        else:
            problems.append(f"{name}: no such setting{_nearest(key, prefix=PREFIX)}")
    return values


def _file_values(path: str | None, problems: list[str]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{FILE_VARIABLE}: cannot read {path}: {type(error).__name__}")
        return {}
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: {error}")
        return {}
    for key in values.keys() - Settings.model_fields.keys():
        problems.append(f"{path}: {key}: no such setting{_nearest(key)}")
        del values[key]
    return values


def _nearest(key: str, prefix: str = "") -> str:
    close = difflib.get_close_matches(key, Settings.model_fields, n=1)
    if not close:
        return ""
    return f", did you mean {prefix + close[0].upper() if prefix else close[0]}?"


def _describe(problem: Mapping[str, Any], environment: Mapping[str, Any], file: Mapping[str, Any]) -> str:
    key = str(problem["loc"][0])
    source = f"{PREFIX}{key.upper()}" if key in environment else f"{key} in the file" if key in file else key
    return f"{source}: {problem['msg']}"
