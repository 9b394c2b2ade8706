"""The body of an image request, the same in both dialects, and its translation into the contract. Pure."""

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, model_validator

from engines.contract.image import ImageRequest
from server.errors import invalid
from server.wire.fields import Body, ModelName

_AUTO = "auto"
_METADATA = "metadata"
_Value = TypeVar("_Value")
_Name = Annotated[str, Field(min_length=1, max_length=64)]
_NegativePrompt = Annotated[str, Field(max_length=32_000, description="What the picture shall not show")]
_Seed = Annotated[int, Field(ge=0, le=2**63 - 1, description="Picture k is drawn with seed + k")]
_Steps = Annotated[int, Field(ge=1, le=1000, description="Denoising steps")]
_Guidance = Annotated[float, Field(ge=0, le=100, description="How closely to follow the prompt")]


class ImageMetadata(Body):
    """What ScaiGrid hands to the provider: our own parameters, for clients whose SDK has no field for them."""

    negative_prompt: _NegativePrompt | None = None
    seed: _Seed | None = None
    steps: _Steps | None = None
    guidance: _Guidance | None = None


class ImageBody(Body):
    """OpenAI's image request, and the parameters of `metadata` as fields of their own. Null means absent."""

    model: ModelName
    prompt: Annotated[str, Field(min_length=1, max_length=32_000, description="What to draw")]
    n: Annotated[int, Field(ge=1, le=10)] | None = Field(None, description="Number of pictures")
    size: Annotated[str, Field(pattern=r"^([1-9]\d{1,3}x[1-9]\d{1,3}|auto)$")] | None = Field(
        None, description="One that the model draws; `auto` is its default"
    )
    quality: _Name | None = Field(None, description="One that the model knows; `auto` is its default")
    style: _Name | None = Field(None, description="One that the model knows")
    response_format: Literal["url", "b64_json"] | None = Field(
        None, description="A link that is good for an hour, or the file itself"
    )
    stream: bool | None = Field(None, description="Answer as server-sent events, with progress")
    negative_prompt: _NegativePrompt | None = None
    seed: _Seed | None = None
    steps: _Steps | None = None
    guidance: _Guidance | None = None
    metadata: ImageMetadata | None = Field(None, description="The same four parameters; others are ignored")
    output_format: Literal["png"] | None = Field(None, description="Pictures are PNG files")
    background: Literal["auto", "opaque"] | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = Field(
        None, description="The most that the client wants; none is sent"
    )

    refused: ClassVar[dict[str, str]] = {
        "image": "is not supported: pictures are drawn from text",
        "mask": "is not supported: pictures are drawn from text",
        "strength": "is not supported: pictures are drawn from text",
        "num_inference_steps": "is not supported; use steps",
        "guidance_scale": "is not supported; use guidance",
        "cfg_scale": "is not supported; use guidance",
        "scheduler": "is not supported: schedulers are the operator's",
        "sampler": "is not supported: schedulers are the operator's",
        "loras": "is not supported",
        "output_compression": "is not supported: PNG loses nothing",
    }

    @model_validator(mode="before")
    @classmethod
    def _refuse_by_name(cls, data: Any) -> Any:
        """Fields that would change the picture if we knew them, wherever they stand."""
        places = [("", data), (f"{_METADATA}.", data.get(_METADATA) if isinstance(data, dict) else None)]
        for prefix, fields in places:
            for name in cls.refused.keys() & fields.keys() if isinstance(fields, dict) else ():
                if fields[name] is not None:
                    raise invalid(prefix + name, cls.refused[name])
        return data


def parse(body: ImageBody) -> ImageRequest:
    """Raises VALIDATION_ERROR with the field at fault."""
    width, height = _sides(body.size)
    more = body.metadata or ImageMetadata()
    return ImageRequest(
        prompt=body.prompt,
        n=body.n or 1,
        width=width,
        height=height,
        negative_prompt=_either("negative_prompt", body.negative_prompt, more.negative_prompt),
        steps=_either("steps", body.steps, more.steps),
        guidance=_either("guidance", body.guidance, more.guidance),
        seed=_either("seed", body.seed, more.seed),
        quality=None if body.quality == _AUTO else body.quality,
        style=None if body.style == _AUTO else body.style,
    )


def _sides(size: str | None) -> tuple[int | None, int | None]:
    if size is None or size == _AUTO:
        return None, None
    width, _, height = size.partition("x")
    return int(width), int(height)


def _either(field: str, own: _Value | None, in_metadata: _Value | None) -> _Value | None:
    if own is not None and in_metadata is not None and own != in_metadata:
        raise invalid(field, f"contradicts {_METADATA}.{field}")
    return in_metadata if own is None else own
