"""vLLM on a CPU takes the order to sleep and frees nothing: so no level is offered there, and none is carried out."""

import json

import msgspec
import pytest

from engines.contract.frames import Ready, ResidencyFailed, Sleep
from tests.engines.conftest import VllmWorker, cache, vllm_spec
from tests.engines.in_engines import run_module
from tests.engines.running_worker import chat

pytestmark = pytest.mark.vllm


@pytest.mark.asyncio(loop_scope="session")
async def test_no_level_is_offered_on_a_cpu_and_the_model_stays_hot(vllm: VllmWorker) -> None:
    _, peer = vllm
    ready = next(frame for frame in peer.others if isinstance(frame, Ready))

    peer.send(Sleep(1))
    refused = await peer.next_residency()

    assert ready.sleep_levels == ()
    assert refused == ResidencyFailed("this engine does not sleep at level 1 on its device", is_fatal=False)
    assert (await peer.ask(chat("Hello!"))).usage.completion_tokens > 0


def test_library_itself_sleeps_in_name_only_and_wakes_from_both_levels() -> None:
    spec = msgspec.json.encode(vllm_spec()).decode()

    found = json.loads(run_module("tests.engines.vllm_naps", spec, str(cache())).splitlines()[-1])

    assert found["levels"] == []
    assert found["same"] == [True, True]
    assert max(found["freed_bytes"]) < 8 * 1024**2
