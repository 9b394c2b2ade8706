"""Measures what the server adds to diffusers: the bare call against the same pictures over HTTP.

python scripts/benchmark/image.py --engines-python PATH [--weights FOLDER] [--steps 15] [--rounds 5]
    [--pictures 32] [--json FILE]

Both compute on one thread, and only one of them at a time. A bare call and a request of one client take turns, and each
round measures everything, so that a busy machine disturbs all alike. Figures are medians over the rounds. With few
steps there is less drawing, and what the server adds stands out.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
BARE = Path(__file__).with_name("bare_image.py")
MODEL = "bench/image"
PROMPT = "a red circle on a blue background"
SIZE, GUIDANCE, MAX_BATCH = 64, 3.0, 8
NUM_CLIENTS = 16
_READY_S = 300.0
_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Figures:
    """Pictures per second and milliseconds per answer. Ratios are of throughput, to the bare call of one picture."""

    bare_per_s: float
    bare_batched_per_s: float
    one_client_per_s: float
    many_clients_per_s: float
    one_client_ratio: float
    many_clients_ratio: float
    many_clients_ratio_to_batched: float
    bare_p50_ms: float
    one_client_p50_ms: float
    added_p50_ms: float


class Bare:
    """The process that calls diffusers."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.read_line()

    def read_line(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("the process has no output")
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the bare diffusers process ended")
        return line

    def draw(self, num_calls: int, batch: int) -> list[float]:
        """Seconds of each call."""
        if self._process.stdin is None:
            raise RuntimeError("the process has no input")
        self._process.stdin.write(json.dumps({"num_calls": num_calls, "batch": batch}) + "\n")
        self._process.stdin.flush()
        return [float(second) for second in json.loads(self.read_line())]


@contextmanager
def bare(weights: Path, engines_python: Path, steps: int) -> Iterator[Bare]:
    shape = ["--size", str(SIZE), "--steps", str(steps), "--guidance", str(GUIDANCE), "--prompt", PROMPT]
    process = subprocess.Popen(
        [str(engines_python), str(BARE), str(weights), *shape],
        env=os.environ | _THREADS | {"HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Bare(process)
    finally:
        process.kill()
        process.wait()


@contextmanager
def hearth(weights: Path, folder: Path, engines_python: Path, *, steps: int) -> Iterator[httpx.Client]:
    """Our server with the model as its only backend, loaded; a client with a key."""
    (folder / "models").mkdir()
    (folder / "models/bench.yaml").write_text(_backend(weights, steps))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | _THREADS
    environment |= {
        "PYTHONPATH": str(ROOT),
        "HEARTH_DATA_DIR": str(folder / "data"),
        "HEARTH_MODELS_DIR": str(folder / "models"),
        "HEARTH_ENGINES_PYTHON": str(engines_python),
        "HEARTH_PORT": str(port),
    }
    program = [sys.executable, "-m", "server"]
    made = subprocess.run(
        [*program, "keys", "create", "bench", "--json"], env=environment, capture_output=True, check=True
    )
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen([*program, "serve"], env=environment, stdout=log, stderr=log)
    headers = {"Authorization": f"Bearer {json.loads(made.stdout)['key']}"}
    limits = httpx.Limits(max_connections=NUM_CLIENTS, max_keepalive_connections=NUM_CLIENTS)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(
            base_url=url, headers=headers, timeout=_READY_S, limits=limits, trust_env=False
        ) as client:
            _wait_until_it_draws(client, folder / "server.log")
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _backend(weights: Path, steps: int) -> str:
    """JSON is YAML."""
    options = {
        "sizes": [f"{SIZE}x{SIZE}"],
        "steps": steps,
        "guidance": GUIDANCE,
        "max_batch_pictures": MAX_BATCH,
        "omp_num_threads": 1,
    }
    backend = {
        "engine": "diffusers_image",
        "modality": "image",
        "frontends": [MODEL],
        "weights": str(weights),
        "licence": "as the model's",
        "device": "cpu",
        "limits": {"queue_timeout_s": 600},
        "options": options,
    }
    return json.dumps(backend)


def _wait_until_it_draws(client: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        try:
            ask(client, 0)
        except httpx.TransportError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit(f"the server did not draw: {log.read_text()[-2000:]}")


def ask(client: httpx.Client, seed: int) -> float:
    """Seconds for one picture."""
    body = {"model": MODEL, "prompt": PROMPT, "seed": seed, "response_format": "b64_json"}
    begun = time.perf_counter()
    client.post("/v1/inference/images/generate", json=body).raise_for_status()
    return time.perf_counter() - begun


def measure_round(client: httpx.Client, process: Bare, num_pictures: int) -> Figures:
    pairs = [(process.draw(1, 1)[0], ask(client, seed)) for seed in range(num_pictures)]
    alone, one = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    batched = process.draw(max(1, num_pictures // MAX_BATCH), MAX_BATCH)
    with ThreadPoolExecutor(NUM_CLIENTS) as clients:
        begun = time.perf_counter()
        list(clients.map(lambda seed: ask(client, seed), range(2 * num_pictures)))
        many_s = time.perf_counter() - begun
    bare_per_s = num_pictures / sum(alone)
    batched_per_s = len(batched) * MAX_BATCH / sum(batched)
    one_per_s = num_pictures / sum(one)
    many_per_s = 2 * num_pictures / many_s
    bare_p50, one_p50 = statistics.median(alone) * 1000, statistics.median(one) * 1000
    return Figures(
        bare_per_s=bare_per_s,
        bare_batched_per_s=batched_per_s,
        one_client_per_s=one_per_s,
        many_clients_per_s=many_per_s,
        one_client_ratio=one_per_s / bare_per_s,
        many_clients_ratio=many_per_s / bare_per_s,
        many_clients_ratio_to_batched=many_per_s / batched_per_s,
        bare_p50_ms=bare_p50,
        one_client_p50_ms=one_p50,
        added_p50_ms=statistics.median(over - plain for plain, over in pairs) * 1000,
    )


def median_of(rounds: list[Figures]) -> dict[str, float]:
    return {
        name: statistics.median(asdict(figures)[name] for figures in rounds) for name in asdict(rounds[0])
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the server adds to diffusers.")
    parser.add_argument("--weights", type=Path, default=ROOT / "model_configs/starter/image")
    parser.add_argument("--engines-python", type=Path, default=ROOT / ".hearth/engines/cpu/bin/python")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=32, help="per round and kind")
    parser.add_argument("--json", type=Path, help="write every round here")
    given = parser.parse_args()
    weights = given.weights.resolve()
    with (
        tempfile.TemporaryDirectory() as folder,
        bare(weights, given.engines_python, given.steps) as process,
        hearth(weights, Path(folder), given.engines_python, steps=given.steps) as client,
    ):
        rounds = [measure_round(client, process, given.pictures) for _ in range(given.rounds)]
    for name, value in median_of(rounds).items():
        print(f"{name:32} {value:10.3f}")
    if given.json:
        given.json.write_text(json.dumps([asdict(figures) for figures in rounds], indent=2))


if __name__ == "__main__":
    main()
