"""Carries replacements out: asks a new version whether it answers, and swaps the workers when it does.

What is decided when is the scheduler's; a swap is one synchronous call.
"""

import datetime
import time
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any

from engines.contract.errors import EngineError
from engines.contract.spec import BackendSpec
from server.telemetry import log_event
from server.workers.actions import Action
from server.workers.ledger import Need
from server.workers.probe import probe
from server.workers.process import WorkerProcess
from server.workers.replacement_status import ReplacementStatus
from server.workers.replacements import LEAVING, NEWCOMER
from server.workers.scheduler import Scheduler

Accept = Callable[[], None]
"""Called in the moment of the swap, before it. Raises EngineError to have the version before stay."""


class Swaps:
    """`workers` are the supervisor's by the ids of their records; `apply` carries out what the scheduler decides;
    `spawn` runs a named task to its end; `time_of` turns times of the scheduler's clock into dates.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        workers: MutableMapping[str, WorkerProcess],
        apply: Callable[[list[Action]], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        time_of: Callable[[float], datetime.datetime],
    ) -> None:
        self._scheduler = scheduler
        self._workers = workers
        self._apply = apply
        self._spawn = spawn
        self._time_of = time_of
        self._accept: dict[str, Accept] = {}

    def begin(self, spec: BackendSpec, need: Need, accept: Accept) -> None:
        """Raises EngineError: CONFLICT, SHUTTING_DOWN."""
        actions = self._scheduler.on_replace(time.monotonic(), spec, need)
        self._accept[spec.id] = accept
        log_event("replacement.begun", backend=spec.id)
        self._apply(actions)

    def probe(self, worker: WorkerProcess) -> None:
        """Returns at once; the swap follows, or the end of the new version."""
        self._spawn(self._probe(worker), f"probe {worker.backend_id}")

    def status(self, backend_id: str) -> ReplacementStatus | None:
        """Of the backend's last replacement."""
        found = self._scheduler.replacements.progress(backend_id)
        if found is None:
            return None
        since = self._time_of(found.since)
        return ReplacementStatus(backend_id, found.number, found.state, found.detail, since, found.error)

    async def _probe(self, worker: WorkerProcess) -> None:
        if worker.channel is None:
            return
        error = None
        try:
            await probe(worker.channel, worker.spec)
        except EngineError as failure:
            error = f"did not answer its probe: {failure.message}"
        self._decide(worker, error)

    def _decide(self, worker: WorkerProcess, error: str | None) -> None:
        if not self._scheduler.replacements.is_probed(worker.backend_id):
            return  # it has ended meanwhile, or was told to
        backend_id = worker.spec.id
        error = error or self._refusal(backend_id)
        actions = self._scheduler.on_probed(time.monotonic(), backend_id, error)
        if error is None:
            if (old := self._workers.get(backend_id)) is not None:
                self._rename(old, backend_id + LEAVING)
            self._rename(worker, backend_id)
            log_event("replacement.swapped", backend=backend_id)
        self._apply(actions)

    def note_exit(self, worker: WorkerProcess) -> None:
        """Tell the log of a new version that has failed; its worker has ended now."""
        if worker.backend_id.endswith(NEWCOMER):
            found = self._scheduler.replacements.progress(worker.spec.id)
            log_event("replacement.failed", backend=worker.spec.id, error=found.error if found else None)

    def _refusal(self, backend_id: str) -> str | None:
        try:
            self._accept.pop(backend_id)()
        except EngineError as refusal:
            return refusal.message
        return None

    def _rename(self, worker: WorkerProcess, new_id: str) -> None:
        del self._workers[worker.backend_id]
        worker.backend_id = new_id
        self._workers[new_id] = worker
