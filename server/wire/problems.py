"""What pydantic found wrong, in our own words. Never repeats anything that the client sent."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engines.contract.errors import ErrorCode
from server.errors import FieldProblem, ServiceError

_MAX_PROBLEMS = 16
_UNION_MARK = "~"  # tags of unions start with it; they are ours and no part of the body's path

_WORDS = {
    "missing": "is required",
    "none_required": "is not supported",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "greater_than": "must be greater than {gt}",
    "less_than": "must be less than {lt}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length} entries",
    "string_pattern_mismatch": "must match {pattern}",
    "literal_error": "must be {expected}",
}
OURS = "ours"  # type of errors whose message we wrote ourselves


def validation_error(error: ValidationError) -> ServiceError:
    """A VALIDATION_ERROR with one entry per problem, at most _MAX_PROBLEMS."""
    found = error.errors(include_url=False, include_input=False)[:_MAX_PROBLEMS]
    problems = tuple(FieldProblem(_path(item["loc"]), _words(item)) for item in found)
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ServiceError(ErrorCode.VALIDATION_ERROR, f"{first.field}: {first.message}{more}", details=problems)


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc if not str(part).startswith(_UNION_MARK)) or "body"


def _words(item: ErrorDetails) -> str:
    if item["type"] == OURS:
        return item["msg"]
    bounds = {name: _plain(value) for name, value in item.get("ctx", {}).items()}
    return _WORDS.get(item["type"], "is not valid").format(**bounds)


def _plain(value: object) -> object:
    """Bounds of float fields without a trailing `.0`."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
