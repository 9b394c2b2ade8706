"""Embeddings against the bare `encode` and against a plain FastAPI wrapper: the same model, texts and threads.

Where many clients ask, the bare library gets all their texts in one call; the wrapper makes one call per request.
"""

import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmark import servers
from benchmark.client import json_body
from benchmark.comparison import Row, added, rate
from benchmark.contestants import BARE, HEARTH, Answer, Contestant, OverHttp, Work
from benchmark.modality import Load, Modality, Starter
from benchmark.workload import WORDS

PLAIN = "plain FastAPI"
_MODEL = Starter("embed")
_ALL = (HEARTH, BARE, PLAIN)
_SHORT = (12, 12)


def _texts(num_texts: int, words: tuple[int, int]) -> Callable[[str, Load], Work]:
    """Requests of `num_texts` texts of `words[0]` to `words[1]` words, short ones as many as long ones by logarithm."""

    def work(seed: str, load: Load) -> Work:
        source = random.Random(f"{seed} {load.name}")
        requests = [[_text(source, *words) for _ in range(num_texts)] for _ in range(load.num_requests)]
        merged = [[text for texts in requests for text in texts]]
        return Work(
            load.num_clients,
            len(merged[0]),
            [json_body({"model": _MODEL.slug, "input": texts}) for texts in requests],
            list(requests if load.num_clients == 1 else merged),
        )

    return work


def _text(source: random.Random, fewest: int, most: int) -> str:
    return " ".join(source.choices(WORDS, k=round(fewest * (most / fewest) ** source.random())))


LOADS = (
    Load("alone", 1, 60, _texts(1, _SHORT), contestants=_ALL),
    Load("sixteen", 16, 320, _texts(1, _SHORT)),
    Load("short", 32, 480, _texts(1, _SHORT), contestants=_ALL),
    Load("lists", 32, 96, _texts(8, _SHORT)),
    Load("mixed", 32, 32, _texts(8, (6, 200))),
)
ROWS: tuple[Row, ...] = (
    added("alone", "1 client, 1 short text", 3.0),
    rate("alone", "1 client, 1 short text: texts/s"),
    rate("sixteen", "16 clients, 1 short text each: texts/s"),
    rate("short", "32 clients, 1 short text each: texts/s", 0.9),
    rate("lists", "32 clients, 8 short texts each: texts/s", 0.9),
    rate("mixed", "32 clients, 8 texts of 6 to 200 words each: texts/s", 0.9),
    rate("short", f"32 clients, 1 short text each, against {PLAIN}: texts/s", 3.0, other=PLAIN),
    rate("alone", f"1 client, 1 short text, against {PLAIN}: texts/s", other=PLAIN),
)


def modality(folder: Path, *, is_quick: bool) -> Modality:
    return Modality("embed", "Embeddings", LOADS, ROWS, lambda running: _start(running, folder))


def _start(running: ExitStack, folder: Path) -> Sequence[Contestant]:
    probe = json_body({"model": _MODEL.slug, "input": "Hi"})
    return [
        _MODEL.over_http(running, folder, "/oai/v1/embeddings", probe, read),
        _MODEL.bare(running, folder),
        running.enter_context(_plain(folder)),
    ]


@contextmanager
def _plain(folder: Path) -> Iterator[Contestant]:
    port = servers.free_port()
    command = [str(_MODEL.engines_python), "-m", "uvicorn", "benchmark.bare.plain_embed:app"]
    command += ["--port", str(port), "--log-level", "warning", "--no-access-log"]
    environment = os.environ | servers.ONE_THREAD
    environment |= {
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        "PLAIN_MODEL": str(_MODEL.weights),
        "HF_HUB_OFFLINE": "1",
    }
    log = folder / "plain.log"
    with servers.process_group(command, environment, log) as process:
        server = servers.Server(PLAIN, " ".join(command), process.pid, port, "/v1/embeddings", None)
        yield OverHttp(servers.when_ready(server, process, log, json_body({"input": "Hi"})), read)


def read(body: bytes) -> Answer:
    return Answer(len(json.loads(body)["data"]))
