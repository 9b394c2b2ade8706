"""From a request to the pictures that have to be drawn; pure, and the place of all refusals that need no tokenizer."""

import secrets
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.image import ImageRequest
from engines.diffusers_parts.options import Options, Preset, parse_size
from engines.runtime.batcher import Job

_Answer = TypeVar("_Answer")
_SEEDS = 2**63
_DRAWN_SEEDS = 2**32  # of seeds that we draw: small enough for clients that read numbers as floats
_NO_GUIDANCE = 1.0  # up to here pipelines compute no second pass, and a negative prompt has no effect


class Shape(NamedTuple):
    """What must be equal for pictures to be drawn in one batch."""

    width: int
    height: int
    steps: int
    guidance: float
    has_negative: bool


class Sketch(msgspec.Struct, frozen=True):
    """One picture to draw. `turn` says when it is due among those of the same priority."""

    index: int
    turn: int
    prompt: str
    negative_prompt: str
    seed: int
    shape: Shape


def plan(request: ImageRequest, options: Options, first_turn: int) -> list[Sketch]:
    """All pictures of `request`, a turn apart. Raises VALIDATION_ERROR with the field that cannot be honoured."""
    shape = choose_shape(request, options)
    seed = secrets.randbelow(_DRAWN_SEEDS) if request.seed is None else request.seed
    negative = request.negative_prompt or options.default_negative_prompt or ""
    return [
        Sketch(index, first_turn + index, request.prompt, negative, (seed + index) % _SEEDS, shape)
        for index in range(request.n)
    ]


def choose_shape(request: ImageRequest, options: Options) -> Shape:
    """A request's own steps and guidance win over its style's, those over its quality's, those over the backend's."""
    width, height = _size(request, options)
    quality = _preset("quality", request.quality, options.qualities)
    style = _preset("style", request.style, options.styles)
    steps = request.steps or style.steps or quality.steps or options.steps
    if steps > options.max_steps:
        raise refusal("steps", f"must be at most {options.max_steps}")
    wishes = (request.guidance, style.guidance, quality.guidance, options.guidance)
    guidance = next(wish for wish in wishes if wish is not None)
    if guidance > options.max_guidance:
        raise refusal("guidance", f"must be at most {options.max_guidance:g}")
    if request.negative_prompt:
        _check_negative(guidance, options)
    has_negative = bool(request.negative_prompt or options.default_negative_prompt)
    return Shape(width, height, steps, guidance, has_negative)


def choose(waiting: Sequence[Job[Sketch, _Answer]], max_pictures: int) -> list[Job[Sketch, _Answer]]:
    """The next batch: the most urgent picture, and what is drawn like it and as urgent.

    Less urgent pictures do not fill the batch up: it would take longer. Turns give every request its share: the tenth
    picture of one waits for the first of all that came before its turn.
    """
    ordered = sorted(waiting, key=lambda job: (job.priority, job.work.turn))
    first = ordered[0]
    alike = [job for job in ordered if job.priority == first.priority and job.work.shape == first.work.shape]
    return alike[:max_pictures]


def refusal(field: str, message: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, message, field=field)


def _size(request: ImageRequest, options: Options) -> tuple[int, int]:
    if request.width is None or request.height is None:
        return options.first_size
    wanted = (request.width, request.height)
    if wanted not in map(parse_size, options.sizes):
        raise refusal("size", f"must be one of {', '.join(options.sizes)}")
    return wanted


def _preset(field: str, name: str | None, known: dict[str, Preset]) -> Preset:
    if name is None:
        return Preset()
    if not known:
        raise refusal(field, "cannot be chosen for this model")
    if name not in known:
        raise refusal(field, f"must be one of {', '.join(known)}")
    return known[name]


def _check_negative(guidance: float, options: Options) -> None:
    if not options.negative_prompts:
        raise refusal("negative_prompt", "is not supported by this model")
    if guidance <= _NO_GUIDANCE:
        raise refusal(
            "negative_prompt", f"has no effect with a guidance of {guidance:g}; ask for more than 1"
        )
