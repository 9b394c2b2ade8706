"""A closed-loop HTTP client in a process of its own: a job as JSON on stdin, figures as JSON on stdout.

Between the first request and the last answer it does nothing but send, receive and take times; everything is
read afterwards. Knows no server.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from typing import NamedTuple

import httptools
import uvloop

from benchmark.answers import BadAnswer, Exchange, read

_ANSWER_S = 300.0


class Body(NamedTuple):
    """What a request sends."""

    content: bytes
    content_type: str = "application/json"


@dataclass(frozen=True)
class Measured:
    """`cpu_s` is this client's. Percentiles are seconds, None where nothing was streamed."""

    num_requests: int
    num_tokens: int
    elapsed_s: float
    cpu_s: float
    latency_p50_s: float
    latency_p99_s: float
    ttft_p50_s: float | None
    ttft_p99_s: float | None
    itl_p50_s: float | None
    itl_p99_s: float | None
    events_per_request: float


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[int] | None = None
        self._pieces: list[tuple[float, bytes]] = []
        self._received_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received_at = time.perf_counter()
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BadAnswer("the server closed the connection"))

    def on_body(self, body: bytes) -> None:
        self._pieces.append((self._received_at, body))

    def on_message_complete(self) -> None:
        if self._answer is not None:
            self._answer.set_result(self._parser.get_status_code())

    async def exchange(self, request: bytes) -> Exchange:
        """Send a whole request and wait for its whole answer. Raises BadAnswer, TimeoutError."""
        self._pieces = []
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        sent_at = time.perf_counter()
        self._transport.write(request)
        async with asyncio.timeout(_ANSWER_S):
            status = await self._answer
        return Exchange(sent_at, status, self._pieces)

    def close(self) -> None:
        self._transport.close()


async def run(port: int, requests: list[bytes], num_clients: int) -> tuple[list[Exchange], float]:
    """All exchanges, and the seconds from the first byte sent to the last received."""
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(num_clients)
    ]
    waiting = iter(requests)
    begun_at = time.perf_counter()
    done = await asyncio.gather(*(_send_all(connection, waiting) for connection in connections))
    elapsed_s = time.perf_counter() - begun_at
    for connection in connections:
        connection.close()
    return list(chain.from_iterable(done)), elapsed_s


async def _send_all(connection: Connection, waiting: Iterator[bytes]) -> list[Exchange]:
    return [await connection.exchange(request) for request in waiting]


def summarise(exchanges: list[Exchange], elapsed_s: float, cpu_s: float, *, stream: bool) -> Measured:
    """Raises BadAnswer if any single answer is not what was asked for."""
    readings = [read(exchange, stream=stream) for exchange in exchanges]
    latencies = [reading.duration for reading in readings]
    firsts = [reading.first_text for reading in readings if reading.first_text is not None]
    gaps = [gap for reading in readings for gap in reading.gaps]
    return Measured(
        num_requests=len(readings),
        num_tokens=sum(reading.num_tokens for reading in readings),
        elapsed_s=elapsed_s,
        cpu_s=cpu_s,
        latency_p50_s=percentile(latencies, 50),
        latency_p99_s=percentile(latencies, 99),
        ttft_p50_s=percentile(firsts, 50) if firsts else None,
        ttft_p99_s=percentile(firsts, 99) if firsts else None,
        itl_p50_s=percentile(gaps, 50) if gaps else None,
        itl_p99_s=percentile(gaps, 99) if gaps else None,
        events_per_request=(len(gaps) + len(firsts)) / len(readings),
    )


def percentile(values: list[float], percent: int) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def json_body(fields: dict[str, object]) -> Body:
    return Body(json.dumps(fields).encode())


def http_request(path: str, key: str | None, body: bytes, *, content_type: str = "application/json") -> bytes:
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    job = json.load(sys.stdin)
    requests = [http_request(job["path"], job["key"], body.encode()) for body in job["bodies"]]
    cpu_before = time.process_time()
    exchanges, elapsed_s = uvloop.run(run(job["port"], requests, job["num_clients"]))
    cpu_s = time.process_time() - cpu_before
    try:
        measured = summarise(exchanges, elapsed_s, cpu_s, stream=job["stream"])
    except BadAnswer as error:
        sys.exit(f"void: {error}")
    json.dump(asdict(measured), sys.stdout)


if __name__ == "__main__":
    main()
