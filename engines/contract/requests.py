"""All kinds of requests and answers: which modality each belongs to, which method of an engine serves it."""

from typing import NamedTuple

from engines.contract.chat import ChatRequest, Delta, GenerateRequest
from engines.contract.embed import EmbedRequest, RerankRequest, Scores, Vectors
from engines.contract.image import ImageProgress, ImageRequest, Picture
from engines.contract.speech import AudioChunk, SpeechRequest
from engines.contract.transcribe import Segment, TranscribeRequest, TranscriptInfo
from engines.contract.types import Modality, Usage

Request = (
    ChatRequest
    | GenerateRequest
    | EmbedRequest
    | RerankRequest
    | ImageRequest
    | TranscribeRequest
    | SpeechRequest
)
Item = Delta | Vectors | Scores | ImageProgress | Picture | TranscriptInfo | Segment | AudioChunk
"""A piece of an answer, as it travels in an `Items` frame."""
Event = Item | Usage
"""What an engine yields: items, then exactly one `Usage`."""


class Kind(NamedTuple):
    """`method` is the engine's: `async def method(request, priority) -> AsyncGenerator[Event, None]`."""

    modality: Modality
    method: str


KINDS: dict[type[Request], Kind] = {
    ChatRequest: Kind(Modality.CHAT, "chat"),
    GenerateRequest: Kind(Modality.CHAT, "generate"),
    EmbedRequest: Kind(Modality.EMBEDDING, "embed"),
    RerankRequest: Kind(Modality.RERANK, "rerank"),
    ImageRequest: Kind(Modality.IMAGE, "draw"),
    TranscribeRequest: Kind(Modality.AUDIO, "transcribe"),
    SpeechRequest: Kind(Modality.AUDIO, "speak"),
}
