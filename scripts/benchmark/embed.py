"""Measures embeddings over HTTP against the bare library and a plain wrapper: the same model, texts and threads.

All three are up all the time and under load in turn. Against the bare library: how many milliseconds a lone request
takes more, and how many texts per second many clients get of what one `encode` of all texts together gives.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import uvloop

from benchmark import client, processes, servers
from benchmark.embed_load import LOADS, MODEL, Load, bodies

HERE = Path(__file__).resolve().parent
PATH = "/oai/v1/embeddings"
HEARTH, PLAIN, BARE = "Hearth", "plain FastAPI", "bare encode"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Sample:
    """One load on one contestant, once. Latencies are of requests; for the bare library of calls.

    `cpu_s_per_text` is of all its processes.
    """

    contestant: str
    load: str
    texts_per_s: float
    latency_p50_s: float
    latency_p99_s: float
    cpu_s_per_text: float


Measure = Callable[[Load, list[list[str]]], Sample]


def measure(
    weights: Path, folder: Path, engines_python: Path, *, num_rounds: int, num_threads: int
) -> list[Sample]:
    """Every load on every contestant in every round; the order turns from round to round."""
    for variable in _THREADS:
        os.environ[variable] = str(num_threads)
    samples = []
    with ExitStack() as running:
        contestants = [
            running.enter_context(start(weights, folder, engines_python))
            for start in (_hearth, _plain, _bare)
        ]
        for measured in contestants:
            for load in LOADS:
                measured(load, load.requests("warm-up")[:8])
        for number in range(num_rounds):
            turned = contestants[number % 3 :] + contestants[: number % 3]
            for load in LOADS:
                requests = load.requests(f"round {number}")
                samples += [measured(load, requests) for measured in turned]
    return samples


@contextmanager
def _hearth(weights: Path, folder: Path, engines_python: Path) -> Iterator[Measure]:
    backend: dict[str, object] = {
        "engine": "st_embed",
        "modality": "embedding",
        "frontends": [MODEL],
        "weights": str(weights),
        "licence": "as the model's",
        "context_window": 256,
        "preload": True,
        "limits": {"max_concurrency": 64},
    }
    probe: dict[str, object] = {"model": MODEL, "input": "Hi"}
    with servers.hearth_with(backend, folder, engines_python, path=PATH, probe=probe) as server:
        yield _over_http(server)


@contextmanager
def _plain(weights: Path, folder: Path, engines_python: Path) -> Iterator[Measure]:
    port = servers.free_port()
    command = [str(engines_python), "-m", "uvicorn", "embed_plain:app", "--port", str(port)]
    command += ["--log-level", "warning", "--no-access-log"]
    environment = os.environ | {"PYTHONPATH": str(HERE), "PLAIN_MODEL": str(weights), "HF_HUB_OFFLINE": "1"}
    with servers.process_group(command, environment, folder / "plain.log") as process:
        server = servers.Server(PLAIN, " ".join(command), process.pid, port, "/v1/embeddings", None)
        yield _over_http(servers.when_ready(server, process, folder / "plain.log", {"input": "Hi"}))


@contextmanager
def _bare(weights: Path, folder: Path, engines_python: Path) -> Iterator[Measure]:
    """One call per request where one client asks, one call for all texts where many do."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    command = [str(engines_python), str(HERE / "embed_bare.py"), str(weights)]
    with subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        sent, received = process.stdin, process.stdout
        if sent is None or received is None or received.readline() != "ready\n":
            raise servers.ServerFailed("the bare library did not start")

        def ask(load: Load, requests: list[list[str]]) -> Sample:
            merged = [[text for texts in requests for text in texts]]
            before = processes.sample(process.pid)
            sent.write(json.dumps(requests if load.num_clients == 1 else merged) + "\n")
            sent.flush()
            latencies = json.loads(received.readline())
            cpu_s = _cpu_s(before, process.pid)
            return _sample(BARE, load, (len(merged[0]), sum(latencies), cpu_s), latencies)

        yield ask
        sent.close()


def _over_http(server: servers.Server) -> Measure:
    def ask(load: Load, requests: list[list[str]]) -> Sample:
        sent = [client.http_request(server.path, server.key, body) for body in bodies(requests)]
        before = processes.sample(server.pid)
        exchanges, elapsed_s = uvloop.run(client.run(server.port, sent, load.num_clients))
        cpu_s = _cpu_s(before, server.pid)
        num_texts = sum(_num_vectors(exchange) for exchange in exchanges)
        latencies = [exchange.pieces[-1][0] - exchange.sent_at for exchange in exchanges]
        return _sample(server.name, load, (num_texts, elapsed_s, cpu_s), latencies)

    return ask


def _num_vectors(exchange: client.Exchange) -> int:
    """Raises BadAnswer for anything but vectors."""
    body = b"".join(piece for _, piece in exchange.pieces)
    if exchange.status != 200:
        raise client.BadAnswer(f"status {exchange.status}: {body[:300].decode(errors='replace')}")
    return len(json.loads(body)["data"])


def _cpu_s(before: processes.CpuSample, pid: int) -> float:
    return sum(processes.used(before, processes.sample(pid)).values())


def _sample(contestant: str, load: Load, totals: tuple[int, float, float], latencies: list[float]) -> Sample:
    """`totals`: texts, seconds, CPU seconds."""
    num_texts, elapsed_s, cpu_s = totals
    return Sample(
        contestant,
        load.name,
        texts_per_s=num_texts / elapsed_s,
        latency_p50_s=client.percentile(latencies, 50),
        latency_p99_s=client.percentile(latencies, 99),
        cpu_s_per_text=cpu_s / num_texts,
    )


def as_json(samples: list[Sample], about: dict[str, str]) -> str:
    """Everything that was measured."""
    stamp = {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
    return json.dumps(about | stamp | {"samples": [asdict(sample) for sample in samples]}, indent=1)


def table(samples: list[Sample]) -> str:
    """Medians over the rounds, as Markdown; ratios are taken within a round."""
    lines = [
        f"| Load | {HEARTH} | {BARE} | {PLAIN} | Against {BARE} | Against {PLAIN} | CPU, ms per text |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for load in LOADS:
        found = {
            name: [s for s in samples if (s.contestant, s.load) == (name, load.name)]
            for name in (HEARTH, BARE, PLAIN)
        }
        lines.append(_row(load, found[HEARTH], found[BARE], found[PLAIN]))
    return "\n".join(lines)


def _row(load: Load, ours: list[Sample], bare: list[Sample], plain: list[Sample]) -> str:
    if load.num_clients == 1:
        cells = [f"{1e3 * median(s.latency_p50_s for s in own):.1f} ms" for own in (ours, bare, plain)]
        cells += [f"{1e3 * _difference(ours, other):+.1f} ms" for other in (bare, plain)]
        title = f"{load.title}: p50"
    else:
        cells = [f"{median(s.texts_per_s for s in own):.0f}" for own in (ours, bare, plain)]
        cells += [_ratio(ours, other) for other in (bare, plain)]
        title = f"{load.title}: texts/s"
    cpu = " / ".join(f"{1e3 * median(s.cpu_s_per_text for s in own):.1f}" for own in (ours, bare, plain))
    return "| " + " | ".join([title, *cells, cpu]) + " |"


def _difference(ours: list[Sample], theirs: list[Sample]) -> float:
    return median(a.latency_p50_s - b.latency_p50_s for a, b in zip(ours, theirs, strict=True))


def _ratio(ours: list[Sample], theirs: list[Sample]) -> str:
    ratios = [a.texts_per_s / b.texts_per_s for a, b in zip(ours, theirs, strict=True)]
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
