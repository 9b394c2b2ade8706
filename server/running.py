"""Which requests the gateway runs now, and how far they are. Knows neither HTTP nor workers.

Ids are the clients' to choose and may repeat (decision 6), so they are no keys here: of several requests with one id,
`find` gives the one that came last, and `of` lists them all.
"""

import time
from datetime import UTC, datetime

from engines.contract.image import ImageProgress
from engines.contract.types import Modality


class RunningRequest:
    """`is_accepted`: a worker has taken it; before that it waits for one."""

    __slots__ = ("begun_at", "id", "is_accepted", "key_id", "modality", "model", "progress", "started_at")

    def __init__(self, id: str, key_id: str, model: str, modality: Modality) -> None:
        self.id = id
        self.key_id = key_id
        self.model = model
        self.modality = modality
        self.is_accepted = False
        self.progress: ImageProgress | None = None
        self.started_at = time.time()
        self.begun_at = time.monotonic()

    def card(self) -> dict[str, object]:
        """As clients see it. `progress` is there for requests whose engine tells it."""
        steps = self.progress
        return {
            "id": self.id,
            "model": self.model,
            "modality": self.modality.value,
            "state": "running" if self.is_accepted else "queued",
            "progress": None if steps is None else {"step": steps.step, "num_steps": steps.num_steps},
            "started_at": datetime.fromtimestamp(self.started_at, UTC),
            "elapsed_s": round(time.monotonic() - self.begun_at, 3),
        }


class RunningRequests:
    """In the order in which they came. A request costs one object and one entry of a dictionary."""

    def __init__(self) -> None:
        self._requests: dict[RunningRequest, None] = {}

    def begin(self, id: str, key_id: str, model: str, modality: Modality) -> RunningRequest:
        request = RunningRequest(id, key_id, model, modality)
        self._requests[request] = None
        return request

    def end(self, request: RunningRequest) -> None:
        del self._requests[request]

    def of(self, key_id: str) -> list[RunningRequest]:
        """All of one key, the oldest first."""
        return [request for request in self._requests if request.key_id == key_id]

    def find(self, key_id: str, id: str) -> RunningRequest | None:
        """The newest of that id, if it is the key's."""
        return next((request for request in reversed(self.of(key_id)) if request.id == id), None)
