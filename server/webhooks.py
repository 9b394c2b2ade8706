"""Tells the operator's own address about ends of batches; what to tell, and whether again, others decide.

Beside `remote.py` the only HTTP client of the server. The address is the operator's, never a client's, so it may be
private. The receiver can check the signature; what it answers is not read beyond the status.
"""

import asyncio
import datetime
import enum
import hashlib
import hmac

import httpx
import msgspec

from server.telemetry import log_event

SIGNATURE_HEADER = "X-ScaiGrid-Signature"
MAX_RETRIES = 5
TIMEOUT_S = 10.0
SOURCE = "hearth"
_FIRST_BACKOFF_S = 10.0
_BACKOFF_FACTOR = 4.0


class EventType(enum.StrEnum):
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_EXPIRED = "batch.expired"
    BATCH_CANCELLED = "batch.cancelled"


class Event(msgspec.Struct, frozen=True):
    """One thing that happened, as the receiver reads it. `event_id` stays the same when it is told again.

    `payload` of a batch's event is the batch as its GET shows it. This server has no tenants and partners: null.
    """

    event_type: EventType
    event_id: str
    payload: dict[str, object]
    timestamp: datetime.datetime
    source: str = SOURCE
    tenant_id: str | None = None
    partner_id: str | None = None


class WebhookSender:
    """Posts events to `url`. `transport` and `timeout_s` are for tests."""

    def __init__(
        self,
        url: str,
        secret: str | None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._url = url
        self._secret = secret
        self._transport = transport
        self._timeout_s = timeout_s

    async def deliver(self, event: Event) -> bool:
        """Whether the receiver took the event: it answered with a status from 200 to 299 in time."""
        body = msgspec.json.encode(event)
        headers = {"Content-Type": "application/json"}
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = signature(body, self._secret)
        try:
            async with asyncio.timeout(self._timeout_s):
                status = await self._post(body, headers)
        except (TimeoutError, httpx.HTTPError, OSError) as error:
            log_event("webhook.failed", kind=type(error).__name__)
            return False
        if not 200 <= status <= 299:
            log_event("webhook.failed", status=status)
            return False
        return True

    async def _post(self, body: bytes, headers: dict[str, str]) -> int:
        """The answer's status; its body is left unread."""
        transport = self._transport or httpx.AsyncHTTPTransport(trust_env=False)
        async with (
            httpx.AsyncClient(
                transport=transport, timeout=self._timeout_s, follow_redirects=False, trust_env=False
            ) as client,
            client.stream("POST", self._url, content=body, headers=headers) as answer,
        ):
            return int(answer.status_code)


def signature(body: bytes, secret: str) -> str:
    """The header's value: HMAC-SHA256 over the raw body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def backoff_s(attempt: int) -> float | None:
    """Seconds to wait after failed delivery number `attempt` (from 1): 10, 40, 160, 640, 2560; then None, give up."""
    return _FIRST_BACKOFF_S * _BACKOFF_FACTOR ** (attempt - 1) if attempt <= MAX_RETRIES else None
