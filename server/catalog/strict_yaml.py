"""YAML without surprises: safe tags, no duplicate keys, no aliases, bounded size. Knows nothing of models."""

from pathlib import Path
from typing import cast

import yaml

MAX_FILE_BYTES = 256 * 1024


class StrictYamlError(Exception):
    """The file is not acceptable YAML; the message names line and column where there is one."""


class _StrictLoader(yaml.SafeLoader):
    """Refuses what YAML allows but a reader would overlook."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it out
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key `{key.value}` appears twice", key.start_mark
                )
            seen.add(key.value)
        return cast(dict[object, object], super().construct_mapping(node, deep))


def read_mapping(file: Path) -> dict[object, object]:
    """The one mapping that the file holds. Raises StrictYamlError."""
    document = _parse(_read_text(file))
    if not isinstance(document, dict):
        raise StrictYamlError("must hold one mapping of keys to values")
    return document


def _read_text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise StrictYamlError(f"is larger than {MAX_FILE_BYTES // 1024} KiB")
        return content.decode("utf-8")
    except OSError as error:
        raise StrictYamlError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StrictYamlError("is not UTF-8 text") from error


def _parse(text: str) -> object:
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        raise StrictYamlError(_describe(error)) from error
    except yaml.YAMLError as error:
        raise StrictYamlError("is not YAML: it holds characters that YAML does not allow") from error
    except (RecursionError, ValueError) as error:
        raise StrictYamlError("is not usable YAML: too deep, or a value that is no date or number") from error


def _describe(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "is not YAML"
    if error.problem_mark is None:
        return problem
    return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {problem}"
