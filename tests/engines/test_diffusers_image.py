"""The image engine in a real worker, with a real pipeline of random weights."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engines.contract.errors import ErrorCode
from engines.contract.frames import Accepted, LoadFailed
from engines.contract.image import ImageProgress, ImageRequest, Picture
from engines.contract.types import Priority
from tests.engines.conftest import engines_python
from tests.engines.images import MAX_TOKENS, image_spec, make_pipeline
from tests.engines.running_worker import Answer, Peer, RunningWorker, running
from tests.png import chunks, decode, largest_difference

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="session")]

PROMPT = "a red circle"
SEED = 2**40
TOLERANCE = 2


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pipeline(tmp_path_factory.mktemp("pipeline") / "tiny")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def started(
    weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[RunningWorker, Peer]]:
    folder = tmp_path_factory.mktemp("image")
    async with running(folder, image_spec(weights), engines_python()) as worker_and_peer:
        yield worker_and_peer


@pytest.fixture(scope="session")
def peer(started: tuple[RunningWorker, Peer]) -> Peer:
    return started[1]


def of_kind(answer: Answer, kind: type[Any]) -> list[Any]:
    events: list[Any] = list(answer.events)
    return [event for event in events if isinstance(event, kind)]


def pictures(answer: Answer) -> list[Picture]:
    """By index."""
    assert answer.usage
    return sorted(of_kind(answer, Picture), key=lambda picture: picture.index)


async def ask(peer: Peer, prompt: str = PROMPT, **fields: Any) -> Answer:
    request: Any = ImageRequest(prompt, **{"seed": SEED} | fields)
    return await peer.ask(request)


async def refusal(peer: Peer, prompt: str = PROMPT, **fields: Any) -> tuple[ErrorCode, str | None, str]:
    answer = await ask(peer, prompt, **fields)
    assert not answer.is_accepted
    return answer.failure.code, answer.failure.field, answer.failure.message


async def test_picture_is_a_png_without_metadata(peer: Peer) -> None:
    (picture,) = pictures(await ask(peer))

    assert (picture.index, picture.seed, picture.width, picture.height) == (0, SEED, 32, 32)
    assert {kind for kind, _ in chunks(picture.png)} == {b"IHDR", b"IDAT", b"IEND"}
    assert decode(picture.png)[:2] == (32, 32)


async def test_same_seed_draws_the_same_and_another_something_else(peer: Peer) -> None:
    (first,), (second,) = pictures(await ask(peer)), pictures(await ask(peer))
    (other,) = pictures(await ask(peer, seed=SEED + 1))
    (prompted,) = pictures(await ask(peer, "zzzz"))

    assert first.png == second.png
    assert first.png != other.png
    assert first.png != prompted.png


async def test_seed_that_is_drawn_draws_the_same_again(peer: Peer) -> None:
    (drawn,) = pictures(await ask(peer, seed=None))

    (again,) = pictures(await ask(peer, seed=drawn.seed))

    assert again.png == drawn.png


async def test_several_pictures_are_those_of_the_next_seeds(peer: Peer) -> None:
    """Six pictures are two batches of at most four; nothing in a picture comes from its neighbours."""
    several = pictures(await ask(peer, n=6))

    for number in (0, 3, 5):
        (alone,) = pictures(await ask(peer, seed=SEED + number))
        assert several[number].seed == alone.seed
        assert largest_difference(several[number].png, alone.png) <= TOLERANCE


async def test_requests_of_several_clients_share_batches_and_nothing_else(peer: Peer) -> None:
    prompts = ["a red circle", "a blue square", "x", "y z"]
    alone = [pictures(await ask(peer, prompt))[0] for prompt in prompts]
    steps_before = (await peer.next_stats()).engine.steps

    blocker = asyncio.create_task(ask(peer, steps=40))
    await asyncio.sleep(0)
    together = await asyncio.gather(*(ask(peer, prompt) for prompt in prompts))
    await blocker
    steps = (await peer.next_stats()).engine.steps - steps_before

    for one, other in zip(alone, together, strict=True):
        assert largest_difference(one.png, pictures(other)[0].png) <= TOLERANCE
    assert steps <= 40 + 2 * 4  # four requests of four steps, in one batch or two


async def test_negative_prompt_and_guidance_change_the_picture(peer: Peer) -> None:
    (plain,) = pictures(await ask(peer))
    (negative,) = pictures(await ask(peer, negative_prompt="q"))
    (guided,) = pictures(await ask(peer, guidance=9.0))

    assert len({plain.png, negative.png, guided.png}) == 3


async def test_progress_counts_up_to_all_steps(peer: Peer) -> None:
    answer = await ask(peer, quality="hd", n=2)

    told: list[ImageProgress] = of_kind(answer, ImageProgress)
    assert [(event.step, event.num_steps) for event in told] == [(step, 6) for step in range(1, 7)]
    assert answer.usage.prompt_tokens == len("aredcircle") + 2


async def test_progress_of_several_batches_is_that_of_the_request(peer: Peer) -> None:
    told: list[ImageProgress] = of_kind(await ask(peer, n=6), ImageProgress)

    steps = [event.step for event in told]
    assert steps == sorted(set(steps))
    assert steps[-1] == 4


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"width": 48, "height": 32}, "size"),
        ({"quality": "ultra"}, "quality"),
        ({"style": "vivid"}, "style"),
        ({"steps": 1001}, "steps"),
        ({"guidance": 99.0}, "guidance"),
        ({"negative_prompt": "x", "guidance": 0.5}, "negative_prompt"),
        ({"negative_prompt": "x " * 100}, "negative_prompt"),
        ({"prompt": "x " * 100}, "prompt"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(
    peer: Peer, fields: dict[str, Any], field: str
) -> None:
    code, named, _ = await refusal(peer, **fields)

    assert (code, named) == (ErrorCode.VALIDATION_ERROR, field)


async def test_long_prompt_is_refused_with_both_numbers_and_never_cut(peer: Peer) -> None:
    fits = "x" * (MAX_TOKENS - 2)
    assert pictures(await ask(peer, fits))

    assert (await refusal(peer, fits + "x"))[2] == (
        f"has {MAX_TOKENS + 1} tokens, and the model reads at most {MAX_TOKENS}"
    )


@pytest.mark.parametrize("prompt", [" ", "\x00", "😀 \u202e", "<|endoftext|>", "e\u0301"])
async def test_odd_prompts_are_drawn(peer: Peer, prompt: str) -> None:
    assert pictures(await ask(peer, prompt))


async def first_progress(peer: Peer, **fields: Any) -> Any:
    """A request that has begun to be drawn."""
    request: Any = ImageRequest(PROMPT, **{"seed": SEED, "steps": 1000} | fields)
    running_request = peer.start(request)
    while not isinstance(await running_request.next(), ImageProgress):
        continue
    return running_request


async def test_cancelled_request_stops_being_drawn_and_the_next_one_is(peer: Peer) -> None:
    request = await first_progress(peer)

    request.cancel()
    await request.answer(timeout_s=5)
    (picture,) = pictures(await ask(peer))
    after = (await peer.next_stats()).engine
    later = (await peer.next_stats()).engine

    assert (later.steps, later.running, later.waiting) == (after.steps, 0, 0)
    assert picture.png == pictures(await ask(peer))[0].png


async def test_cancelled_request_leaves_its_batch_mates_alone(peer: Peer) -> None:
    blocker = await first_progress(peer)
    request: Any = ImageRequest(PROMPT, seed=SEED, steps=60)
    one, other = peer.start(request), peer.start(request)
    for started_request in (one, other):
        assert isinstance(await started_request.next(), Accepted)
    blocker.cancel()
    while not isinstance(await one.next(), ImageProgress):
        continue

    one.cancel()
    answer = await other.answer()

    assert (await one.answer()).failure.code is ErrorCode.BACKEND_ERROR
    assert len(pictures(answer)) == 1


async def test_urgent_request_is_drawn_before_those_that_wait(peer: Peer) -> None:
    order: list[str] = []

    async def draw(name: str, priority: Priority) -> None:
        request: Any = ImageRequest(PROMPT, seed=SEED)
        assert pictures(await peer.ask(request, priority))
        order.append(name)

    blocker = await first_progress(peer)
    batch = [asyncio.create_task(draw("batch", Priority.BATCH)) for _ in range(5)]
    await asyncio.sleep(0)
    urgent = asyncio.create_task(draw("urgent", Priority.INTERACTIVE))
    await asyncio.sleep(0)
    blocker.cancel()
    await asyncio.gather(*batch, urgent)

    assert order[0] == "urgent"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"offload": "model"}, "options.offload needs a GPU"),
        (
            {"guidance_argument": "true_cfg_scale"},
            "StableDiffusionPipeline has no true_cfg_scale: it does not draw from text as this engine does",
        ),
    ],
)
async def test_option_that_cannot_work_fails_for_good(
    weights: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    assert await load_failure(tmp_path, image_spec(weights, **options)) == (message, True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"_class_name": "EvilPipeline"},
            "the weights name the pipeline EvilPipeline, which diffusers does not define",
        ),
        ({"unet": ["evil", "UNet"]}, "the weights take unet (UNet) from evil, not from diffusers"),
    ],
)
async def test_pipeline_that_diffusers_does_not_define_is_not_loaded(
    weights: Path, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    index = json.loads((weights / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | changed))

    assert await load_failure(tmp_path, image_spec(folder)) == (message, True)


async def load_failure(folder: Path, spec: Any) -> tuple[str, bool]:
    worker = RunningWorker(folder, engines_python())
    try:
        failed = await (await worker.supervise(spec)).wait_ready()
        assert isinstance(failed, LoadFailed), worker.log.read_text()[-2000:]
        return failed.message, failed.permanent
    finally:
        await worker.aclose()
