"""From requests to pictures to batches, without any library."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.image import ImageRequest
from engines.contract.options import OptionsError, parse_options
from engines.diffusers_parts.options import Options, Preset
from engines.diffusers_parts.planning import Shape, choose, choose_shape, plan
from engines.runtime.batcher import Job

OPTIONS = Options(
    sizes=("64x64", "96x64"),
    default_size="96x64",
    steps=15,
    guidance=3.0,
    max_steps=40,
    max_guidance=8.0,
    qualities={"standard": Preset(steps=15), "hd": Preset(steps=30, guidance=4.0)},
    styles={"vivid": Preset(guidance=6.0), "natural": Preset()},
)


def shape(**fields: Any) -> Shape:
    return choose_shape(ImageRequest("x", **fields), OPTIONS)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Shape(96, 64, 15, 3.0, False)),
        ({"width": 64, "height": 64}, Shape(64, 64, 15, 3.0, False)),
        ({"quality": "hd"}, Shape(96, 64, 30, 4.0, False)),
        ({"quality": "hd", "style": "vivid"}, Shape(96, 64, 30, 6.0, False)),
        ({"quality": "hd", "style": "natural"}, Shape(96, 64, 30, 4.0, False)),
        ({"quality": "hd", "steps": 40, "guidance": 0.0}, Shape(96, 64, 40, 0.0, False)),
        ({"negative_prompt": "blue"}, Shape(96, 64, 15, 3.0, True)),
        ({"negative_prompt": ""}, Shape(96, 64, 15, 3.0, False)),
    ],
)
def test_requests_win_over_styles_over_qualities_over_the_backend(
    fields: dict[str, Any], expected: Shape
) -> None:
    assert shape(**fields) == expected


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"width": 64, "height": 96}, "size", "must be one of 64x64, 96x64"),
        ({"quality": "low"}, "quality", "must be one of standard, hd"),
        ({"style": "plain"}, "style", "must be one of vivid, natural"),
        ({"steps": 41}, "steps", "must be at most 40"),
        ({"guidance": 8.5}, "guidance", "must be at most 8"),
        (
            {"negative_prompt": "a", "guidance": 1.0},
            "negative_prompt",
            "has no effect with a guidance of 1; ask for more than 1",
        ),
    ],
)
def test_what_the_backend_has_not_is_refused_by_name(
    fields: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(EngineError) as refusal:
        shape(**fields)

    error = refusal.value
    assert (error.code, error.field, error.message) == (ErrorCode.VALIDATION_ERROR, field, message)


def test_backend_without_names_refuses_every_one() -> None:
    plain = Options(sizes=("64x64",), negative_prompts=False)

    for fields in ({"quality": "standard"}, {"style": "vivid"}, {"negative_prompt": "blue"}):
        with pytest.raises(EngineError) as refusal:
            choose_shape(ImageRequest("x", **fields), plain)
        assert refusal.value.field == next(iter(fields))


def test_default_negative_prompt_is_everybodys() -> None:
    options = Options(sizes=("64x64",), default_negative_prompt=" ")

    (own,) = plan(ImageRequest("x", negative_prompt="blue"), options, 0)
    (default,) = plan(ImageRequest("x"), options, 0)

    assert (own.negative_prompt, default.negative_prompt) == ("blue", " ")
    assert own.shape == default.shape


def test_pictures_have_seeds_one_apart_and_around_the_end() -> None:
    sketches = plan(ImageRequest("x", n=3, seed=2**63 - 2), OPTIONS, 5)

    assert [sketch.seed for sketch in sketches] == [2**63 - 2, 2**63 - 1, 0]
    assert [(sketch.index, sketch.turn) for sketch in sketches] == [(0, 5), (1, 6), (2, 7)]


def test_drawn_seeds_differ_and_fit_a_float() -> None:
    seeds = {plan(ImageRequest("x"), OPTIONS, 0)[0].seed for _ in range(50)}

    assert len(seeds) > 45
    assert max(seeds) < 2**32


def jobs(*requests: tuple[ImageRequest, int, int]) -> list[Job[Any, Any]]:
    """Waiting jobs of (request, priority, first turn)."""

    def made() -> Iterator[Job[Any, Any]]:
        for request, priority, turn in requests:
            for sketch in plan(request, OPTIONS, turn):
                yield Job(sketch, priority, None)

    async def within_a_loop() -> list[Job[Any, Any]]:
        return list(made())

    return asyncio.run(within_a_loop())


def prompts(batch: list[Job[Any, Any]]) -> list[str]:
    return [job.work.prompt for job in batch]


def test_pictures_of_one_shape_share_a_batch() -> None:
    waiting = jobs(
        (ImageRequest("a", n=2), 0, 0), (ImageRequest("b", steps=20), 0, 0), (ImageRequest("c"), 0, 0)
    )

    assert prompts(choose(waiting, 8)) == ["a", "c", "a"]


def test_large_requests_do_not_keep_others_waiting() -> None:
    waiting = jobs((ImageRequest("a", n=10), 0, 0), (ImageRequest("b"), 0, 0))

    assert prompts(choose(waiting, 4)) == ["a", "b", "a", "a"]


def test_newcomers_do_not_push_a_large_request_back_for_ever() -> None:
    """Turns go on while batches are drawn: who comes later is due later."""
    waiting = jobs((ImageRequest("late"), 0, 7), (ImageRequest("a", n=10), 0, 0))

    assert prompts(choose(waiting[:1] + waiting[5:], 4)) == ["a", "a", "a", "late"]


def test_urgent_pictures_go_first_and_alone() -> None:
    waiting = jobs((ImageRequest("batch", n=3), 100, 0), (ImageRequest("urgent"), 0, 50))

    assert prompts(choose(waiting, 8)) == ["urgent"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": ["64"]}, "size 64 is not WIDTHxHEIGHT in multiples of 8"),
        ({"sizes": ["60x64"]}, "size 60x64 is not WIDTHxHEIGHT in multiples of 8"),
        ({"sizes": []}, "Expected `array` of length >= 1"),
        ({"sizes": ["64x64"], "default_size": "96x96"}, "default_size 96x96 is not among sizes"),
        ({"steps": 200}, "steps of default are above max_steps"),
        ({"qualities": {"hd": {"steps": 101}}}, "steps of hd are above max_steps"),
        ({"styles": {"vivid": {"guidance": 21}}}, "guidance of vivid is above max_guidance"),
        ({"offload": "model", "compile": True}, "compile and offload exclude each other"),
        ({"quantization": {"unet": "int3"}}, "Invalid enum value 'int3'"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError) as refusal:
        parse_options("diffusers_image", options)

    assert refusal.value.message == message
