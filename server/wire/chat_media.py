"""Images and sound as parts of a message. Pure: a remote image has been fetched, and put in place, before."""

import base64
import binascii
from typing import Annotated, Literal

from pydantic import Field

from engines.contract.chat import AudioPart, ImagePart
from server.errors import invalid
from server.wire.fields import Body

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp")


class ImageUrlBody(Body):
    url: Annotated[
        str,
        Field(
            min_length=1,
            description="`data:image/png;base64,...`, also jpeg and webp; https only if the operator allows its host",
        ),
    ]
    detail: Literal["auto", "low", "high"] | None = Field(
        None, description="Accepted and not used: the model decides"
    )


class AudioBody(Body):
    data: Annotated[str, Field(min_length=1, description="The file in base64")]
    format: Literal["wav", "mp3", "flac", "ogg", "opus", "m4a", "webm"]


def image_part(body: ImageUrlBody, path: str) -> ImagePart:
    """Raises VALIDATION_ERROR about `path` for anything but a data URL of an image."""
    if not body.url.startswith("data:"):
        raise invalid(f"{path}.url", "must be a data: URL; this server fetches nothing from that address")
    head, comma, content = body.url.removeprefix("data:").partition(",")
    media_type, _, encoding = head.partition(";")
    if not comma or encoding.lower() != "base64" or media_type.lower() not in IMAGE_TYPES:
        raise invalid(f"{path}.url", f"must begin with data:, one of {', '.join(IMAGE_TYPES)}, and ;base64,")
    return ImagePart(_decode(content, f"{path}.url"))


def audio_part(body: AudioBody, path: str) -> AudioPart:
    """Raises VALIDATION_ERROR about `path`."""
    return AudioPart(_decode(body.data, f"{path}.data"))


def data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _decode(text: str, path: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise invalid(path, "is not valid base64") from None
    if not content:
        raise invalid(path, "must not be empty")
    return content
