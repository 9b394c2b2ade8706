"""Workers with a real vLLM, where the engines' environment is installed."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engines.contract.spec import BackendSpec, Capabilities, Frontend, Limits
from engines.contract.types import Modality
from tests.engines.running_worker import ROOT, Peer, RunningWorker, running

WEIGHTS = ROOT / "model_configs/starter/chat"
CONTEXT = 512
MAX_QUEUED = 24
VllmWorker = tuple[RunningWorker, Peer]


def engines_python() -> str:
    """The interpreter with vLLM; skips the test where there is none."""
    python = os.environ.get("HEARTH_ENGINES_PYTHON", str(ROOT / ".hearth/engines/cpu/bin/python"))
    if not Path(python).exists():
        pytest.skip("no engines' environment: run `hearth engines install` or set HEARTH_ENGINES_PYTHON")
    return python


def vllm_spec(**options: Any) -> BackendSpec:
    defaults = {"max_num_seqs": 16, "max_num_queued_reqs": MAX_QUEUED, "kv_cache_memory_bytes": 64 << 20}
    return BackendSpec(
        id="be_starter",
        engine="vllm_chat",
        modality=Modality.CHAT,
        frontends=(Frontend("starter/chat"),),
        weights=str(WEIGHTS),
        licence="Apache-2.0",
        context_window=CONTEXT,
        capabilities=Capabilities(tools=True),
        limits=Limits(),
        device="cpu",
        options=defaults | options,
    )


def cache() -> Path:
    """Kept between runs: vLLM inspects a model for half a minute the first time."""
    return ROOT / ".hearth/cache"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VllmWorker]:
    """One loaded worker for all tests that leave it alive."""
    async with running(tmp_path_factory.mktemp("vllm"), vllm_spec(), engines_python(), cache()) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_vllm(tmp_path: Path) -> AsyncIterator[VllmWorker]:
    """A worker of one's own, to kill."""
    async with running(tmp_path, vllm_spec(), engines_python(), cache()) as started:
        yield started
