"""What a batch's failure costs: nobody, one request, or the process."""

import logging
from collections.abc import Callable, Iterator

import pytest

from engines.contract.errors import EngineError, ErrorCode
from engines.runtime.batcher import Job
from engines.runtime.guard import Guard

NO_MEMORY = "CUDA out of memory. Tried to allocate 20.00 MiB."
Batch = list[Job[int, int]]


def jobs(*sizes: int) -> Batch:
    return [Job(size, 0, None) for size in sizes]


def computing(room: int, seen: list[list[int]]) -> Callable[[Batch], list[int]]:
    """Doubles sizes, as long as a batch's sum fits into `room`."""

    def compute(batch: Batch) -> list[int]:
        seen.append([job.work for job in batch])
        if sum(seen[-1]) > room:
            raise RuntimeError(NO_MEMORY)
        return [2 * job.work for job in batch]

    return compute


async def test_a_batch_without_memory_is_halved_until_it_fits() -> None:
    released: list[bool] = []
    seen: list[list[int]] = []
    guard = Guard(lambda: released.append(True))

    answers = guard.around(computing(3, seen))(jobs(1, 1, 1, 2))

    assert answers == [2, 2, 2, 4]
    assert seen == [[1, 1, 1, 2], [1, 1], [1, 2]]
    assert released == [True]


async def test_only_what_is_too_large_by_itself_fails() -> None:
    guard = Guard()

    first, second, third = guard.around(computing(3, []))(jobs(1, 9, 2))

    assert (first, third) == (2, 4)
    assert isinstance(second, EngineError)
    assert (second.code, second.message) == (
        ErrorCode.BACKEND_ERROR,
        "the device has too little memory for this request",
    )
    guard.check()


@pytest.fixture
def unseen_log() -> Iterator[None]:
    """pytest keeps what is logged, tracebacks included; a worker's log does not."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("unseen_log")
async def test_memory_is_given_back_when_nothing_refers_to_the_batch_any_more() -> None:
    """An exception's traceback holds the tensors of the frames that it passed."""
    alive: list[object] = []

    class Tensor:
        def __init__(self) -> None:
            alive.append(True)

        def __del__(self) -> None:
            alive.clear()

    def compute(batch: Batch) -> list[int]:
        tensor = Tensor()
        raise RuntimeError(NO_MEMORY + str(tensor)[:0])

    seen: list[int] = []
    Guard(lambda: seen.append(len(alive))).around(compute)(jobs(1))

    assert seen == [0]


async def test_a_failed_device_fails_all_and_is_remembered() -> None:
    guard = Guard()

    def compute(batch: Batch) -> list[int]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(EngineError, match="the device failed: illegal memory access"):
        guard.around(compute)(jobs(1, 1))
    with pytest.raises(EngineError, match="the device failed: illegal memory access"):
        guard.check()


async def test_another_failure_passes_as_it_is() -> None:
    guard = Guard()

    def compute(batch: Batch) -> list[int]:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        guard.around(compute)(jobs(1, 1))
    guard.check()
