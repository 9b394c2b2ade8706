"""An open-loop HTTP client in a process of its own: requests begin when they are due, answered or not.

A job as JSON on stdin, figures as JSON on stdout, as `client`; times count from when a request was due, so that a slow
server cannot hide its queue. Each request has a connection of its own, made when it is due.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, replace

import uvloop

from benchmark.answers import BadAnswer, Exchange
from benchmark.client import Connection, http_request, summarise


def arrivals(num: int, per_s: float, seed: str) -> list[float]:
    """Seconds from the start at which requests are due: Poisson, the same for the same seed."""
    source = random.Random(seed)
    due, times = 0.0, []
    for _ in range(num):
        due += source.expovariate(per_s)
        times.append(due)
    return times


async def run(port: int, requests: list[bytes], times: list[float]) -> tuple[list[Exchange], float]:
    """All exchanges, `sent_at` being when they were due, and the seconds from the first to the last."""
    begun_at = time.perf_counter()
    tasks = [
        asyncio.create_task(_exchange(port, request, begun_at + due), name=f"request {number}")
        for number, (request, due) in enumerate(zip(requests, times, strict=True))
    ]
    exchanges = await asyncio.gather(*tasks)
    return list(exchanges), time.perf_counter() - begun_at


async def _exchange(port: int, request: bytes, due_at: float) -> Exchange:
    await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    try:
        exchange = await connection.exchange(request)
    finally:
        connection.close()
    return replace(exchange, sent_at=due_at)


def main() -> None:
    job = json.load(sys.stdin)
    requests = [http_request(job["path"], job["key"], body.encode()) for body in job["bodies"]]
    times = arrivals(len(requests), job["per_s"], job["seed"])
    cpu_before = time.process_time()
    exchanges, elapsed_s = uvloop.run(run(job["port"], requests, times))
    cpu_s = time.process_time() - cpu_before
    try:
        measured = summarise(exchanges, elapsed_s, cpu_s, stream=True)
    except BadAnswer as error:
        sys.exit(f"void: {error}")
    json.dump(asdict(measured), sys.stdout)


if __name__ == "__main__":
    main()
