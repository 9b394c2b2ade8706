"""A worker with the fake engine, fresh for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.engines.running_worker import Peer, RunningWorker, running
from tests.fakes.specs import make_spec

Worker = tuple[RunningWorker, Peer]


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    async with running(tmp_path, make_spec()) as started:
        yield started
