"""Measures transcription over HTTP against bare faster-whisper calls: the same model, files and batch size.

    python scripts/benchmark/transcribe.py --long TEN_MINUTES.flac
    python scripts/benchmark/transcribe.py --rounds 10

Both are loaded all the time, only one works at a time, and each round gives both their turn.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx

ROOT = Path(__file__).resolve().parents[2]
SHORT = ROOT / "tests/data/audio/camera.flac"
WEIGHTS = ROOT / "model_configs/starter/transcribe"
MODEL = "bench/transcribe"
LANGUAGE = "en"  # told to both: a bare call would encode the first window twice to detect it, we do so once
_CPU_VARIABLES = {"OMP_NUM_THREADS": "1"}
_READY_S = 120.0
_NUM_CLIENTS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="CTranslate2 folder")
    parser.add_argument("--short", type=Path, default=SHORT, help="a sound of some seconds")
    parser.add_argument("--long", type=Path, help="a sound of minutes")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path(".hearth/bench-transcribe"))
    options = parser.parse_args()
    folder = options.folder.resolve()
    with direct(options.weights.resolve()) as bare, server(options.weights.resolve(), folder) as client:
        ask(client, options.short), bare(options.short)
        print(json.dumps(_one_by_one(client, bare, options.short, options.rounds)))
        print(json.dumps(_together(client, bare, options.short, options.rounds)))
        if options.long:
            print(json.dumps(_long(client, bare, options.long)))


def _one_by_one(client: httpx.Client, bare: "Bare", path: Path, num_rounds: int) -> dict[str, object]:
    """One client: milliseconds that the server adds."""
    pairs = [(bare(path)[0], ask(client, path)[0]) for _ in range(num_rounds)]
    return {
        "load": "1 client, one short file",
        "direct_p50_ms": round(1e3 * median(pair[0] for pair in pairs), 1),
        "http_p50_ms": round(1e3 * median(pair[1] for pair in pairs), 1),
        "added_p50_ms": round(1e3 * median(pair[1] - pair[0] for pair in pairs), 1),
    }


def _together(client: httpx.Client, bare: "Bare", path: Path, num_rounds: int) -> dict[str, object]:
    """Many clients at once against as many bare calls in turn; above 1 the server is faster."""
    ratios = []
    for _ in range(max(1, num_rounds // 5)):
        bare_s = sum(bare(path)[0] for _ in range(_NUM_CLIENTS))
        ratios.append(bare_s / asyncio.run(_all_at_once(client, path.read_bytes())))
    return {
        "load": f"{_NUM_CLIENTS} clients, one short file each",
        "throughput_ratio": round(median(ratios), 3),
    }


def _long(client: httpx.Client, bare: "Bare", path: Path, num_rounds: int = 3) -> dict[str, object]:
    pairs = [(bare(path), ask(client, path)) for _ in range(num_rounds)]
    return {
        "load": "1 client, one long file",
        "direct_s": round(median(pair[0][0] for pair in pairs), 2),
        "http_s": round(median(pair[1][0] for pair in pairs), 2),
        "time_ratio": round(median(pair[1][0] / pair[0][0] for pair in pairs), 3),
        "same_text": pairs[0][0][1] == pairs[0][1][1],
    }


class Bare:
    """Bare calls in a process of their own: seconds and text of one file."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, path: Path) -> tuple[float, str]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["seconds"], answer["text"]


@contextmanager
def direct(weights: Path) -> Iterator[Bare]:
    from server.engine_envs import python_for
    from server.settings import load_settings

    command = [str(python_for("whisper_transcribe", load_settings()))]
    command += [str(Path(__file__).with_name("direct_transcribe.py")), str(weights), LANGUAGE]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env=os.environ | _CPU_VARIABLES
    ) as process:
        yield Bare(process)
        process.kill()


@contextmanager
def server(weights: Path, folder: Path) -> Iterator[httpx.Client]:
    """Our server with the model as its only backend, loaded."""
    models_dir = folder / "models"
    models_dir.mkdir(parents=True, exist_ok=True)
    backend = {
        "engine": "whisper_transcribe",
        "modality": "audio",
        "frontends": [MODEL],
        "weights": str(weights),
        "licence": "as the model's",
        "capabilities": {"transcribe": True},
    }
    (models_dir / "bench.yaml").write_text(json.dumps(backend))  # JSON is YAML
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | _CPU_VARIABLES
    environment |= {"HEARTH_DATA_DIR": str(folder / "data"), "HEARTH_MODELS_DIR": str(models_dir)}
    program = [sys.executable, "-m", "server"]
    made = subprocess.run(
        [*program, "keys", "create", "bench", "--json"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*program, "serve", "--port", str(port)], env=environment, cwd=ROOT, stdout=log, stderr=log
        )
    headers = {"Authorization": f"Bearer {json.loads(made.stdout)['key']}"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=600) as client:
            _wait_until_ready(client)
            yield client
    finally:
        process.terminate()
        process.wait(60)


def ask(client: httpx.Client, path: Path) -> tuple[float, str]:
    """Seconds and text of one file."""
    begun_at = time.perf_counter()
    answer = client.post(
        "/oai/v1/audio/transcriptions",
        data={"model": MODEL, "language": LANGUAGE},
        files={"file": path.read_bytes()},
    )
    return time.perf_counter() - begun_at, answer.raise_for_status().json()["text"]


async def _all_at_once(client: httpx.Client, content: bytes) -> float:
    """Seconds from the first request to the last answer."""
    async with httpx.AsyncClient(base_url=client.base_url, headers=client.headers, timeout=600) as many:
        begun_at = time.perf_counter()
        answers = await asyncio.gather(
            *(
                many.post(
                    "/oai/v1/audio/transcriptions",
                    data={"model": MODEL, "language": LANGUAGE},
                    files={"file": content},
                )
                for _ in range(_NUM_CLIENTS)
            )
        )
        elapsed_s = time.perf_counter() - begun_at
    for answer in answers:
        answer.raise_for_status()
    return elapsed_s


def _wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        try:
            client.get("/health/ready").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError("the server did not become ready: see server.log in the folder")


if __name__ == "__main__":
    main()
