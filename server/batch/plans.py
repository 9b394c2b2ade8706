"""From the body of a line to what the gateway is asked and how its answer is rendered, one function per endpoint.

Differs from the routes in what a file cannot hold: nothing is streamed, sound is referred to, not sent.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

from engines.contract.requests import Request
from engines.contract.speech import AudioFormat
from server.errors import invalid
from server.remote import RemoteFiles
from server.streaming import Renderer
from server.wire import chat_body, image_body, speech_body, transcribe_body
from server.wire.chat_body import ChatBody
from server.wire.chat_render import NativeChat, OpenAIChat
from server.wire.completion_body import CompletionBody, GenerateBody, parse_completion, parse_generate
from server.wire.completion_render import NativeGenerate, OpenAICompletion
from server.wire.embed_body import EmbedBody, parse_embed
from server.wire.embed_render import NativeEmbed, OpenAIEmbed
from server.wire.heading import new_heading
from server.wire.image_body import ImageBody
from server.wire.image_render import NativeImages, OpenAIImages
from server.wire.json_body import check_fields
from server.wire.remote_images import with_remote_images
from server.wire.rerank_body import RerankBody, parse_rerank
from server.wire.rerank_render import CohereRerank, NativeRerank, Ranking
from server.wire.speech_body import SpeechBody
from server.wire.speech_render import speech_renderer
from server.wire.transcribe_body import NativeTranscribeForm, SoundFile, Task, TranscribeForm
from server.wire.transcript_render import NativeTranscript, OpenAITranscript

Fields = Mapping[str, object]
_NOT_STREAMED = "is not supported in a batch"


class Plan(NamedTuple):
    """`links`: pictures are to be published, and their addresses put there before `renderer` is asked.
    `spoken`: the answer is a sound file of this format.
    """

    model: str
    request: Request
    renderer: Renderer
    links: dict[int, str] | None = None
    spoken: AudioFormat | None = None


class Desk(Protocol):
    """What plans need besides the body."""

    @property
    def request_id(self) -> str: ...

    @property
    def remote(self) -> RemoteFiles: ...

    async def sound(self, reference: object) -> SoundFile:
        """The file that the field `file` means. Raises VALIDATION_ERROR about it, PAYLOAD_TOO_LARGE."""


Planner = Callable[[Fields, Desk], Awaitable[Plan]]
_Body = TypeVar("_Body", bound=BaseModel)
_Form = TypeVar("_Form", bound=TranscribeForm)


async def native_chat(fields: Fields, desk: Desk) -> Plan:
    body = await with_remote_images(_read(fields, ChatBody), desk.remote)
    renderer = NativeChat(new_heading("chatcmpl", body.model), desk.request_id)
    return Plan(body.model, chat_body.parse(body), renderer)


async def openai_chat(fields: Fields, desk: Desk) -> Plan:
    body = await with_remote_images(_read(fields, ChatBody), desk.remote)
    renderer = OpenAIChat(new_heading("chatcmpl", body.model), includes_usage=False)
    return Plan(body.model, chat_body.parse(body), renderer)


async def native_generate(fields: Fields, desk: Desk) -> Plan:
    body = _read(fields, GenerateBody)
    renderer = NativeGenerate(new_heading("cmpl", body.model), desk.request_id)
    return Plan(body.model, parse_generate(body), renderer)


async def openai_completion(fields: Fields, desk: Desk) -> Plan:
    body = _read(fields, CompletionBody)
    renderer = OpenAICompletion(new_heading("cmpl", body.model), includes_usage=False)
    return Plan(body.model, parse_completion(body), renderer)


async def native_embed(fields: Fields, desk: Desk) -> Plan:
    body = _read(fields, EmbedBody)
    renderer = NativeEmbed(body.model, body.encoding, desk.request_id)
    return Plan(body.model, parse_embed(body), renderer)


async def openai_embeddings(fields: Fields, desk: Desk) -> Plan:
    body = _read(fields, EmbedBody)
    return Plan(body.model, parse_embed(body), OpenAIEmbed(body.model, body.encoding))


async def native_rerank(fields: Fields, desk: Desk) -> Plan:
    body = _read(fields, RerankBody)
    renderer = NativeRerank(body.model, Ranking(body.top_n, body.repeated), desk.request_id)
    return Plan(body.model, parse_rerank(body), renderer)


async def openai_rerank(fields: Fields, desk: Desk) -> Plan:
    body = _read(fields, RerankBody)
    renderer = CohereRerank(new_heading("rerank", body.model), Ranking(body.top_n, body.repeated))
    return Plan(body.model, parse_rerank(body), renderer)


async def native_images(fields: Fields, desk: Desk) -> Plan:
    body = _read(fields, ImageBody)
    links: dict[int, str] = {}
    renderer = NativeImages(body.model, desk.request_id, links)
    return Plan(body.model, image_body.parse(body), renderer, links=_wanted(body, links))


async def openai_images(fields: Fields, desk: Desk) -> Plan:
    body = _read(fields, ImageBody)
    links: dict[int, str] = {}
    renderer = OpenAIImages(body.model, links)
    return Plan(body.model, image_body.parse(body), renderer, links=_wanted(body, links))


async def native_transcript(fields: Fields, desk: Desk) -> Plan:
    form = _read_form(fields, NativeTranscribeForm)
    task = form.task or "transcribe"
    renderer = NativeTranscript(form, task, request_id=desk.request_id, accept="")
    return await _hearing(form, task, renderer, fields, desk)


async def openai_transcription(fields: Fields, desk: Desk) -> Plan:
    form = _read_form(fields, TranscribeForm)
    return await _hearing(form, "transcribe", OpenAITranscript(form, "transcribe"), fields, desk)


async def openai_translation(fields: Fields, desk: Desk) -> Plan:
    form = _read_form(fields, TranscribeForm)
    return await _hearing(form, "translate", OpenAITranscript(form, "translate"), fields, desk)


async def native_speech(fields: Fields, desk: Desk) -> Plan:
    return _speaking(fields, openai=False)


async def openai_speech(fields: Fields, desk: Desk) -> Plan:
    return _speaking(fields, openai=True)


def _read(fields: Fields, body: type[_Body]) -> _Body:
    """Raises VALIDATION_ERROR with the field at fault."""
    if fields.get("stream") is True:
        raise invalid("stream", _NOT_STREAMED)
    return check_fields(fields, body)


def _read_form(fields: Fields, form: type[_Form]) -> _Form:
    """As `_read`; the types are those of JSON, not the text of a form's parts."""
    for name in form.refused.keys() & fields.keys():
        if fields[name] is not None:
            raise invalid(name, form.refused[name])
    return _read(fields, form)


def _wanted(body: ImageBody, links: dict[int, str]) -> dict[int, str] | None:
    return None if body.response_format == "b64_json" else links


async def _hearing(form: TranscribeForm, task: Task, renderer: Renderer, fields: Fields, desk: Desk) -> Plan:
    sound = await desk.sound(fields.get("file"))
    return Plan(form.model, transcribe_body.parse(form, sound, task), renderer)


def _speaking(fields: Fields, *, openai: bool) -> Plan:
    body = _read(fields, SpeechBody)
    if body.stream_format == "sse":
        raise invalid("stream_format", _NOT_STREAMED)
    renderer = speech_renderer(body, openai=openai)
    return Plan(body.model, speech_body.parse(body), renderer, spoken=body.audio_format)
