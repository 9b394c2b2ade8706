"""Bodies of image requests, to the contract or refused by the name of the field."""

import json
from typing import Any

import pytest

from engines.contract.image import ImageRequest
from server.errors import ServiceError
from server.wire.image_body import ImageBody, parse
from server.wire.json_body import validate

LEAST: dict[str, Any] = {"model": "m", "prompt": "a red circle"}


def request(**fields: Any) -> ImageRequest:
    return parse(validate(json.dumps(LEAST | fields).encode(), ImageBody))


def problem(**fields: Any) -> tuple[str, str]:
    """Field and message of the refusal."""
    with pytest.raises(ServiceError) as refusal:
        request(**fields)
    return refusal.value.details[0]


def test_least_body_leaves_everything_to_the_backend() -> None:
    assert request() == ImageRequest("a red circle")


def test_every_field_arrives() -> None:
    wanted = request(
        n=3,
        size="512x768",
        quality="hd",
        style="vivid",
        negative_prompt="blue",
        seed=2**63 - 1,
        steps=20,
        guidance=3,
    )

    assert wanted == ImageRequest(
        "a red circle", 3, 512, 768, "blue", 20, 3.0, 2**63 - 1, quality="hd", style="vivid"
    )


def test_metadata_has_the_same_parameters() -> None:
    metadata = {"negative_prompt": "blue", "seed": 7, "steps": 20, "guidance": 0.0, "customer": "x"}

    assert request(metadata=metadata) == ImageRequest(
        "a red circle", negative_prompt="blue", steps=20, guidance=0.0, seed=7
    )
    assert request(metadata={"seed": 7}, seed=7).seed == 7


@pytest.mark.parametrize(
    "harmless",
    [
        {"size": "auto", "quality": "auto", "style": "auto", "background": "auto"},
        {"output_format": "png", "moderation": "low", "user": "u", "partial_images": 2, "no_such_field": 1},
        {"n": None, "size": None, "metadata": None, "stream": None, "image": None},
    ],
)
def test_what_means_the_default_or_nothing_is_taken(harmless: dict[str, Any]) -> None:
    assert request(**harmless) == request()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("prompt", "", "must not be empty"),
        ("prompt", 5, "must be a string"),
        ("prompt", ["a"], "must be a string"),
        ("prompt", "x" * 32_001, "must have at most 32000 characters"),
        ("n", 0, "must be at least 1"),
        ("n", 11, "must be at most 10"),
        ("n", "2", "must be an integer"),
        ("n", True, "must be an integer"),
        ("size", "64", "must match ^([1-9]\\d{1,3}x[1-9]\\d{1,3}|auto)$"),
        ("size", "64X64", "must match ^([1-9]\\d{1,3}x[1-9]\\d{1,3}|auto)$"),
        ("size", "64x64\n", "must match ^([1-9]\\d{1,3}x[1-9]\\d{1,3}|auto)$"),
        ("size", 64, "must be a string"),
        ("response_format", "png", "must be 'url' or 'b64_json'"),
        ("output_format", "webp", "must be 'png'"),
        ("background", "transparent", "must be 'auto' or 'opaque'"),
        ("partial_images", 4, "must be at most 3"),
        ("stream", "yes", "must be true or false"),
        ("seed", -1, "must be at least 0"),
        ("seed", 2**63, "must be at most 9223372036854775807"),
        ("seed", 1.5, "must be an integer"),
        ("steps", 0, "must be at least 1"),
        ("steps", 1001, "must be at most 1000"),
        ("guidance", -0.1, "must be at least 0"),
        ("guidance", "4", "must be a number"),
        ("quality", "", "must not be empty"),
        ("metadata", "seed=1", "must be an object"),
        ("image", "data:", "is not supported: pictures are drawn from text"),
        ("guidance_scale", 4, "is not supported; use guidance"),
        ("output_compression", 50, "is not supported: PNG loses nothing"),
    ],
)
def test_wrong_value_is_refused_by_name(field: str, value: Any, message: str) -> None:
    assert problem(**{field: value}) == (field, message)


@pytest.mark.parametrize(
    ("metadata", "field", "message"),
    [
        ({"seed": "7"}, "metadata.seed", "must be an integer"),
        ({"steps": 0}, "metadata.steps", "must be at least 1"),
        ({"scheduler": "euler"}, "metadata.scheduler", "is not supported: schedulers are the operator's"),
    ],
)
def test_wrong_value_in_metadata_is_refused_by_path(
    metadata: dict[str, Any], field: str, message: str
) -> None:
    assert problem(metadata=metadata) == (field, message)


def test_contradiction_is_refused() -> None:
    assert problem(seed=1, metadata={"seed": 2}) == ("seed", "contradicts metadata.seed")
