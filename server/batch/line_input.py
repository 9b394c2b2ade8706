"""One line of a batch's input: what it must hold before anything of the batch is run. Pure."""

import msgspec

from server.batch.endpoints import ENDPOINTS, Endpoint
from server.errors import ServiceError
from server.wire.strict_json import decode_object

MAX_CUSTOM_ID_CHARS = 512
MAX_MODEL_CHARS = 200
_MODEL = "body.model"


class LineProblem(Exception):
    """The line is none. `code` is one of OpenAI's for such problems where it has one; `param` the field at fault."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class LineInput(msgspec.Struct, frozen=True):
    """A request to `url`. Of `body` only `model` has been checked."""

    custom_id: str
    url: str
    endpoint: Endpoint
    model: str
    body: dict[str, object]


def read_line(raw: bytes) -> LineInput:
    """Raises LineProblem. Members that we do not know are ignored."""
    fields = _decode(raw)
    custom_id = _text(fields, "custom_id", "custom_id", MAX_CUSTOM_ID_CHARS)
    if _required(fields, "method", "method") != "POST":
        raise LineProblem("invalid_method", "method must be POST", "method")
    url = _required(fields, "url", "url")
    endpoint = ENDPOINTS.get(url) if isinstance(url, str) else None
    if endpoint is None or not isinstance(url, str):
        raise LineProblem("invalid_url", "url is none of the paths that a batch may use", "url")
    body = _required(fields, "body", "body")
    if not isinstance(body, dict):
        raise LineProblem("invalid_value", "body must be an object", "body")
    return LineInput(custom_id, url, endpoint, _text(body, "model", _MODEL, MAX_MODEL_CHARS), body)


def _decode(raw: bytes) -> dict[str, object]:
    try:
        return decode_object(raw)
    except ServiceError as error:
        told = error.details[0].message
        raise LineProblem("invalid_json_line", f"this line {told}") from None


def _required(fields: dict[str, object], name: str, param: str) -> object:
    value = fields.get(name)
    if value is None:
        raise LineProblem("missing_required_parameter", f"{param} is required", param)
    return value


def _text(fields: dict[str, object], name: str, param: str, max_chars: int) -> str:
    """NUL is refused because PostgreSQL's text cannot hold it."""
    value = _required(fields, name, param)
    if not isinstance(value, str) or not 1 <= len(value) <= max_chars or "\0" in value:
        message = f"{param} must be a string of 1 to {max_chars} characters, none of them NUL"
        raise LineProblem("invalid_value", message, param)
    return value
