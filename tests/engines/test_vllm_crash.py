"""What is left when vLLM's engine process, or the server, is killed: nothing but a clear end."""

import os
import signal
from pathlib import Path

import pytest

from engines.contract.errors import ErrorCode
from engines.contract.frames import LoadFailed
from tests.engines.conftest import VllmWorker, cache, engines_python, vllm_spec
from tests.engines.running_worker import RunningWorker, chat
from tests.engines.runtime.test_lifeline import group_of, is_gone

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]


def engine_core_of(worker: RunningWorker) -> int:
    """vLLM's child that computes."""
    for pid in group_of(worker):
        if "EngineCor" in Path(f"/proc/{pid}/comm").read_text():
            return pid
    raise AssertionError("no EngineCore")


async def test_killed_engine_core_fails_requests_and_ends_the_worker(fresh_vllm: VllmWorker) -> None:
    worker, peer = fresh_vllm
    running = peer.start(chat("Hello!", max_tokens=480, ignore_eos=True, stream=True))
    await running.next()

    os.kill(engine_core_of(worker), signal.SIGKILL)
    answer = await running.answer(timeout_s=5)

    assert (answer.failure.code, answer.failure.worker_died) == (ErrorCode.BACKEND_ERROR, True)
    assert await worker.exit_code() == 5
    assert await is_gone(worker)


async def test_engine_core_dies_with_the_server(fresh_vllm: VllmWorker) -> None:
    worker, _ = fresh_vllm
    assert engine_core_of(worker) in group_of(worker)

    worker.cut_lifeline()

    assert await is_gone(worker)


async def test_configuration_that_cannot_work_fails_for_good(tmp_path: Path) -> None:
    worker = RunningWorker(tmp_path, engines_python(), cache())
    peer = await worker.supervise(vllm_spec(max_model_len=1_000_000))

    failed = await peer.wait_ready()

    assert isinstance(failed, LoadFailed)
    assert failed.permanent
    assert await worker.exit_code() == 3
    await worker.aclose()
