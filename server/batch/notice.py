"""What the operator's webhook is told of ended batches, and when again. Knows no store."""

from collections.abc import Callable
from datetime import datetime

from server.batch.records import Batch
from server.batch.views import native_batch
from server.clock import utc_now
from server.telemetry import Metrics
from server.webhooks import Event, EventType, WebhookSender, backoff_s

TOLD, DUE, GIVEN_UP = "told", "due", "given_up"


class WebhookTeller:
    """The `Teller` of `server.batch.upkeep`."""

    def __init__(
        self, sender: WebhookSender, metrics: Metrics, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._sender = sender
        self._metrics = metrics
        self._now = now

    async def tell(self, batch: Batch, attempts: int) -> str:
        """`attempts` counts this one too."""
        moment = batch.ended_at or self._now()
        event = Event(
            event_type=EventType(f"batch.{batch.state}"),
            event_id="evt_" + batch.id.removeprefix("batch_"),
            payload=native_batch(batch, batch.base_url, moment),
            timestamp=moment,
        )
        is_taken = await self._sender.deliver(event)
        outcome = TOLD if is_taken else DUE if backoff_s(attempts) is not None else GIVEN_UP
        self._metrics.count_webhook(outcome)
        return outcome

    def next_try_s(self, attempts: int) -> float:
        return sum(backoff_s(number) or 0.0 for number in range(1, attempts + 1))
