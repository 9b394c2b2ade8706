"""Who does the work of a load: a server over HTTP, or the bare library in a process of its own. Knows no modality."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import uvloop

from benchmark import client, processes, servers
from benchmark.answers import BadAnswer, Exchange
from benchmark.client import Body

HEARTH, BARE = "Hearth", "bare library"
_SCRIPTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Work:
    """The same amount of work in two forms: as requests of `num_clients`, and as calls of a bare program, in turn.

    Either makes `num_items` of what is counted: texts, pictures, files, sentences.
    """

    num_clients: int
    num_items: int
    requests: list[Body]
    calls: list[object]


@dataclass(frozen=True)
class Sample:
    """One load done once. Times are of each request or call, `firsts_s` to the first byte of its answer.

    `contents` are what was answered, in some order, where both sides must answer the same. CPU is of all processes of
    the contestant; `foreign_cores` were busy with what is neither it nor its client.
    """

    contestant: str
    load: str
    num_items: int
    elapsed_s: float
    latencies_s: list[float]
    firsts_s: list[float]
    contents: list[str]
    cpu_s: float
    foreign_cores: float
    load_average: float


@dataclass(frozen=True)
class Answer:
    """What a body of HTTP holds: how many items, and their content where it is compared."""

    num_items: int
    content: str = ""


Read = Callable[[bytes], Answer]


class Contestant(Protocol):
    name: str

    def do(self, load: str, work: Work) -> Sample:
        """Raises BadAnswer if anything else was answered than was asked for."""


class OverHttp:
    """A running server, asked by a closed loop of clients."""

    def __init__(self, server: servers.Server, read: Read) -> None:
        self.name = server.name
        self._server = server
        self._read = read

    def do(self, load: str, work: Work) -> Sample:
        server = self._server
        requests = [
            client.http_request(server.path, server.key, body.content, content_type=body.content_type)
            for body in work.requests
        ]
        turn = _Turn(server.pid)
        exchanges, elapsed_s = uvloop.run(client.run(server.port, requests, work.num_clients))
        cpu_s, foreign_cores = turn.end(elapsed_s)
        answers = [self._answer(exchange) for exchange in exchanges]
        if sum(answer.num_items for answer in answers) != work.num_items:
            raise BadAnswer(f"{self.name}, {load}: not {work.num_items} items")
        return Sample(
            self.name,
            load,
            work.num_items,
            elapsed_s,
            [exchange.pieces[-1][0] - exchange.sent_at for exchange in exchanges],
            [exchange.pieces[0][0] - exchange.sent_at for exchange in exchanges],
            [answer.content for answer in answers],
            cpu_s,
            foreign_cores,
            turn.load_average,
        )

    def _answer(self, exchange: Exchange) -> Answer:
        body = b"".join(piece for _, piece in exchange.pieces)
        if exchange.status != 200:
            raise BadAnswer(f"{self.name}: {exchange.status}: {body[:300].decode(errors='replace')}")
        return self._read(body)


class Bare:
    """A program of `benchmark.bare` that waits for calls on its stdin."""

    name = BARE

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        if process.stdin is None or process.stdout is None or process.stdout.readline() != "ready\n":
            raise servers.ServerFailed("a bare library did not start: see bare.log")
        self._pid = process.pid
        self._sent, self._received = process.stdin, process.stdout

    def do(self, load: str, work: Work) -> Sample:
        turn = _Turn(self._pid)
        self._sent.write(json.dumps(work.calls) + "\n")
        self._sent.flush()
        line = self._received.readline()
        if not line:
            raise BadAnswer(f"{self.name}, {load}: the process has ended, see bare.log")
        done = json.loads(line)
        latencies_s = [seconds for seconds, _ in done]
        cpu_s, foreign_cores = turn.end(sum(latencies_s))
        return Sample(
            self.name,
            load,
            work.num_items,
            sum(latencies_s),
            latencies_s,
            latencies_s,
            [content for _, content in done],
            cpu_s,
            foreign_cores,
            turn.load_average,
        )


@contextmanager
def bare(module: str, arguments: list[str], folder: Path, engines_python: Path) -> Iterator[Bare]:
    """The program `benchmark.bare.<module>`, ready; its log is below `folder`."""
    with (folder / "bare.log").open("w") as log:
        process = subprocess.Popen(
            [str(engines_python), "-m", f"benchmark.bare.{module}", *arguments],
            env=os.environ | servers.ONE_THREAD | {"HF_HUB_OFFLINE": "1"},
            cwd=_SCRIPTS,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        yield Bare(process)
    finally:
        process.kill()
        process.communicate()


class _Turn:
    """Counts the CPU of one contestant, this process and the machine, from now on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.load_average = processes.load_average()
        self._before = processes.sample(pid)
        self._own_before_s = time.process_time()

    def end(self, elapsed_s: float) -> tuple[float, float]:
        """CPU seconds of the contestant, and cores that were busy with neither it nor this process."""
        after = processes.sample(self._pid)
        cpu_s = sum(processes.used(self._before, after).values())
        own_s = time.process_time() - self._own_before_s
        foreign_s = after.machine_s - self._before.machine_s - cpu_s - own_s
        return cpu_s, max(0.0, foreign_s / elapsed_s)
