"""Measures speech over HTTP against the bare library: the same model, sentences and threads, both up, in turn.

python scripts/benchmark/speech.py [--weights FOLDER] [--rounds N] [--json FILE]

A lone client: how many milliseconds a sentence takes more, as WAV (nothing to encode) and as MP3. Sixteen clients: what
share of the bare library's sentences per second they get. A text of eight sentences: after what share of the
whole time its first sound is there; both as medians of rounds.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import httpx

ROOT = Path(__file__).resolve().parents[2]
MODEL = "bench/speech"
PATH = "/oai/v1/audio/speech"
NUM_CLIENTS, NUM_ALONE, NUM_TOGETHER = 16, 8, 32
_START_S = 180.0
_WORDS = ("the", "small", "red", "house", "by", "the", "river", "was")


class BenchFailed(Exception):
    """Something did not come up or answered wrongly."""


@dataclass(frozen=True)
class Round:
    """Seconds, and sentences per second. `first_share` is the first sound's time by the whole text's."""

    bare_p50_s: float
    wav_p50_s: float
    mp3_p50_s: float
    bare_per_s: float
    wav_per_s: float
    mp3_per_s: float
    first_s: float
    whole_s: float


@dataclass(frozen=True)
class Timing:
    first_s: float
    whole_s: float


class Bare:
    """The library in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        if process.stdin is None or process.stdout is None or process.stdout.readline() != "ready\n":
            raise BenchFailed("the bare library did not start")
        self._sent, self._received = process.stdin, process.stdout

    def speak(self, texts: list[str]) -> list[float]:
        """Seconds of each."""
        self._sent.write(json.dumps(texts) + "\n")
        self._sent.flush()
        return [float(seconds) for seconds in json.loads(self._received.readline())]


class Hearth:
    """Our server, over HTTP."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}

    def speak(self, texts: list[str], audio_format: str, num_clients: int) -> tuple[list[Timing], float]:
        """Each text's timing, and how long all took; every client asks for its next text when it has the last one."""
        return asyncio.run(self._speak(texts, audio_format, num_clients))

    async def _speak(
        self, texts: list[str], audio_format: str, num_clients: int
    ) -> tuple[list[Timing], float]:
        waiting = iter(texts)
        timings: list[Timing] = []
        async with httpx.AsyncClient(
            base_url=self._url, headers=self._headers, timeout=300, trust_env=False
        ) as client:

            async def run_client() -> None:
                for text in waiting:
                    timings.append(await self._ask(client, text, audio_format))

            await self._ask(client, texts[0], audio_format)
            begun_at = time.perf_counter()
            await asyncio.gather(*(run_client() for _ in range(num_clients)))
            return timings, time.perf_counter() - begun_at

    async def _ask(self, client: httpx.AsyncClient, text: str, audio_format: str) -> Timing:
        body = {"model": MODEL, "input": text, "response_format": audio_format}
        begun_at, first_s = time.perf_counter(), 0.0
        async with client.stream("POST", PATH, json=body) as answer:
            if answer.status_code != 200:
                raise BenchFailed(f"status {answer.status_code}: {(await answer.aread())[:300]!r}")
            async for _ in answer.aiter_raw():
                first_s = first_s or time.perf_counter() - begun_at
        return Timing(first_s, time.perf_counter() - begun_at)


def sentences(count: int) -> list[str]:
    """All different, all of like length."""
    return [" ".join((*_WORDS[number % 8 :], *_WORDS[: number % 8], "sold")) + "." for number in range(count)]


def measure(bare: Bare, hearth: Hearth) -> Round:
    alone, many = sentences(NUM_ALONE), sentences(NUM_TOGETHER)
    bare_alone = bare.speak(alone)
    wav_alone, _ = hearth.speak(alone, "wav", 1)
    mp3_alone, _ = hearth.speak(alone, "mp3", 1)
    bare_many = bare.speak(many)
    _, wav_s = hearth.speak(many, "wav", NUM_CLIENTS)
    _, mp3_s = hearth.speak(many, "mp3", NUM_CLIENTS)
    long, _ = hearth.speak([" ".join(sentences(8))] * 3, "mp3", 1)
    return Round(
        bare_p50_s=median(bare_alone),
        wav_p50_s=median(timing.whole_s for timing in wav_alone),
        mp3_p50_s=median(timing.whole_s for timing in mp3_alone),
        bare_per_s=len(many) / sum(bare_many),
        wav_per_s=len(many) / wav_s,
        mp3_per_s=len(many) / mp3_s,
        first_s=median(timing.first_s for timing in long),
        whole_s=median(timing.whole_s for timing in long),
    )


def table(rounds: list[Round]) -> str:
    def middle(values: Iterator[float]) -> float:
        return median(values)

    bare, wav, mp3 = (
        middle(getattr(each, name) * 1e3 for each in rounds)
        for name in ("bare_p50_s", "wav_p50_s", "mp3_p50_s")
    )
    rows = [
        ("A sentence, p50", f"{bare:.0f} ms", f"{wav:.0f} ms", f"{mp3:.0f} ms"),
        (
            "Added",
            "",
            *(
                f"{middle((getattr(each, name) - each.bare_p50_s) * 1e3 for each in rounds):+.1f} ms"
                for name in ("wav_p50_s", "mp3_p50_s")
            ),
        ),
        (
            f"{NUM_CLIENTS} clients, sentences/s",
            *(
                f"{middle(getattr(each, name) for each in rounds):.1f}"
                for name in ("bare_per_s", "wav_per_s", "mp3_per_s")
            ),
        ),
        (
            "Share of the bare library's",
            "1",
            *(
                f"{middle(getattr(each, name) / each.bare_per_s for each in rounds):.2f}"
                for name in ("wav_per_s", "mp3_per_s")
            ),
        ),
        (
            "Eight sentences: first sound of whole",
            "",
            "",
            f"{middle(each.first_s * 1e3 for each in rounds):.0f} of"
            f" {middle(each.whole_s * 1e3 for each in rounds):.0f} ms"
            f" ({middle(each.first_s / each.whole_s for each in rounds):.2f})",
        ),
    ]
    head = ["| | Bare library | WAV over HTTP | MP3 over HTTP |", "| --- | ---: | ---: | ---: |"]
    return "\n".join(head + ["| " + " | ".join(row) + " |" for row in rows])


@contextmanager
def running_bare(weights: Path, python: Path) -> Iterator[Bare]:
    command = [str(python), str(Path(__file__).with_name("speech_bare.py")), str(weights)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield Bare(process)
        finally:
            process.kill()


@contextmanager
def running_hearth(weights: Path, python: Path, folder: Path) -> Iterator[Hearth]:
    (folder / "models").mkdir()
    (folder / "models" / "speech.yaml").write_text(_backend(weights))
    port = _free_port()
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "HEARTH_DATA_DIR": str(folder / "data"),
        "HEARTH_MODELS_DIR": str(folder / "models"),
        "HEARTH_ENGINES_PYTHON": str(python),
        "HEARTH_PORT": str(port),
        "HEARTH_DRAIN_GRACE_S": "0",
    }
    program = [sys.executable, "-m", "server"]
    made = subprocess.run(
        [*program, "keys", "create", "bench", "--json"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    hearth = Hearth(f"http://127.0.0.1:{port}", json.loads(made.stdout)["key"])
    with (
        (folder / "hearth.log").open("w") as log,
        subprocess.Popen([*program, "serve"], env=environment, cwd=ROOT, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_until_ready(port, process)
            hearth.speak(sentences(1), "wav", 1)
            yield hearth
        finally:
            process.send_signal(signal.SIGINT)


def _backend(weights: Path) -> str:
    pickles = {file.name: _sha256(file) for file in weights.glob("*.pth")}
    return json.dumps(
        {
            "engine": "coqui_speech",
            "modality": "audio",
            "frontends": [MODEL],
            "weights": str(weights.resolve()),
            "licence": "none",
            "capabilities": {"synthesize": True},
            "device": "cpu",
            "limits": {"max_concurrency": 64},
            "allowed_files": pickles,
            "options": {"omp_num_threads": 1} | _voices(weights),
        }
    )


def _voices(weights: Path) -> dict[str, object]:
    speakers = json.loads((weights / "config.json").read_text()).get("speakers") or []
    return {"voices": {"first": {"speaker": speakers[0]}}} if speakers else {}


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).status_code == 200:
                return
        time.sleep(0.1)
    raise BenchFailed("the server did not start")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", type=Path, default=ROOT / "model_configs/starter/speech")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    parser.add_argument(
        "--engines-python",
        type=Path,
        default=Path(os.environ.get("HEARTH_ENGINES_PYTHON", ROOT / ".hearth/engines/cpu/bin/python")),
    )
    given = parser.parse_args()
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        bare = running.enter_context(running_bare(given.weights, given.engines_python))
        hearth = running.enter_context(running_hearth(given.weights, given.engines_python, folder))
        measure(bare, hearth)  # what is slow only once
        rounds = [measure(bare, hearth) for _ in range(given.rounds)]
    print(table(rounds))
    if given.json:
        given.json.write_text(json.dumps([asdict(each) for each in rounds], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
