"""Writes the JSON Schema of model configurations, for editors; `server.catalog` is what decides.

python scripts/make_schema.py [--check]
"""

import argparse
import importlib.resources
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from engines.contract.options import OptionsError, engine_module
from engines.contract.spec import BackendSpec

SCHEMA_FILE = Path(__file__).resolve().parents[1] / "docs" / "model_config.schema.json"
_EXPLAINED = re.compile(r"`(\w+)`: (.*?)(?= `\w+`: |\n|$)")
_REF = "#/$defs/{name}"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--check", action="store_true", help="only say whether the file is current")
    wanted = render()
    if not arguments.parse_args().check:
        SCHEMA_FILE.write_text(wanted, encoding="utf-8")
        return 0
    if SCHEMA_FILE.exists() and SCHEMA_FILE.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{SCHEMA_FILE.name} is not current: run python scripts/make_schema.py", file=sys.stderr)
    return 1


def render() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """The backend's schema with the file's liberties; what `options` may hold depends on `engine`."""
    options = engine_options()
    (backend, *references), definitions = msgspec.json.schema_components(
        [BackendSpec, *options.values()], ref_template=_REF
    )
    for reference, engine in zip(references, options, strict=True):
        definitions[f"{engine}_options"] = definitions.pop(reference["$ref"].rpartition("/")[2])
    for definition in definitions.values():
        _explain_properties(definition)
    _allow_short_forms(definitions["BackendSpec"])
    definitions["BackendSpec"]["allOf"] = [_condition(engine) for engine in options]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hearth model configuration",
        **backend,
        "$defs": definitions,
    }


def engine_options() -> dict[str, type[msgspec.Struct]]:
    """The `Options` of every engine in the package, by the engine's name."""
    found: dict[str, type[msgspec.Struct]] = {}
    for file in sorted(importlib.resources.files("engines").iterdir(), key=lambda item: item.name):
        name, dot, suffix = file.name.partition(".")
        if dot and suffix == "py" and name != "__init__":
            try:
                found[name] = engine_module(name).Options
            except OptionsError:
                continue  # a part of an engine
    return found


def _allow_short_forms(backend: dict[str, Any]) -> None:
    backend["required"].remove("id")
    frontend = backend["properties"]["frontends"]["items"]
    backend["properties"]["frontends"]["items"] = {"anyOf": [{"type": "string"}, frontend]}


def _condition(engine: str) -> dict[str, Any]:
    is_engine = {"properties": {"engine": {"const": engine}}, "required": ["engine"]}
    return {"if": is_engine, "then": {"properties": {"options": {"$ref": f"#/$defs/{engine}_options"}}}}


def _explain_properties(definition: dict[str, Any]) -> None:
    """Docstrings say "`name`: what it means"; editors want that at the property."""
    text = inspect.cleandoc(
        definition.get("description", "")
    )  # Python 3.13 removes the indentation, 3.11 does not
    if text:
        definition["description"] = text
    for name, meaning in _EXPLAINED.findall(text):
        if name in definition.get("properties", {}):
            definition["properties"][name]["description"] = meaning.strip()


if __name__ == "__main__":
    sys.exit(main())
