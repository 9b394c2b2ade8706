"""Transcription against bare faster-whisper: the same model, files, language, windows per batch."""

import json
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmark import servers
from benchmark.client import Body
from benchmark.comparison import Row, Side, Target, added, p50_ms, rate
from benchmark.contestants import BARE, HEARTH, Answer, Contestant, Work
from benchmark.modality import Load, Modality, Starter

_MODEL = Starter("transcribe")
_SOUNDS = [servers.ROOT / "tests/data/audio" / name for name in ("camera.flac", "two_sentences.ogg")]
_LANGUAGE = (
    "en"  # told to both: a bare call would encode the first window twice to detect it, ours does so once
)
_TEMPERATURE = "0"  # a bare batched call tries no other; ours would try poor results again
_BOUNDARY = "part-of-the-form"
_LONG_S, _QUICK_LONG_S = 600, 60

_SAME = (("alone", "the words of the short file"), ("long", "the words of the long file"))
ROWS: tuple[Row, ...] = (
    added("alone", "1 client, one short file", 3.0),
    rate("alone", "1 client, one short file: files/s"),
    rate("many", "16 clients, one short file each: files/s"),
    Row(
        "1 client, one 10-minute file: answer, ms",
        Side(HEARTH, "long", p50_ms),
        Side(BARE, "long", p50_ms),
        Target("at most", 1.05),
    ),
)


def modality(folder: Path, *, is_quick: bool) -> Modality:
    long = folder / "long.wav"
    loads = (
        Load("alone", 1, 10, lambda _, load: _files(load, _SOUNDS[0])),
        Load("many", 16, 32, lambda _, load: _files(load, _SOUNDS[0])),
        Load("long", 1, 1, lambda _, load: _files(load, long), every=2),
    )

    def start(running: ExitStack) -> Sequence[Contestant]:
        _write_long(long, _QUICK_LONG_S if is_quick else _LONG_S)
        return [
            _MODEL.over_http(running, folder, "/oai/v1/audio/transcriptions", _form(_SOUNDS[0]), read),
            _MODEL.bare(running, folder, _LANGUAGE, str(_SOUNDS[0])),
        ]

    return Modality("transcribe", "Transcription", loads, ROWS, start, _SAME)


def _files(load: Load, sound: Path) -> Work:
    num_files = load.num_requests
    return Work(load.num_clients, num_files, [_form(sound)] * num_files, [str(sound)] * num_files)


def _form(sound: Path) -> Body:
    fields = {"model": _MODEL.slug, "language": _LANGUAGE, "temperature": _TEMPERATURE}
    head = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{sound.name}"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    content = head.encode() + sound.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return Body(content, f"multipart/form-data; boundary={_BOUNDARY}")


def _write_long(path: Path, seconds: int) -> None:
    """A file of the short sounds with silence between them."""
    command = [str(_MODEL.engines_python), "-m", "benchmark.bare.long_sound", str(seconds), str(path)]
    subprocess.run([*command, *map(str, _SOUNDS)], cwd=Path(__file__).resolve().parents[1], check=True)


def read(body: bytes) -> Answer:
    return Answer(1, json.loads(body)["text"].strip())
