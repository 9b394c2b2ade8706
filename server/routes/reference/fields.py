"""The JSON schema of a request as rows, one per field, nested ones by their path. Pure; knows no HTML."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MAX_DEPTH = 4
Schema = Mapping[str, Any]

_MACHINE_LIMIT = 2**31 - 1  # bounds of this size and above say nothing to a reader
_BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "below {}"),
    ("maxItems", "at most {} entries"),
    ("maxLength", "at most {} characters"),
)


class FieldRow(NamedTuple):
    """`limits` holds one phrase per rule, the default among them."""

    path: str
    kind: str
    is_required: bool
    limits: tuple[str, ...]
    description: str


def field_rows(schema: Schema, document: Schema, prefix: str = "", depth: int = 1) -> Iterator[FieldRow]:
    """Every field of an object schema, required ones first, each followed by its own fields.

    `$ref`s are looked up in `document`.
    """
    required = frozenset(schema.get("required", ()))
    for name, given in sorted(schema.get("properties", {}).items(), key=lambda item: item[0] not in required):
        branches = _branches(given, document)
        path = prefix + name
        limits = _limits(given, branches, document)
        yield FieldRow(path, _kind(branches, document), name in required, limits, _text(given, branches))
        if depth < MAX_DEPTH:
            for suffix, child in _children(branches, document):
                yield from field_rows(child, document, path + suffix, depth + 1)


def parameter_row(parameter: Schema, document: Schema) -> FieldRow:
    """The row of a query or path parameter."""
    schema = parameter["schema"]
    branches = _branches(schema, document)
    text = parameter.get("description") or f"In the {parameter['in']}."
    is_required = bool(parameter.get("required"))
    return FieldRow(
        parameter["name"], _kind(branches, document), is_required, _limits(schema, branches, document), text
    )


def resolve(schema: Schema, document: Schema) -> Schema:
    """`schema` itself, or what its `$ref` names."""
    found: Any = schema
    while isinstance(reference := found.get("$ref"), str):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        found = place
    return found  # type: ignore[no-any-return]  # schemas are JSON


def _branches(schema: Schema, document: Schema) -> list[Schema]:
    """The alternatives of a union, flattened, without null: null means absent in every body."""
    schema = resolve(schema, document)
    unions: Sequence[Schema] = schema.get("anyOf") or schema.get("oneOf") or ()
    if not unions:
        return [] if schema.get("type") == "null" else [schema]
    return [branch for union in unions for branch in _branches(union, document)]


def _kind(branches: Sequence[Schema], document: Schema) -> str:
    return " or ".join(dict.fromkeys(_word(branch, document) for branch in branches)) or "null"


def _word(branch: Schema, document: Schema) -> str:
    kind = branch.get("type")
    if kind != "array":
        return str(kind or "any")
    items = _branches(branch.get("items", {}), document)
    words = " or ".join(dict.fromkeys(str(item.get("type", "any")) for item in items))
    return f"array of {words}s"


def _limits(given: Schema, branches: Sequence[Schema], document: Schema) -> tuple[str, ...]:
    items = (item for branch in branches for item in _branches(branch.get("items", {}), document))
    phrases = [phrase for branch in branches for phrase in _branch_limits(branch)]
    phrases += [f"each {words}" for item in items for words in _branch_limits(item) if words not in phrases]
    if given.get("default") is not None:
        phrases.append(f"default {given['default']}")
    return tuple(dict.fromkeys(phrases))


def _branch_limits(branch: Schema) -> Iterator[str]:
    values = branch.get("enum") or ([branch["const"]] if "const" in branch else [])
    if values:
        yield "one of " + ", ".join(map(str, values))
    if branch.get("minLength") or branch.get("minItems"):
        yield "not empty"
    bounds = {key: branch[key] for key, _ in _BOUNDS if abs(branch.get(key, _MACHINE_LIMIT)) < _MACHINE_LIMIT}
    if {"minimum", "maximum"} <= bounds.keys():
        yield f"{_plain(bounds.pop('minimum'))} to {_plain(bounds.pop('maximum'))}"
    for key, words in _BOUNDS:
        if key in bounds:
            yield words.format(_plain(bounds[key]))
    if "pattern" in branch:
        yield f"matches {branch['pattern']}"


def _plain(bound: object) -> object:
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def _text(given: Schema, branches: Sequence[Schema]) -> str:
    """Pydantic puts the description of an optional field into the branch that is not null."""
    return next((str(found["description"]) for found in (given, *branches) if "description" in found), "")


def _children(branches: Sequence[Schema], document: Schema) -> Iterator[tuple[str, Schema]]:
    for branch in branches:
        if branch.get("properties"):
            yield ".", branch
        elif branch.get("type") == "array":
            for item in _branches(branch.get("items", {}), document):
                if item.get("properties"):
                    yield "[].", item
