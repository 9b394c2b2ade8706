"""The body of a speech request, the same in both dialects, and its translation into the contract. Pure."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engines.contract.speech import AudioFormat, SpeechRequest
from server.errors import invalid
from server.wire.fields import Body, Int64, ModelName
from server.wire.problems import OURS

_Name = Annotated[str, Field(min_length=1, max_length=64)]


class VoiceIdBody(Body):
    id: _Name


def _voice_kind(value: object) -> str | None:
    if isinstance(value, str):
        return "~name"
    return "~object" if isinstance(value, dict) else None


_Voice = Annotated[
    Annotated[_Name, Tag("~name")] | Annotated[VoiceIdBody, Tag("~object")],
    Discriminator(
        _voice_kind, custom_error_type=OURS, custom_error_message="must be a name or an object with an id"
    ),
]


class SpeechBody(Body):
    """OpenAI's speech request, and `language` and `seed`, which are ours. Null means absent."""

    model: ModelName
    input: Annotated[
        str, Field(min_length=1, description="The text to speak; the model's limit, mostly 4096")
    ]
    voice: _Voice | None = Field(
        None,
        description='One of GET /v1/audio/voices, as "name" or {"id": "name"}; else the model\'s default',
    )
    response_format: AudioFormat | None = Field(
        None, description="Default mp3. pcm: 24 kHz, 16-bit signed little-endian, one channel, no header"
    )
    speed: Annotated[float, Field(ge=0.25, le=4)] | None = Field(None, description="1: the voice's own")
    language: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]{2})?$")] | None = Field(
        None, description="ISO 639-1; else the voice's own"
    )
    seed: Int64 | None = Field(None, description="The same seed and text make the same sound")
    stream_format: Literal["audio", "sse"] | None = Field(
        None, description="`sse`: server-sent events with the sound in base64"
    )

    refused: ClassVar[dict[str, str]] = {
        "instructions": "is not supported: no model here follows instructions",
    }

    @model_validator(mode="before")
    @classmethod
    def _refuse_by_name(cls, data: Any) -> Any:
        """Fields that would change the answer if we knew them; ignoring these would lie. Empty, they would not."""
        if isinstance(data, dict):
            for name in cls.refused.keys() & data.keys():
                if data[name] not in (None, ""):
                    raise invalid(name, cls.refused[name])
        return data

    @property
    def audio_format(self) -> AudioFormat:
        return self.response_format or "mp3"


def parse(body: SpeechBody) -> SpeechRequest:
    return SpeechRequest(
        text=body.input,
        voice=body.voice.id if isinstance(body.voice, VoiceIdBody) else body.voice,
        speed=1.0 if body.speed is None else body.speed,
        audio_format=body.audio_format,
        language=body.language,
        seed=body.seed,
    )
