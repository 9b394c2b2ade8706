"""Plans for this machine without a running server: every device empty, the same rules, the same reckoning."""

import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from engines.contract.spec import BackendSpec
from server.catalog.estimates import estimate_memory
from server.cli.terminal import note
from server.forecast import Forecaster
from server.load_times import LoadTimes
from server.measurements import Measurements
from server.nvml import read_gpus
from server.settings import Settings
from server.store import StoreError, open_store, path_of
from server.workers.backoff import RestartPolicy
from server.workers.devices import read_memory, settled
from server.workers.planning import plan
from server.workers.scheduler import Scheduler


def plan_unloaded(specs: Sequence[BackendSpec], settings: Settings) -> dict[str, Any]:
    """What `GET /v1/plan` would answer if nothing was loaded. Reads hardware, files and the store."""
    peaks, load_seconds = _measured(specs, settings)
    gpus = read_gpus()
    estimates = estimate_memory(settled(specs, has_gpu=bool(gpus)))
    memory = read_memory(specs, settings, estimates=estimates, measured=peaks, gpus=gpus)
    scheduler = Scheduler(specs, RestartPolicy(), random.random, 0.0, memory=memory)
    records = scheduler.records
    plans = {name: plan(record, records.values(), scheduler.ledger, 0.0) for name, record in records.items()}
    forecaster = Forecaster(memory.budgets, peaks, load_seconds)
    items = [forecaster.forecast(spec, plans[spec.id]) for spec in specs]
    found = {"items": items, "together": forecaster.together(specs, plans), "devices": dict(memory.budgets)}
    built: dict[str, Any] = msgspec.to_builtins(found)
    return built


def _measured(specs: Sequence[BackendSpec], settings: Settings) -> tuple[dict[str, int], dict[str, float]]:
    """Nothing is measured where there is no store yet; it is not made for this."""
    path = path_of(settings.store_url)
    if path is not None and not Path(path).exists():
        return {}, {}
    try:
        with closing(open_store(settings.store_url)) as store:
            return Measurements(store, specs).known, LoadTimes(store).of(specs)
    except (StoreError, SQLAlchemyError) as error:
        note(f"nothing that was measured is used: {error}")
        return {}, {}
