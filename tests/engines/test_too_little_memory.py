"""Real engines whose process may not have more memory: the request that is too large fails, the model goes on."""

import resource
from pathlib import Path

import pytest

from engines.contract.embed import EmbedRequest
from engines.contract.errors import ErrorCode
from engines.contract.image import ImageRequest
from tests.engines.conftest import engines_python
from tests.engines.images import image_spec, make_pipeline
from tests.engines.running_worker import RunningWorker, running
from tests.engines.text_models import embed_spec, make_text_models

pytestmark = [pytest.mark.engines, pytest.mark.asyncio]

MIB = 1024**2
NO_MEMORY = "the device has too little memory for this request"


def leave(worker: RunningWorker, room_bytes: int) -> None:
    """Let the worker's address space grow by no more than `room_bytes`."""
    pid = worker.process.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + room_bytes
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


async def test_a_picture_that_is_too_large_fails_alone(tmp_path: Path) -> None:
    spec = image_spec(make_pipeline(tmp_path / "tiny"), sizes=["32x32", "1024x1024"])
    async with running(tmp_path, spec, engines_python()) as (worker, peer):
        leave(worker, 64 * MIB)

        large = await peer.ask(ImageRequest("a", width=1024, height=1024, steps=1))
        small = await peer.ask(ImageRequest("a", steps=1))

        assert (large.failure.code, large.failure.message) == (ErrorCode.BACKEND_ERROR, NO_MEMORY)
        assert small.usage
        assert worker.process.poll() is None


async def test_texts_that_are_too_many_fail_alone(tmp_path: Path) -> None:
    make_text_models(tmp_path, engines_python())
    spec = embed_spec(tmp_path / "embed", max_batch_tokens=1_000_000)
    async with running(tmp_path, spec, engines_python()) as (worker, peer):
        leave(worker, 16 * MIB)

        many = await peer.ask(EmbedRequest(("abcdefgh" * 3,) * 20_000))
        few = await peer.ask(EmbedRequest(("abc",)))

        assert (many.failure.code, many.failure.message) == (ErrorCode.BACKEND_ERROR, NO_MEMORY)
        assert few.usage
