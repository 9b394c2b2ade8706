"""Pictures against the bare diffusers pipeline: the same prompt, seeds, steps and PNG files."""

import base64
import hashlib
import json
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmark.client import Body, json_body
from benchmark.comparison import Row, added, rate
from benchmark.contestants import Answer, Contestant, Work
from benchmark.modality import Load, Modality, Starter

_MODEL = Starter("image")
_PROMPT = "a red circle on a blue background"
_SIZE = 64
_BATCH = 8  # what our engine draws together, by the model's configuration


def _pictures(num_per_call: int) -> Callable[[str, Load], Work]:
    """Requests of one picture each, calls of `num_per_call`."""

    def work(seed: str, load: Load) -> Work:
        source = random.Random(f"{seed} {load.name}")
        seeds = [source.randrange(2**31) for _ in range(load.num_requests)]
        calls = [seeds[first : first + num_per_call] for first in range(0, len(seeds), num_per_call)]
        return Work(load.num_clients, len(seeds), [_request(number) for number in seeds], list(calls))

    return work


def _request(seed: int) -> Body:
    fields: dict[str, object] = {"model": _MODEL.slug, "prompt": _PROMPT, "seed": seed}
    return json_body(fields | {"response_format": "b64_json"})


_SAME = (("alone", "the files of pictures"),)
LOADS = (
    Load("alone", 1, 8, _pictures(1)),
    Load("many", 16, 64, _pictures(1)),
    Load("batches", 16, 64, _pictures(_BATCH)),
)
ROWS: tuple[Row, ...] = (
    added("alone", "1 client", 3.0),
    rate("alone", "1 client: pictures/s"),
    rate("many", "16 clients, against calls of 1 picture: pictures/s"),
    rate("batches", f"16 clients, against calls of {_BATCH} pictures: pictures/s"),
)


def modality(folder: Path, *, is_quick: bool) -> Modality:
    title = f"Images, {_SIZE}x{_SIZE} in {_options()['steps']} steps"
    return Modality("image", title, LOADS, ROWS, lambda running: _start(running, folder), same=_SAME)


def _start(running: ExitStack, folder: Path) -> Sequence[Contestant]:
    settings = {"prompt": _PROMPT, "size": _SIZE} | {name: _options()[name] for name in ("steps", "guidance")}
    return [
        _MODEL.over_http(running, folder, "/v1/inference/images/generate", _request(0), read),
        _MODEL.bare(running, folder, json.dumps(settings)),
    ]


def _options() -> dict[str, object]:
    options = _MODEL.backend["options"]
    if not isinstance(options, dict):
        raise TypeError("the image model has no options")
    return options


def read(body: bytes) -> Answer:
    (picture,) = json.loads(body)["data"]["data"]
    return Answer(1, hashlib.sha256(base64.b64decode(picture["b64_json"])).hexdigest()[:16])
