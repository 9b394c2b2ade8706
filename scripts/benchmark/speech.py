"""Speech against bare coqui-tts: the same model, sentences and encoding of the sound."""

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmark.answers import BadAnswer
from benchmark.client import Body, json_body
from benchmark.comparison import Row, Side, Target, added, first_p50_ms, p50_ms, rate
from benchmark.contestants import HEARTH, Answer, Contestant, Work
from benchmark.modality import Load, Modality, Starter

_MODEL = Starter("speech")
_WORDS = ("the", "small", "red", "house", "by", "the", "river", "was")
_NUM_SENTENCES = 8
_WAV_HEADER_BYTES, _SAMPLE_BYTES = 44, 2


def _sentences(audio_format: str) -> Callable[[str, Load], Work]:
    """A sentence a request, a sentence a call."""

    def work(seed: str, load: Load) -> Work:
        source = random.Random(f"{seed} {load.name}")
        texts = [_sentence(source) for _ in range(load.num_requests)]
        requests = [_request(text, audio_format) for text in texts]
        return Work(load.num_clients, len(texts), requests, [[text, audio_format] for text in texts])

    return work


def _passage(seed: str, load: Load) -> Work:
    """Sentences in one request; one a call. Raw samples: the first byte is sound, no header."""
    source = random.Random(f"{seed} {load.name}")
    passages = [[_sentence(source) for _ in range(_NUM_SENTENCES)] for _ in range(load.num_requests)]
    requests = [_request(" ".join(sentences), "pcm") for sentences in passages]
    calls: list[object] = [[text, "pcm"] for sentences in passages for text in sentences]
    return Work(load.num_clients, len(requests), requests, calls)


def _sentence(source: random.Random) -> str:
    """All of like length."""
    return " ".join([*source.sample(_WORDS, len(_WORDS)), "sold"]) + "."


def _request(text: str, audio_format: str) -> Body:
    return json_body({"model": _MODEL.slug, "input": text, "response_format": audio_format})


_SAME = (("alone_wav", "the lengths of sounds"),)
LOADS = (
    Load("alone_wav", 1, 10, _sentences("wav")),
    Load("alone_mp3", 1, 10, _sentences("mp3")),
    Load("many_wav", 16, 48, _sentences("wav")),
    Load("many_mp3", 16, 48, _sentences("mp3")),
    Load("passage", 1, 3, _passage),
)
ROWS: tuple[Row, ...] = (
    added("alone_wav", "1 client, a sentence as WAV", 3.0),
    added("alone_mp3", "1 client, a sentence as MP3", 3.0),
    rate("alone_wav", "1 client, a sentence as WAV: sentences/s"),
    rate("many_wav", "16 clients, a sentence as WAV each: sentences/s"),
    rate("many_mp3", "16 clients, a sentence as MP3 each: sentences/s"),
    rate("passage", f"1 client, {_NUM_SENTENCES} sentences: texts/s"),
    Row(
        f"1 client, {_NUM_SENTENCES} sentences: first sound against the whole text's (both Hearth), p50, ms",
        Side(HEARTH, "passage", first_p50_ms),
        Side(HEARTH, "passage", p50_ms),
        Target("at most", 0.5),
    ),
)


def modality(folder: Path, *, is_quick: bool) -> Modality:
    return Modality("speech", "Speech", LOADS, ROWS, lambda running: _start(running, folder), same=_SAME)


def _start(running: ExitStack, folder: Path) -> Sequence[Contestant]:
    probe = _request("warm up.", "wav")
    return [
        _MODEL.over_http(running, folder, "/oai/v1/audio/speech", probe, read),
        _MODEL.bare(running, folder),
    ]


def read(body: bytes) -> Answer:
    """Raises BadAnswer for an empty sound."""
    num_samples = (len(body) - _WAV_HEADER_BYTES) // _SAMPLE_BYTES
    if num_samples <= 0:
        raise BadAnswer("no sound")
    return Answer(1, str(num_samples))
