"""Whether a backend can do what a request asks. Pure; knows neither wires nor workers."""

from engines.contract.chat import ChatRequest, GenerateRequest
from engines.contract.spec import BackendSpec
from server.errors import ServiceError, invalid

# Far above the 3 to 6 bytes of a token of ordinary text, and low enough to spare a tokenizer the rest.
_MOST_BYTES_PER_TOKEN = 16
_SLACK_BYTES = 64 * 1024


def check_capabilities(spec: BackendSpec, request: ChatRequest | GenerateRequest) -> None:
    """Raises VALIDATION_ERROR with the field that `spec` cannot honour."""
    if isinstance(request, ChatRequest):
        _check_chat(spec, request)
    else:
        for number, prompt in enumerate(request.prompts):
            _check_prompt(spec, prompt, "prompt" if len(request.prompts) == 1 else f"prompt.{number}")
    if request.output_format is not None and not spec.capabilities.structured_output:
        raise invalid("response_format", "is not supported by this model")


def _check_chat(spec: BackendSpec, request: ChatRequest) -> None:
    if request.tools and not spec.capabilities.tools:
        raise invalid("tools", "are not supported by this model")
    if request.thinking and not spec.capabilities.reasoning:
        raise invalid("thinking", "is not supported by this model")
    if sum(len(message.content or "") for message in request.messages) > _most_chars(spec):
        raise _too_long("messages", spec)


def _check_prompt(spec: BackendSpec, prompt: str | tuple[int, ...], field: str) -> None:
    limit = _most_chars(spec) if isinstance(prompt, str) else spec.context_window
    if len(prompt) > limit:
        raise _too_long(field, spec)


def _most_chars(spec: BackendSpec) -> int:
    """More cannot fit and is refused before a tokenizer reads it; the engine counts exactly."""
    return spec.context_window * _MOST_BYTES_PER_TOKEN + _SLACK_BYTES


def _too_long(field: str, spec: BackendSpec) -> ServiceError:
    return invalid(field, f"must fit the context window of {spec.context_window} tokens")
