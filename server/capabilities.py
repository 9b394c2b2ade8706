"""Whether a backend can do what a request asks. Pure; knows neither wires nor workers."""

from engines.contract.chat import AudioPart, ChatRequest, GenerateRequest, ImagePart
from engines.contract.embed import EmbedRequest, RerankRequest
from engines.contract.requests import KINDS, Request
from engines.contract.spec import BackendSpec
from engines.contract.speech import SpeechRequest
from engines.contract.transcribe import TranscribeRequest
from server.errors import ServiceError, invalid

# Far above the 3 to 6 bytes of a token of ordinary text, and low enough to spare a tokenizer the rest.
_MOST_BYTES_PER_TOKEN = 16
_SLACK_BYTES = 64 * 1024


def check_capabilities(spec: BackendSpec, request: Request) -> None:
    """Raises VALIDATION_ERROR with the field that `spec` cannot honour."""
    if KINDS[type(request)].modality is not spec.modality:
        raise invalid("model", f"is of modality {spec.modality}, which this endpoint does not serve")
    match request:
        case ChatRequest():
            _check_chat(spec, request)
            _check_output(spec, request)
        case GenerateRequest():
            for number, prompt in enumerate(request.prompts):
                _check_prompt(spec, prompt, "prompt" if len(request.prompts) == 1 else f"prompt.{number}")
            _check_output(spec, request)
        case EmbedRequest():
            _check_embed(spec, request)
        case RerankRequest():
            _check_rerank(spec, request)
        case TranscribeRequest():
            _check_transcribe(spec, request)
        case SpeechRequest():
            if not spec.capabilities.synthesize:
                raise invalid("model", "does not synthesize speech")
        case _:
            pass


def _check_chat(spec: BackendSpec, request: ChatRequest) -> None:
    if request.tools and not spec.capabilities.tools:
        raise invalid("tools", "are not supported by this model")
    if request.thinking and not spec.capabilities.reasoning:
        raise invalid("thinking", "is not supported by this model")
    for number, message in enumerate(request.messages):
        for index, part in enumerate(message.parts):
            if isinstance(part, ImagePart) and not spec.capabilities.vision:
                raise invalid(f"messages.{number}.content.{index}", "is an image; this model reads text only")
            if isinstance(part, AudioPart) and not spec.capabilities.audio_input:
                raise invalid(f"messages.{number}.content.{index}", "is sound; this model does not hear")
    if sum(len(message.content or "") for message in request.messages) > _most_chars(spec):
        raise _too_long("messages", spec)


def _check_output(spec: BackendSpec, request: ChatRequest | GenerateRequest) -> None:
    if request.output_format is not None and not spec.capabilities.structured_output:
        raise invalid("response_format", "is not supported by this model")


def _check_prompt(spec: BackendSpec, prompt: str | tuple[int, ...], field: str) -> None:
    limit = _most_chars(spec) if isinstance(prompt, str) else spec.text_window
    if len(prompt) > limit:
        raise _too_long(field, spec)


def _check_embed(spec: BackendSpec, request: EmbedRequest) -> None:
    if request.dimensions is not None and not spec.capabilities.dimensions:
        raise invalid("dimensions", "cannot be chosen for this model")
    if request.truncate:
        return
    for number, text in enumerate(request.inputs):
        _check_prompt(spec, text, "input" if len(request.inputs) == 1 else f"input.{number}")


def _check_rerank(spec: BackendSpec, request: RerankRequest) -> None:
    if request.truncate:
        return
    _check_prompt(spec, request.query, "query")
    for number, document in enumerate(request.documents):
        _check_prompt(spec, document, f"documents.{number}")


def _check_transcribe(spec: BackendSpec, request: TranscribeRequest) -> None:
    if request.task == "transcribe" and not spec.capabilities.transcribe:
        raise invalid("model", "does not transcribe speech")
    if request.task == "translate" and not spec.capabilities.translate:
        raise invalid("model", "does not translate speech")


def _most_chars(spec: BackendSpec) -> int:
    """More cannot fit and is refused before a tokenizer reads it; the engine counts exactly."""
    return spec.text_window * _MOST_BYTES_PER_TOKEN + _SLACK_BYTES


def _too_long(field: str, spec: BackendSpec) -> ServiceError:
    return invalid(field, f"must fit the context window of {spec.text_window} tokens")
