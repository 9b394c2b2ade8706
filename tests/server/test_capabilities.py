"""What a backend cannot do is refused with the field that asks for it."""

import msgspec
import pytest

from engines.contract.chat import ChatRequest, GenerateRequest, Message, OutputFormat, Tool
from engines.contract.embed import EmbedRequest, RerankRequest
from engines.contract.errors import ErrorCode
from engines.contract.image import ImageRequest
from engines.contract.requests import Request
from engines.contract.spec import BackendSpec, Capabilities
from engines.contract.speech import SpeechRequest
from engines.contract.transcribe import AudioFile, TranscribeRequest
from engines.contract.types import Modality
from server.capabilities import check_capabilities
from server.errors import ServiceError
from tests.fakes.surface import backend

HELLO = (Message("user", "hi"),)
PLAIN = Capabilities(tools=False, structured_output=False, reasoning=False)


def spec(capabilities: Capabilities = PLAIN) -> BackendSpec:
    return msgspec.structs.replace(backend("be_a", "a/one"), capabilities=capabilities)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ChatRequest(HELLO, tools=(Tool("f"),)), "tools"),
        (ChatRequest(HELLO, thinking=True), "thinking"),
        (ChatRequest(HELLO, output_format=OutputFormat("json_object")), "response_format"),
        (GenerateRequest(("hi",), output_format=OutputFormat("json_object")), "response_format"),
        (ChatRequest((Message("user", "x" * 40_000), Message("user", "x" * 40_000))), "messages"),
        (GenerateRequest(("x" * 80_000,)), "prompt"),
        (GenerateRequest(((1,) * 257,)), "prompt"),
        (GenerateRequest(("hi", "x" * 80_000)), "prompt.1"),
    ],
)
def test_request_beyond_the_backend_is_refused(request_: ChatRequest | GenerateRequest, field: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        check_capabilities(spec(), request_)

    assert refusal.value.code is ErrorCode.VALIDATION_ERROR
    assert refusal.value.details[0].field == field


@pytest.mark.parametrize(
    "request_",
    [
        ChatRequest(HELLO),
        ChatRequest(HELLO, thinking=False),
        ChatRequest((Message("user", "x" * 60_000),)),
        GenerateRequest(((1,) * 256,)),
    ],
)
def test_request_within_the_backend_passes(request_: ChatRequest | GenerateRequest) -> None:
    check_capabilities(spec(), request_)


def test_capable_backend_takes_everything() -> None:
    request = ChatRequest(HELLO, tools=(Tool("f"),), thinking=True, output_format=OutputFormat("json_object"))

    check_capabilities(spec(Capabilities(tools=True, reasoning=True)), request)


OTHER_REQUESTS = (
    EmbedRequest(("hi",)),
    RerankRequest("hi", ("ho",)),
    ImageRequest("a circle"),
    TranscribeRequest(AudioFile("/nowhere", 1)),
    SpeechRequest("hi"),
)


@pytest.mark.parametrize("request_", OTHER_REQUESTS)
def test_model_of_another_modality_is_refused(request_: Request) -> None:
    with pytest.raises(ServiceError) as refusal:
        check_capabilities(spec(), request_)

    assert refusal.value.details[0].field == "model"


@pytest.mark.parametrize(
    ("modality", "request_", "field"),
    [
        (Modality.EMBEDDING, EmbedRequest(("hi",), dimensions=2), "dimensions"),
        (Modality.AUDIO, TranscribeRequest(AudioFile("/nowhere", 1)), "model"),
        (Modality.AUDIO, TranscribeRequest(AudioFile("/nowhere", 1), task="translate"), "model"),
        (Modality.AUDIO, SpeechRequest("hi"), "model"),
    ],
)
def test_model_without_the_capability_is_refused(modality: Modality, request_: Request, field: str) -> None:
    incapable = msgspec.structs.replace(spec(), modality=modality)

    with pytest.raises(ServiceError) as refusal:
        check_capabilities(incapable, request_)

    assert refusal.value.details[0].field == field


TOO_LONG = "x" * 80_000


@pytest.mark.parametrize(
    ("modality", "request_", "field"),
    [
        (Modality.EMBEDDING, EmbedRequest((TOO_LONG,)), "input"),
        (Modality.EMBEDDING, EmbedRequest(("hi", TOO_LONG)), "input.1"),
        (Modality.RERANK, RerankRequest(TOO_LONG, ("ho",)), "query"),
        (Modality.RERANK, RerankRequest("hi", ("ho", TOO_LONG)), "documents.1"),
    ],
)
def test_text_that_cannot_fit_is_refused_before_a_tokenizer_reads_it(
    modality: Modality, request_: EmbedRequest | RerankRequest, field: str
) -> None:
    able = msgspec.structs.replace(spec(), modality=modality)

    with pytest.raises(ServiceError) as refusal:
        check_capabilities(able, request_)

    assert refusal.value.details[0].field == field
    check_capabilities(able, msgspec.structs.replace(request_, truncate=True))
