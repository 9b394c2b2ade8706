"""`hearth bench`: a short load on a model of the running server: how soon it answers, how much it does at once."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import httpx
import msgspec
import typer

from server.cli.client import STREAM_TIMEOUT_S, ApiKey, call, connect, problem_of, server_address
from server.cli.loads import Load, has_words, load_for, tokens_of
from server.cli.naming import complete_name
from server.cli.run import MAX_LISTED, find_card
from server.cli.terminal import (
    AsJson,
    error_console,
    fail,
    load_settings_or_fail,
    print_json,
    print_table,
)
from server.cli.waiting import told_while_waiting

TITLES = ("AT ONCE", "REQUESTS", "FAILED", "FIRST p50", "FIRST p99", "WHOLE p50", "WHOLE p99", "RATE")


class Sample(msgspec.Struct, frozen=True):
    """`first_s`: to the first word of a stream, None for others; `error` is told instead of an answer."""

    whole_s: float
    first_s: float | None = None
    units: float = 0.0
    error: str | None = None


class Level(msgspec.Struct, frozen=True):
    """What was measured with so many requests at once; times in seconds, `rate` in units per second."""

    model: str
    concurrency: int
    requests: int
    failed: int
    first_p50_s: float | None
    first_p99_s: float | None
    whole_p50_s: float | None
    whole_p99_s: float | None
    rate: float
    unit: str
    error: str | None


def bench(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Model to measure; without it all that are ready.",
            autocompletion=complete_name,
        ),
    ] = None,
    concurrency: Annotated[
        list[int] | None,
        typer.Option(
            "--concurrency",
            "-c",
            min=1,
            help="Requests at once; repeat for more.",
            show_default="1, 4 and 16",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long for each.")] = 10.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer of a chat model.")] = 64,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model of the running server with real requests. The status is 1 if any failed."""
    levels: list[Level] = []
    for card in _cards(model, api_key):
        load = load_for(card, max_tokens)
        if load is None:
            fail(f"no load is known for models of modality {card['modality']}")
        _warm_up(card, load, api_key)
        for count in concurrency or (1, 4, 16):
            error_console().print(f"{card['slug']}: {count} at once for {seconds:g} s", soft_wrap=True)
            levels.append(measure(card["slug"], load, count, seconds=seconds, api_key=api_key))
    if as_json:
        print_json(levels)
    else:
        _print(levels)
    if any(level.failed for level in levels):
        raise typer.Exit(1)


def _cards(model: str | None, api_key: str | None) -> Sequence[Mapping[str, Any]]:
    if model is not None:
        return [find_card(model, api_key)]
    cards = call("GET", f"/v1/models?limit={MAX_LISTED}", api_key)["items"]
    ready = [card for card in cards if card.get("state") == "ready"]
    if not ready:
        fail("no model is ready: name one, or `hearth load` it")
    return ready


def _warm_up(card: Mapping[str, Any], load: Load, api_key: str | None) -> None:
    """One request that is not counted: it may have to load the model. Ends the command when it is refused."""
    with told_while_waiting(card, api_key), connect(api_key, STREAM_TIMEOUT_S) as client:
        response = client.post(load.path, **load.content(0))
        if not response.is_success:
            fail(problem_of(response, str(client.base_url)))


def measure(model: str, load: Load, count: int, *, seconds: float, api_key: str | None) -> Level:
    """`count` clients, each with one request after the other until the time is over; the last ones end in peace."""
    begun = time.monotonic()
    samples = asyncio.run(_run(load, count, begun + seconds, api_key))
    elapsed_s = time.monotonic() - begun
    good = [sample for sample in samples if sample.error is None]
    first = sorted(sample.first_s for sample in good if sample.first_s is not None)
    whole = sorted(sample.whole_s for sample in good)
    return Level(
        model=model,
        concurrency=count,
        requests=len(samples),
        failed=len(samples) - len(good),
        first_p50_s=percentile(first, 50),
        first_p99_s=percentile(first, 99),
        whole_p50_s=percentile(whole, 50),
        whole_p99_s=percentile(whole, 99),
        rate=sum(sample.units for sample in good) / elapsed_s,
        unit=f"{load.unit}/s",
        error=next((sample.error for sample in samples if sample.error), None),
    )


async def _run(load: Load, count: int, end: float, api_key: str | None) -> list[Sample]:
    numbers = itertools.count(count * 1000)
    address = server_address(load_settings_or_fail())
    limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
    async with httpx.AsyncClient(
        base_url=address,
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=STREAM_TIMEOUT_S,
        limits=limits,
        trust_env=False,
    ) as client:
        found = await asyncio.gather(*(_client(client, load, numbers, end) for _ in range(count)))
    return [sample for samples in found for sample in samples]


async def _client(client: httpx.AsyncClient, load: Load, numbers: Iterator[int], end: float) -> list[Sample]:
    samples: list[Sample] = []
    while not samples or time.monotonic() < end:
        begun = time.monotonic()
        try:
            samples.append(await _request(client, load, next(numbers)))
        except httpx.TransportError as error:
            samples.append(
                Sample(time.monotonic() - begun, error=f"the connection broke ({type(error).__name__})")
            )
    return samples


async def _request(client: httpx.AsyncClient, load: Load, number: int) -> Sample:
    content = load.content(number)
    begun = time.monotonic()
    async with client.stream("POST", load.path, **content) as response:
        if not response.is_success:
            await response.aread()
            return Sample(time.monotonic() - begun, error=problem_of(response, str(client.base_url)))
        if load.is_stream:
            return await _read_stream(response, begun)
        units = load.count(await response.aread())
    return Sample(time.monotonic() - begun, None, units)


async def _read_stream(response: httpx.Response, begun: float) -> Sample:
    first_s, units = None, 0.0
    async for line in response.aiter_lines():
        if not line.startswith("data: {"):
            continue
        event = line.removeprefix("data: ").encode()
        if b'"error"' in event[:12]:
            return Sample(time.monotonic() - begun, error=event.decode()[:200])
        if first_s is None and has_words(event):
            first_s = time.monotonic() - begun
        units += tokens_of(event)
    return Sample(time.monotonic() - begun, first_s, units)


def percentile(ordered: Sequence[float], share: int) -> float | None:
    """The least value that `share` per cent are not above."""
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] if ordered else None


def _print(levels: Sequence[Level]) -> None:
    for model in dict.fromkeys(level.model for level in levels):
        print(model)
        mine = [level for level in levels if level.model == model]
        print_table(TITLES, map(_row, mine), "Nothing was measured.", spare=("FIRST p99", "FIRST p50"))
        if error := next((level.error for level in mine if level.error), None):
            print(f"First failure: {error}")


def _row(level: Level) -> Sequence[str | None]:
    times = (level.first_p50_s, level.first_p99_s, level.whole_p50_s, level.whole_p99_s)
    counts = (level.concurrency, level.requests, level.failed)
    shown = (None if one is None else f"{1000 * one:.0f} ms" for one in times)
    return (*map(str, counts), *shown, f"{level.rate:.1f} {level.unit}")
